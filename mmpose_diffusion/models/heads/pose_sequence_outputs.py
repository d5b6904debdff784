"""What heads that lift sequences read from data samples and write into predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor

from ...structures import describe_sample


def mirror_poses(poses: Tensor, flip_indices: Sequence[int]) -> Tensor:
    """Left becomes right: poses [..., J, D] centred in x -> x negated, left and right joints exchanged."""
    signs = poses.new_ones(poses.shape[-1])
    signs[0] = -1
    return poses[..., list(flip_indices), :] * signs


def require_finite_poses(poses: Tensor, name: str, data_samples: Sequence[Any]) -> None:
    """Refuse poses [B, ...] with NaN or infinity, and name the sample they belong to."""
    finite = poses.isfinite().flatten(1).all(dim=1)  # [B]
    if not finite.all():
        position = int((~finite).nonzero()[0])
        sample = describe_sample(data_samples[position].metainfo, position)
        raise ValueError(f'the {name} poses of {sample} hold NaN or infinity: fill such gaps, or leave the frames out')


def lifting_targets(keypoints_2d: Tensor, data_samples: Sequence[Any]) -> Tensor:
    """The 3D poses [B, F, J, 3] that belong to 2D poses [B, F, J, 2]; metres, relative to the root."""
    targets = torch.stack([sample.gt_instance_labels.lifting_target for sample in data_samples]).to(keypoints_2d)
    if targets.shape[:-1] != keypoints_2d.shape[:-1] or targets.shape[-1] != 3:
        raise ValueError(
            f'2D poses {list(keypoints_2d.shape)} (clips, frames, joints, x y) go with 3D poses of the same frames and '
            f'joints, got {list(targets.shape)}'
        )
    require_finite_poses(targets, '3D', data_samples)
    return targets


def with_root_at_zero(poses: Tensor, data_samples: Sequence[Any]) -> Tensor:
    """Poses [..., J, 3] -> the same with the root joint at the origin, which it is by definition."""
    poses = poses.clone()
    poses[..., data_samples[0].metainfo.get('root_index', 0), :] = 0
    return poses


def pose_predictions(poses: Tensor, hypotheses: Tensor | None = None) -> list[InstanceData]:
    """Poses [B, F, J, 3], hypotheses [B, H, F, J, 3] -> a prediction for each clip; its instances are the frames.

    They hold `keypoints` [F, J, 3], `keypoint_scores` [F, J], all 1, and `keypoint_hypotheses` [F, J, H, 3].
    """
    predictions = [
        InstanceData(keypoints=clip, keypoint_scores=np.ones(clip.shape[:2], np.float32)) for clip in to_numpy(poses)
    ]
    if hypotheses is not None:
        for prediction, clip in zip(predictions, to_numpy(hypotheses.permute(0, 2, 3, 1, 4)), strict=True):
            prediction.keypoint_hypotheses = clip
    return predictions
