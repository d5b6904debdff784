"""A head that lifts 2D pose sequences to 3D by diffusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.structures import InstanceData
from mmpose.models.heads import BaseHead
from mmpose.registry import MODELS
from torch import Tensor

from ...diffusion import DiffusionProcess, HypothesisNoise, InPasses, MirrorAveraged, Samples
from ..denoisers import BasePoseDenoiser
from .pose_sequence_outputs import (
    lifting_targets,
    mirror_poses,
    pose_predictions,
    require_finite_poses,
    with_root_at_zero,
)
from .sampling_options import LiftingOptions, noise_for


@MODELS.register_module()
class DiffusionPoseHead(BaseHead):
    """Turns noise into 3D pose sequences, conditioned on the 2D sequence: D3DP (ICCV 2023) with any denoiser.

    The diffused signal is the pose in metres relative to its root joint, which is a noised joint like the others and
    put to zero in the end. The loss is the plain MPJPE over all joints and frames (the released code scales each
    gradient by its loss); padded frames count as well, as there.

    How to sample is said in `test_cfg`, per model or per call of `predict`, and needs no retraining: `num_steps` (or a
    descending list of steps), `num_hypotheses`, `seed` (None: another answer each time), `flip_test` (the mirrored view
    is looked at within each step), `output_hypotheses` (field `keypoint_hypotheses` [F, J, H, 3]),
    `hypotheses_per_pass` (fewer at a time need less memory; the answers are the same, to rounding) and `amp` (number
    format of the network's blocks, 'bfloat16' or 'float16'). A clip's answer depends on the seed and on which clip it
    is, not on its neighbours in the batch (to rounding; the noise bit by bit). A prompted denoiser with `compat=True`
    keeps neither promise where a batch has several actions: which text a row looks at depends on all rows of the pass.

    Args:
        denoiser: config of a `BasePoseDenoiser`.
        scheduler: noise schedule and solver, see `mmpose_diffusion.diffusion.build_schedule`. None: those of D3DP, DDIM
            with eta = 1 on the cosine schedule, predicting the clean poses.
        signal: `scale`, `clamp` and `spread` of `SignalRange`, whose data are poses in metres. Without them as D3DP:
            scale 1, cut at 1.1 m from the root, noise in full.
        aggregator: what makes one pose of all hypotheses: MeanCoordinates, MedianCoordinates, BestAgreement, ...
        loss: loss between poses. For networks that predict noise or v: between those.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        denoiser: dict,
        scheduler: dict | None = None,
        signal: dict | None = None,
        aggregator: dict | None = None,
        loss: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.denoiser = MODELS.build(denoiser)
        if not isinstance(self.denoiser, BasePoseDenoiser):
            raise TypeError(f'{type(self.denoiser).__name__} must be a BasePoseDenoiser: derive it from that class')
        self.process = DiffusionProcess(
            scheduler or dict(type='DDIMScheduler', beta_schedule='squaredcos_cap_v2', eta=1.0),
            dict(scale=1.0, clamp=1.1) | (signal or {}) | dict(low=-1.0, high=1.0),
        )
        self.aggregator = MODELS.build(aggregator or dict(type='MeanCoordinates'))
        if self.aggregator.merges != 'coordinates':
            raise ValueError(f'{type(self.aggregator).__name__} merges {self.aggregator.merges}, poses are coordinates')
        self.loss_module = MODELS.build(loss or dict(type='MPJPELoss'))

    def forward(self, keypoints_2d: Tensor, data_samples: Sequence[Any] | None = None) -> Tensor:
        """Poses [B, F, J, 3] of one hypothesis in one step; all clips start from the same noise.

        Of the data samples, prompts need the actions.
        """
        count = len(keypoints_2d)
        actions = [None] * count if data_samples is None else actions_of(data_samples)
        samples = self.sample_poses(keypoints_2d, actions, HypothesisNoise.from_seeds([0] * count))
        return samples.hypotheses[:, 0]

    def sample_poses(
        self,
        keypoints_2d: Tensor,
        actions: Sequence[str | None],
        noise: HypothesisNoise,
        num_steps: int | Sequence[int] = 1,
        flip_indices: Sequence[int] | None = None,
        hypotheses_per_pass: int | None = None,
    ) -> Samples:
        """Generate poses [B, H, F, J, 3], metres.

        Args:
            keypoints_2d: 2D poses [B, F, J, 2] in normalised screen coordinates.
            actions: what the people do, None: unknown.
            noise: where all randomness comes from.
            num_steps: number of steps, or the steps.
            flip_indices: the mirror partner of each joint; given, the mirrored view is looked at as well.
            hypotheses_per_pass: how many hypotheses of each clip the denoiser is given at a time; None: all.
        """
        denoise, condition = self.denoiser, self.denoiser.prepare(keypoints_2d, actions)
        if hypotheses_per_pass is not None:
            denoise = InPasses(denoise, len(keypoints_2d), hypotheses_per_pass)
        if flip_indices is not None:
            mirror = partial(mirror_poses, flip_indices=flip_indices)
            condition = (condition, self.denoiser.with_keypoints(condition, mirror(keypoints_2d)))
            denoise = MirrorAveraged(denoise, mirror)
        return self.process.sample(denoise, condition, (*keypoints_2d.shape[1:3], 3), noise, num_steps)

    def check_test_cfg(self, test_cfg: Mapping) -> LiftingOptions:
        """The sampling options of a `test_cfg`; what cannot be done is refused, when the model is built."""
        options = LiftingOptions.from_test_cfg(test_cfg)
        self.process.steps(options.num_steps)
        return options

    @torch.no_grad()
    def predict(
        self, keypoints_2d: Tensor, batch_data_samples: Sequence[Any], test_cfg: Mapping | None = None
    ) -> list[InstanceData]:
        """3D poses of B clips [B, F, J, 2]; the instances of a prediction are the F frames."""
        options = self.check_test_cfg(test_cfg or {})
        require_finite_poses(keypoints_2d, '2D', batch_data_samples)
        with options.autocast(keypoints_2d.device):
            samples = self.sample_poses(
                keypoints_2d,
                actions_of(batch_data_samples),
                noise_for(batch_data_samples, options),
                options.num_steps,
                batch_data_samples[0].metainfo['flip_indices'] if options.flip_test else None,
                options.hypotheses_per_pass,
            )
        hypotheses = with_root_at_zero(samples.hypotheses, batch_data_samples)  # [B, H, F, J, 3]
        poses, _ = self.aggregator(hypotheses, torch.ones_like(hypotheses[..., 0]))
        return pose_predictions(poses, hypotheses if options.output_hypotheses else None)

    def loss(
        self, keypoints_2d: Tensor, batch_data_samples: Sequence[Any], train_cfg: Mapping | None = None
    ) -> dict[str, Tensor]:
        """Loss of guessing the clean poses (or the noise, or v) at random steps, from clips [B, F, J, 2]."""
        require_finite_poses(keypoints_2d, '2D', batch_data_samples)
        targets = lifting_targets(keypoints_2d, batch_data_samples)  # [B, F, J, 3]
        draw = self.process.draw(targets)
        condition = self.denoiser.prepare(keypoints_2d, actions_of(batch_data_samples))
        prediction = self.denoiser(draw.network_input, draw.step, condition).float()
        if self.process.prediction_type != 'sample':
            return dict(loss_pose=self.loss_module(prediction, self.process.target(draw)))
        clean = self.process.clean_estimate(prediction, draw.noisy, draw.step)
        return dict(loss_pose=self.loss_module(self.process.signal.decode(clean), targets))


def actions_of(data_samples: Sequence[Any]) -> list[str | None]:
    """What the people of B clips do, None where nobody says."""
    return [sample.metainfo.get('action') for sample in data_samples]
