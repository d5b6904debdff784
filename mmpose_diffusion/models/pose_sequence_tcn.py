"""Convolutions over the frames of a pose sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmpose.models.backbones import TCN
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn.functional import pad

from .pose_sequence_network import PoseSequenceNetwork, full_precision


@MODELS.register_module()
class PoseSequenceTCN(PoseSequenceNetwork):
    """The network of VideoPose3D (CVPR 2019): 2D pose sequences [B, F, J, 2] in, 3D pose sequences [B, F, J, 3] out.

    It is MMPose's `TCN` with a linear layer behind it. A frame is lifted by what the frames around it show; a clip's
    first and last frame stand for those beyond its ends. It always computes in full precision.

    Args:
        num_frames: F, which a clip must have although the weights would fit any number.
        num_joints: J.
        width: channels of the convolutions.
        kernel_sizes: frames that each of two or more convolutions looks at, odd numbers; one answer depends on as many
            frames as their product.
        dropout: probability of dropping a channel.
    """

    def __init__(
        self,
        num_frames: int,
        num_joints: int = 17,
        width: int = 1024,
        kernel_sizes: Sequence[int] = (3, 3, 3),
        dropout: float = 0.25,
    ) -> None:
        super().__init__(num_frames, num_joints)
        if len(kernel_sizes) < 2 or not all(size % 2 for size in kernel_sizes):
            raise ValueError(f'PoseSequenceTCN: kernel_sizes must be two or more odd numbers, got {kernel_sizes}')
        self.reach = math.prod(kernel_sizes) // 2
        self.tcn = TCN(2 * num_joints, width, len(kernel_sizes) - 1, kernel_sizes, dropout)
        self.output = nn.Conv1d(width, 3 * num_joints, 1)

    def embed(self, keypoints_2d: Tensor) -> Tensor:
        """2D poses [B, F, J, 2] -> the convolutions' input [B, J * 2, reach + F + reach]."""
        self.check_shape(keypoints_2d)
        return pad(keypoints_2d.flatten(2).transpose(1, 2), (self.reach, self.reach), mode='replicate')

    def sized_weights(self) -> dict[str, tuple[int, str]]:
        """The last layer's: x, y, z of each joint."""
        return {'output.weight': (3 * self.num_joints, 'coordinates (three times num_joints)')}

    def forward(self, padded: Tensor) -> Tensor:
        """Result of `embed` -> 3D poses [B, F, J, 3]."""
        with full_precision(padded):
            channels = self.output(self.tcn(padded)[-1])  # [B, J * 3, F]
        return channels.transpose(1, 2).unflatten(2, (self.num_joints, 3))
