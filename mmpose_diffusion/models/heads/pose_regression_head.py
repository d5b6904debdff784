"""A head that lifts 2D pose sequences to 3D at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.structures import InstanceData
from mmpose.models.heads import BaseHead
from mmpose.registry import MODELS
from torch import Tensor

from ..pose_sequence_network import PoseSequenceNetwork
from .pose_sequence_outputs import (
    lifting_targets,
    mirror_poses,
    pose_predictions,
    require_finite_poses,
    with_root_at_zero,
)
from .sampling_options import LiftingOptions, refuse_unknown_options


@MODELS.register_module()
class PoseRegressionHead(BaseHead):
    """One answer without diffusion, by MixSTE (CVPR 2022) or VideoPose3D: what D3DP and FinePOSE have to beat.

    Of `test_cfg` it reads `flip_test` (average with the mirrored view) and `amp`. The loss is the plain MPJPE, as for
    the diffusion heads, instead of MixSTE's own mixture.

    Args:
        trunk: options of `PoseSequenceTransformer`; or of another `PoseSequenceNetwork`, which `type` names.
        loss: loss between poses.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, trunk: dict, loss: dict | None = None, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        self.trunk = MODELS.build(dict(type='PoseSequenceTransformer') | trunk)
        if not isinstance(self.trunk, PoseSequenceNetwork):
            raise TypeError(f'{type(self.trunk).__name__} must be a PoseSequenceNetwork: derive it from that class')
        self.loss_module = MODELS.build(loss or dict(type='MPJPELoss'))

    def forward(self, keypoints_2d: Tensor, data_samples: Sequence[Any] | None = None) -> Tensor:
        """2D poses [B, F, J, 2] -> 3D poses [B, F, J, 3], metres relative to the root joint; samples say no more."""
        return self.trunk(self.trunk.embed(keypoints_2d))

    def check_test_cfg(self, test_cfg: Mapping) -> LiftingOptions:
        """The options of a `test_cfg`; those of sampling are refused, as nothing is sampled."""
        refuse_unknown_options(test_cfg, ('flip_test', 'amp'))
        return LiftingOptions.from_test_cfg(test_cfg)

    @torch.no_grad()
    def predict(
        self, keypoints_2d: Tensor, batch_data_samples: Sequence[Any], test_cfg: Mapping | None = None
    ) -> list[InstanceData]:
        """3D poses of B clips [B, F, J, 2]; the instances of a prediction are the F frames."""
        options = self.check_test_cfg(test_cfg or {})
        require_finite_poses(keypoints_2d, '2D', batch_data_samples)
        with options.autocast(keypoints_2d.device):
            poses = self(keypoints_2d)  # [B, F, J, 3]
            if options.flip_test:
                flip_indices = batch_data_samples[0].metainfo['flip_indices']
                mirrored = self(mirror_poses(keypoints_2d, flip_indices))
                poses = (poses + mirror_poses(mirrored, flip_indices)) / 2
        return pose_predictions(with_root_at_zero(poses, batch_data_samples))

    def loss(
        self, keypoints_2d: Tensor, batch_data_samples: Sequence[Any], train_cfg: Mapping | None = None
    ) -> dict[str, Tensor]:
        """Mean distance to the true joints, for clips [B, F, J, 2]."""
        require_finite_poses(keypoints_2d, '2D', batch_data_samples)
        return dict(loss_pose=self.loss_module(self(keypoints_2d), lifting_targets(keypoints_2d, batch_data_samples)))
