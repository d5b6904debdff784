"""A head that generates heatmaps by diffusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.models.heads import BaseHead
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor

from ...diffusion import DiffusionProcess, HypothesisNoise, MirrorAveraged, Samples, TrainingDraw
from ...structures import describe_sample
from ..denoisers import BaseHeatmapDenoiser
from .hypothesis_outputs import add_hypotheses
from .sampling_options import SamplingOptions, noise_for, refuse_unknown_options

Features = Sequence[Tensor]  # the head reads the last one, [B, C, h, w]


@MODELS.register_module()
class DiffusionHeatmapHead(BaseHead):
    """Turns noise into heatmaps, conditioned on a feature map: DiffPose (ICCV 2023) with any denoiser.

    Works on clips (`VideoTopdownPoseEstimator`) and on single images (MMPose's `TopdownPoseEstimator`). In training a
    random step and noise are drawn for each person; the denoiser guesses the clean heatmaps from the noisy ones.

    How to sample is said in `test_cfg`, per model (``--cfg-options model.test_cfg.num_steps=4``) or per call of
    `predict`, and needs no retraining: `num_steps` (or a descending list of steps), `num_hypotheses`, `seed` (None:
    another answer each time), `flip_test` (the mirrored view is looked at within each step), `shift_heatmap`,
    `output_heatmaps`, `output_estimates` (each step's mean heatmaps, as field `heatmap_estimates` [steps * K, h', w'])
    and `output_hypotheses` (see `hypothesis_outputs`). A person's answer depends on the seed and on what the person's
    sample is, not on its neighbours in the batch (to rounding; the noise bit by bit).

    Args:
        in_channels: channels C of the feature map.
        out_channels: number K of keypoints.
        denoiser: config of a `BaseHeatmapDenoiser`; gets `in_channels` and `out_channels` from here.
        scheduler: noise schedule and solver, see `mmpose_diffusion.diffusion.build_schedule`. None: DDIM on the linear
            schedule of DDPM, predicting the clean heatmaps, as the paper does.
        signal: `scale` and `clamp` of `SignalRange`. Heatmaps in [0, 1] become a signal in [-scale, scale].
        aggregator: what makes one answer of all hypotheses: MeanHeatmap, MedianCoordinates, BestAgreement, ...
        loss: loss between heatmaps with visibility weights. For networks that predict noise or v: between those.
        draws_per_clip: training draws for each person in an iteration. The features' part is paid once for all of them.
        decoder: codec of the heatmaps: MSRAHeatmap, or UDPHeatmap of plain Gaussians.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        denoiser: dict | None = None,
        scheduler: dict | None = None,
        signal: dict | None = None,
        aggregator: dict | None = None,
        loss: dict | None = None,
        draws_per_clip: int = 1,
        decoder: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        for name, count in (('out_channels', out_channels), ('draws_per_clip', draws_per_clip)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ValueError(f'DiffusionHeatmapHead: {name} must be an integer of at least 1, got {count!r}')
        self.in_channels, self.out_channels, self.draws_per_clip = in_channels, out_channels, draws_per_clip
        channels = dict(in_channels=in_channels, out_channels=out_channels)
        self.denoiser = MODELS.build({'type': 'HeatmapDenoiser', **(denoiser or {}), **channels})
        if not isinstance(self.denoiser, BaseHeatmapDenoiser):
            raise TypeError(f'{type(self.denoiser).__name__} must be a BaseHeatmapDenoiser: derive it from that class')
        for name in signal or {}:
            if name not in ('scale', 'clamp'):
                raise ValueError(f'DiffusionHeatmapHead: signal takes scale and clamp, not {name}')
        self.process = DiffusionProcess(scheduler, dict(signal or {}, low=0.0, high=1.0))
        self.aggregator = MODELS.build(aggregator or dict(type='MeanHeatmap'))
        if not hasattr(self.aggregator, 'merges'):
            raise TypeError(
                f'{type(self.aggregator).__name__} does not merge hypotheses: use MeanHeatmap or another one'
            )
        self.loss_module = MODELS.build(loss or dict(type='KeypointMSELoss', use_target_weight=True))
        self.decoder = None if decoder is None else build_gaussian_codec(decoder)

    def forward(self, feats: Features) -> Tensor:
        """Heatmaps [B, K, h', w'] of one hypothesis in one step; all samples start from the same noise."""
        noise = HypothesisNoise.from_seeds([0] * len(feats[-1]))
        return self.sample_heatmaps([feats[-1]], noise).hypotheses[:, 0]

    def sample_heatmaps(
        self,
        views: Sequence[Tensor],
        noise: HypothesisNoise,
        num_steps: int | Sequence[int] = 1,
        flip_indices: Sequence[int] | None = None,
        shift_heatmap: bool = False,
        keep_estimates: bool = False,
    ) -> Samples:
        """Generate heatmaps [B, H, K, h', w'].

        Args:
            views: the feature map [B, C, h, w], or that and the mirrored image's.
            noise: where all randomness comes from.
            num_steps: number of steps, or the steps.
            flip_indices: with two views, the partner of each keypoint.
            shift_heatmap: with two views, shift mirrored heatmaps by one cell (for codecs that are not unbiased).
            keep_estimates: also return the estimates of all steps.
        """
        size = self._checked_heatmap_size(views[0])
        conditions = [self.denoiser.prepare(view) for view in views]
        denoise, condition = self.denoiser, conditions[0]
        if len(views) == 2:
            mirror = partial(flip_heatmaps, flip_indices=list(flip_indices), shift_heatmap=shift_heatmap)
            denoise, condition = MirrorAveraged(self.denoiser, mirror), (conditions[0], conditions[1])
        shape = (self.out_channels, *size)
        return self.process.sample(denoise, condition, shape, noise, num_steps, keep_estimates)

    def check_test_cfg(self, test_cfg: Mapping) -> SamplingOptions:
        """The sampling options of a `test_cfg`; what cannot be done is refused, by video models when they are built."""
        refuse_unknown_options(test_cfg, (*SamplingOptions._fields, 'output_keypoint_indices'))  # MMPose's estimator
        options = SamplingOptions.from_test_cfg(test_cfg)
        self.process.steps(options.num_steps)
        return options

    @torch.no_grad()
    def predict(
        self, feats: Features | list[Features], batch_data_samples: Sequence[Any], test_cfg: Mapping | None = None
    ) -> list[InstanceData] | tuple[list[InstanceData], list[PixelData]]:
        """Poses of B people, and with `output_heatmaps` or `output_estimates` also their heatmaps.

        With `flip_test`, `feats` is the list of the features of the images and of their mirror images.
        """
        options = self.check_test_cfg(test_cfg or {})
        views, flip_indices = [feats[-1]], None
        if options.flip_test:
            if not isinstance(feats, list) or len(feats) != 2:
                raise TypeError('flip_test wants a list of the features of the images and of their mirror images')
            views = [view[-1] for view in feats]
            flip_indices = batch_data_samples[0].metainfo['flip_indices']
        require_finite(views, 'feature map', batch_data_samples)
        samples = self.sample_heatmaps(
            views,
            noise_for(batch_data_samples, options),
            options.num_steps,
            flip_indices,
            options.shift_heatmap,
            options.output_estimates,
        )
        predictions = self._merge(samples.hypotheses, batch_data_samples, options.output_hypotheses)
        if options.output_heatmaps or options.output_estimates:
            return predictions, heatmap_fields(samples, options)
        return predictions

    def loss(
        self, feats: Features, batch_data_samples: Sequence[Any], train_cfg: Mapping | None = None
    ) -> dict[str, Tensor]:
        """Loss of guessing the clean heatmaps (or the noise, or v) at random steps."""
        heatmaps = torch.stack([sample.gt_fields.heatmaps for sample in batch_data_samples]).float()  # [B, K, h', w']
        weights = torch.cat([sample.gt_instance_labels.keypoint_weights for sample in batch_data_samples])  # [B, K]
        require_finite([heatmaps], 'target heatmaps', batch_data_samples)
        require_finite([feats[-1]], 'feature map', batch_data_samples)
        size = self._checked_heatmap_size(feats[-1])
        if heatmaps.shape[1:] != (self.out_channels, *size):
            raise ValueError(
                f'target heatmaps are {list(heatmaps.shape[1:])} (keypoints, h, w), the head makes '
                f'{[self.out_channels, *size]}: check out_channels, and that pipeline and head have the same codec'
            )
        heatmaps, weights = (values.repeat_interleave(self.draws_per_clip, dim=0) for values in (heatmaps, weights))
        draw = self.process.draw(heatmaps)
        prediction = self.denoiser(draw.network_input, draw.step, self.denoiser.prepare(feats[-1])).float()
        losses = dict(loss_kpt=self._training_loss(prediction, draw, heatmaps, weights))
        if (train_cfg or {}).get('compute_acc', True):
            clean = self.process.clean_estimate(prediction, draw.noisy, draw.step)
            guess = to_numpy(self.process.signal.decode(clean))
            _, accuracy, _ = pose_pck_accuracy(guess, to_numpy(heatmaps), to_numpy(weights) > 0)
            losses.update(acc_pose=torch.tensor(accuracy, device=heatmaps.device))
        return losses

    def _training_loss(self, prediction: Tensor, draw: TrainingDraw, heatmaps: Tensor, weights: Tensor) -> Tensor:
        """The paper's loss compares heatmaps; noise and v are compared as they are.

        A clean estimate made from those would give the noisiest steps a weight beyond all others.
        """
        if self.process.prediction_type == 'sample':
            clean = self.process.clean_estimate(prediction, draw.noisy, draw.step)
            return self.loss_module(self.process.signal.decode(clean), heatmaps, weights)
        return self.loss_module(prediction, self.process.target(draw), weights)

    def _merge(self, hypotheses: Tensor, data_samples: Sequence[Any], output_hypotheses: bool) -> list[InstanceData]:
        """Heatmaps [B, H, K, h', w'] -> one pose for each of B people."""
        in_coordinates = self.aggregator.merges == 'coordinates'
        if in_coordinates or output_hypotheses:
            keypoints, scores = self._decode_all(hypotheses)  # [B, H, K, 2], [B, H, K]
        if in_coordinates:
            merged = self.aggregator(torch.from_numpy(keypoints), torch.from_numpy(scores))
            predictions = [
                InstanceData(keypoints=pose[None], keypoint_scores=score[None])
                for pose, score in zip(*map(to_numpy, merged), strict=True)
            ]
        else:
            predictions = self.decode(self.aggregator(hypotheses))
        if output_hypotheses:
            for prediction, poses, sample in zip(predictions, keypoints, data_samples, strict=True):
                add_hypotheses(prediction, poses, sample.metainfo)
        return predictions

    def _decode_all(self, hypotheses: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Heatmaps [B, H, K, h', w'] -> keypoints [B, H, K, 2] in pixels of the input, scores [B, H, K]."""
        decoded = self.decode(hypotheses.flatten(0, 1))
        keypoints = np.concatenate([pose.keypoints for pose in decoded])
        scores = np.concatenate([pose.keypoint_scores for pose in decoded])
        shape = hypotheses.shape[:2]
        return keypoints.reshape(*shape, *keypoints.shape[1:]), scores.reshape(*shape, -1)

    def _checked_heatmap_size(self, features: Tensor) -> tuple[int, int]:
        """Size (h', w') of the heatmaps for features [B, C, h, w], which must be what the codec reads."""
        if features.ndim != 4 or features.shape[1] != self.in_channels:
            raise ValueError(
                f'DiffusionHeatmapHead takes maps [B, in_channels={self.in_channels}, h, w], got {list(features.shape)}'
            )
        size = self.denoiser.heatmap_size(tuple(features.shape[-2:]))
        if self.decoder is not None and size != tuple(self.decoder.heatmap_size)[::-1]:
            raise ValueError(
                f'a feature map of {tuple(features.shape[-2:])} gives heatmaps of {size} (h, w), but the codec has '
                f'heatmap_size={tuple(self.decoder.heatmap_size)} (w, h): change the codec, or the denoiser '
                '(HeatmapDenoiser: upsample_factor = heatmap size / feature size)'
            )
        return size


def build_gaussian_codec(config: dict) -> Any:
    """Build a codec whose heatmaps are one map in [0, 1] for each keypoint, which is what is diffused."""
    codec = KEYPOINT_CODECS.build(config)
    gaussian = getattr(codec, 'heatmap_type', 'gaussian') == 'gaussian'
    if not gaussian or not isinstance(codec, MSRAHeatmap | UDPHeatmap):
        raise ValueError(
            f'DiffusionHeatmapHead diffuses Gaussian heatmaps, {config} makes something else: '
            "use MSRAHeatmap, or UDPHeatmap with heatmap_type='gaussian'"
        )
    return codec


def require_finite(tensors: Sequence[Tensor], name: str, data_samples: Sequence[Any]) -> None:
    """Stop at NaN or infinity in tensors [B, ...] and name the sample it belongs to.

    A batch normalisation spreads one sample's NaN to the whole batch, where it belongs to nobody in particular.
    """
    for values in tensors:
        finite = values.isfinite().flatten(1).all(dim=1)  # [B]
        if not finite.all():
            position = int((~finite).nonzero()[0])
            culprit = describe_sample(data_samples[position].metainfo, position)
            if len(finite) > 1 and not finite.any():
                culprit = f'every sample of a batch, of which {culprit} is the first,'
            raise ValueError(f'the {name} of {culprit} holds NaN or infinity: check its image, labels and the weights')


def heatmap_fields(samples: Samples, options: SamplingOptions) -> list[PixelData]:
    """Mean heatmaps [K, h', w'] of each person, and those of each step."""
    means = samples.hypotheses.mean(dim=1)  # [B, K, h', w']
    fields = [PixelData(heatmaps=heatmaps) for heatmaps in means]
    if options.output_estimates:
        estimates = torch.cat([estimate.mean(dim=1) for estimate in samples.estimates], dim=1)  # [B, steps * K, h', w']
        for field, maps in zip(fields, estimates, strict=True):
            field.heatmap_estimates = maps
    return fields
