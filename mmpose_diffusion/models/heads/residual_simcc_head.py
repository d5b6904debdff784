"""Heatmaps and coordinate classification side by side: the head of SimCC-Pose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.evaluation.functional import pose_pck_accuracy, simcc_pck_accuracy
from mmpose.models.heads import HeatmapHead, SimCCHead
from mmpose.models.losses import KLDiscretLoss
from mmpose.models.utils.tta import flip_heatmaps, flip_vectors
from mmpose.registry import MODELS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor, nn

from ...codecs import DECODINGS, HeatmapSimCCLabel
from ...structures import describe_sample
from .sampling_options import FLIP_MODES, refuse_unknown_options

TEST_OPTIONS = ('decode', 'flip_test', 'flip_mode', 'shift_heatmap', 'output_heatmaps')
Features = Sequence[Tensor]  # the head reads the last one, [B, C, h, w]
Outputs = tuple[Tensor, Tensor, Tensor]  # heatmaps [B, K, h', w'], x [B, K, bins along x], y [B, K, bins along y]


@MODELS.register_module()
class ResidualSimCCHead(HeatmapHead):
    """MMPose's HeatmapHead with the two coordinate classifiers of its SimCCHead: SimCC-Pose, a variant of FAMI-Pose.

    The layers up to the heatmaps are those of HeatmapHead and keep their names, so that its checkpoints fill them. Each
    keypoint is represented by its heatmap plus a residual, a 1x1 convolution of the layer before the heatmaps; this
    sum is flattened and goes through one linear layer per axis, to `simcc_split_ratio` bins per pixel (SimCC, ECCV
    2022). The classifiers thus start from what the heatmap says and learn what it cannot: a cell is several pixels
    wide. What the variant's "residual module" adds to is nowhere said, this is our reading of it.

    Losses: `loss_heatmap`, `loss_simcc` (in nats, whatever the size, k and batch). Mutual information and the like hang
    on the estimator (`aux_losses`).

    `test_cfg` says how to decode, per model or per call of `predict`: `decode` ('heatmap', 'simcc' or 'fusion', the
    default: average in coordinate space, weighted by confidence), `flip_test`, `shift_heatmap` and `output_heatmaps`
    (the heatmaps in the predicted fields; `keypoint_x_labels` and `keypoint_y_labels` in the instances).

    Confidence of both branches is the height of the peak beside that of a perfect answer: a heatmap's is 1 by
    construction; the probability of the best bin is divided by that of the centre of a perfect label, and the lower of
    the two axes counts. SimCCHead of MMPose scores by raw logits instead, which have no scale.

    Args:
        in_channels: channels C of the feature map.
        out_channels: number K of keypoints.
        decoder: config of a `HeatmapSimCCLabel`, which also says how many bins and cells there are.
        simcc_loss: config of a `KLDiscretLoss` between classifiers and labels, which is brought to nats.
        heatmap_options: other arguments of HeatmapHead: `deconv_out_channels`, `loss` (of the heatmaps; its
            `loss_weight` balances the two) ....
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        decoder: dict,
        simcc_loss: dict | None = None,
        **heatmap_options: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, decoder=decoder, **heatmap_options)
        if not isinstance(self.decoder, HeatmapSimCCLabel):
            raise TypeError(
                f'ResidualSimCCHead has two branches and wants decoder=dict(type={HeatmapSimCCLabel.__name__!r}, '
                f'heatmap=..., simcc=...), got {decoder}'
            )
        self.residual_layer = nn.Conv2d(self.final_layer.in_channels, out_channels, kernel_size=1)
        self.classifiers = SimCCHead(
            in_channels=out_channels,
            out_channels=out_channels,
            input_size=self.decoder.input_size,
            in_featuremap_size=self.decoder.heatmap_size,
            simcc_split_ratio=self.decoder.split_factor,
            deconv_out_channels=None,
            final_layer=None,
            loss=simcc_loss or dict(type='KLDiscretLoss', use_target_weight=True),
        )
        if not isinstance(self.classifiers.loss_module, KLDiscretLoss):
            raise TypeError(f'simcc_loss must be a KLDiscretLoss, whose softmax decoding repeats, got {simcc_loss}')
        self.perfect_peaks = self._perfect_peaks()

    def forward(self, feats: Features) -> Outputs:
        """Heatmaps [B, K, h', w'] and the logits of the bins, x [B, K, bins along x] and y [B, K, bins along y]."""
        features = self.conv_layers(self.deconv_layers(feats[-1]))
        heatmaps = self.final_layer(features)
        width, height = self.decoder.heatmap_size
        if heatmaps.shape[1:] != (self.out_channels, height, width):
            raise ValueError(
                f'a feature map of {tuple(feats[-1].shape[-2:])} gives heatmaps of {tuple(heatmaps.shape[-2:])} '
                f'(h, w), but the codec has heatmap_size={(width, height)} (w, h): change the codec, or the '
                'deconvolutions (each entry of deconv_out_channels doubles the size)'
            )
        x, y = self.classifiers.forward((heatmaps + self.residual_layer(features),))
        return heatmaps, x, y

    def check_test_cfg(self, test_cfg: Mapping) -> None:
        """Refuse what cannot be done; video models ask when they are built."""
        refuse_unknown_options(test_cfg, (*TEST_OPTIONS, 'output_keypoint_indices'))  # MMPose's estimator
        for name, default, known in (('decode', 'fusion', DECODINGS), ('flip_mode', 'heatmap', FLIP_MODES)):
            if test_cfg.get(name, default) not in known:
                raise ValueError(f'test_cfg.{name} must be one of {", ".join(known)}, got {test_cfg[name]!r}')

    @torch.no_grad()
    def predict(
        self, feats: Features | list[Features], batch_data_samples: Sequence[Any], test_cfg: Mapping | None = None
    ) -> list[InstanceData] | tuple[list[InstanceData], list[PixelData]]:
        """Poses of B people, and with `output_heatmaps` also their heatmaps.

        With `flip_test`, `feats` is the list of the features of the images and of their mirror images.
        """
        test_cfg = test_cfg or {}
        self.check_test_cfg(test_cfg)
        heatmaps, x, y = self._flip_tested(feats, batch_data_samples, test_cfg)
        x, y = (values / peak for values, peak in zip((x, y), self.perfect_peaks, strict=True))
        predictions = []
        for maps, labels_x, labels_y in zip(*map(to_numpy, (heatmaps, x, y)), strict=True):
            keypoints, scores = self.decoder.decode(maps, labels_x, labels_y, test_cfg.get('decode', 'fusion'))
            predictions.append(InstanceData(keypoints=keypoints, keypoint_scores=scores))
        if not test_cfg.get('output_heatmaps', False):
            return predictions
        for prediction, labels_x, labels_y in zip(predictions, to_numpy(x), to_numpy(y), strict=True):
            prediction.keypoint_x_labels, prediction.keypoint_y_labels = labels_x[None], labels_y[None]
        return predictions, [PixelData(heatmaps=maps) for maps in heatmaps]

    def loss(
        self, feats: Features, batch_data_samples: Sequence[Any], train_cfg: Mapping | None = None
    ) -> dict[str, Tensor]:
        """MSE of the heatmaps and KL divergence of the coordinate classes."""
        heatmaps, x, y = (output.float() for output in self.forward(feats))
        true_heatmaps, true_x, true_y, weights = self._targets(batch_data_samples)
        losses = dict(
            loss_heatmap=self.loss_module(heatmaps, true_heatmaps, weights),
            loss_simcc=self._simcc_loss((x, y), (true_x, true_y), weights),
        )
        if (train_cfg or {}).get('compute_acc', True):
            counts = to_numpy(weights) > 0
            bins, true_bins = to_numpy((x, y)), to_numpy((true_x, true_y))
            accuracies = dict(
                acc_pose=pose_pck_accuracy(to_numpy(heatmaps), to_numpy(true_heatmaps), counts),
                acc_simcc=simcc_pck_accuracy(bins, true_bins, self.decoder.split_factor, counts),
            )
            for name, (_, accuracy, _) in accuracies.items():
                losses[name] = torch.tensor(accuracy, device=heatmaps.device)
        return losses

    def _simcc_loss(self, logits: tuple[Tensor, Tensor], labels: tuple[Tensor, Tensor], weights: Tensor) -> Tensor:
        """KL(labels || classes) in nats: the sum of both axes, a mean over people and keypoints.

        KLDiscretLoss averages over bins and sums over people, so its balance with the heatmaps would hold for one size
        of the input, one split factor and one batch size alone.
        """
        loss = self.classifiers.loss_module
        nats = [loss((x,), (target,), weights) * target.shape[-1] for x, target in zip(logits, labels, strict=True)]
        return sum(nats) / len(weights)

    def _flip_tested(self, feats: Any, data_samples: Sequence[Any], test_cfg: Mapping) -> Outputs:
        """Heatmaps and probabilities of the bins; with `flip_test`, their average over both views.

        Averaged logarithms would give views that contradict each other one sharp peak at a place that neither saw.
        """
        if not test_cfg.get('flip_test', False):
            return self._heatmaps_and_probabilities(feats)
        if not isinstance(feats, list) or len(feats) != 2:
            raise TypeError('flip_test wants a list of the features of the images and of their mirror images')
        flip_indices = data_samples[0].metainfo['flip_indices']
        (heatmaps, x, y), (mirrored_heatmaps, mirrored_x, mirrored_y) = map(self._heatmaps_and_probabilities, feats)
        mirrored_heatmaps = flip_heatmaps(
            mirrored_heatmaps, flip_indices, shift_heatmap=test_cfg.get('shift_heatmap', False)
        )
        mirrored_x, mirrored_y = flip_vectors(mirrored_x, mirrored_y, flip_indices)
        # Pixel p becomes W - 1 - p in the mirror, so its bin k * p is found k - 1 bins behind its place in the mirrored
        # bins (MMPose leaves it there). The last k - 1 bins lie beyond the last pixel and have only one view.
        shift = int(self.decoder.split_factor) - 1
        mirrored_x = torch.cat([mirrored_x[..., shift:], x[..., x.shape[-1] - shift :]], dim=-1)
        return (heatmaps + mirrored_heatmaps) / 2, (x + mirrored_x) / 2, (y + mirrored_y) / 2

    def _heatmaps_and_probabilities(self, feats: Features) -> Outputs:
        """`forward`, with the logits made probabilities as the loss does."""
        heatmaps, x, y = (output.float() for output in self.forward(feats))
        beta = self.classifiers.loss_module.beta
        return heatmaps, (beta * x).softmax(-1), (beta * y).softmax(-1)

    def _perfect_peaks(self) -> tuple[float, float]:
        """Probability of the best bin on each axis for a keypoint in the middle that is learned perfectly."""
        middle = np.array(self.decoder.input_size, dtype=np.float32)[None, None] // 2
        encoded, loss = self.decoder.simcc.encode(middle), self.classifiers.loss_module
        peaks = []
        for name in ('keypoint_x_labels', 'keypoint_y_labels'):
            label = torch.from_numpy(encoded[name]).flatten()
            target = (label * loss.label_beta).softmax(0) if loss.label_softmax else label / label.sum()
            peaks.append(target.max().item())
        return tuple(peaks)

    def _targets(self, data_samples: Sequence[Any]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Target heatmaps [B, K, h', w'], labels x and y [B, K, bins] and weights [B, K], which must fit the head."""
        for position, sample in enumerate(data_samples):
            has = 'heatmaps' in sample.get('gt_fields', {}), 'keypoint_x_labels' in sample.gt_instance_labels
            if not all(has):
                missing = 'SimCC labels' if has[0] else 'heatmaps'
                raise ValueError(
                    f'{describe_sample(sample.metainfo, position)} has no {missing}: give GenerateTarget the codec of '
                    'the head as encoder (HeatmapSimCCLabel)'
                )
        labels = [sample.gt_instance_labels for sample in data_samples]
        heatmaps = torch.stack([sample.gt_fields.heatmaps for sample in data_samples]).float()
        x, y, weights = (
            torch.cat([label[name] for label in labels]).float()
            for name in ('keypoint_x_labels', 'keypoint_y_labels', 'keypoint_weights')
        )
        codec, num_keypoints = self.decoder, self.out_channels
        expected = [(num_keypoints, *codec.heatmap_size[::-1]), *((num_keypoints, bins) for bins in codec.num_bins)]
        for name, target, shape in zip(('heatmaps', 'x labels', 'y labels'), (heatmaps, x, y), expected, strict=True):
            if target.shape[1:] != shape:
                raise ValueError(
                    f'the {name} of the data are {list(target.shape[1:])}, the head makes {list(shape)} for the input '
                    f'size {codec.input_size} and simcc_split_ratio={codec.split_factor}: give GenerateTarget and the '
                    'head the same codec, and check out_channels'
                )
        return heatmaps, x, y, weights
