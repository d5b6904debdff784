"""What the networks that lift 2D pose sequences have in common."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn


class PoseSequenceNetwork(nn.Module, metaclass=ABCMeta):
    """2D pose sequences [B, F, J, 2] in, 3D pose sequences [B, F, J, 3] out, in two calls: `embed`, then the network.

    Args:
        num_frames: F.
        num_joints: J.
    """

    def __init__(self, num_frames: int, num_joints: int) -> None:
        super().__init__()
        self.num_frames, self.num_joints = num_frames, num_joints
        self._register_load_state_dict_pre_hook(self._refuse_other_sizes)

    @abstractmethod
    def embed(self, keypoints_2d: Tensor) -> Tensor:
        """2D poses [B, F, J, 2] -> what the network takes."""

    @abstractmethod
    def sized_weights(self) -> dict[str, tuple[int, str]]:
        """Weights whose rows tell what sizes a checkpoint is for: name -> (rows of this network, their meaning)."""

    def check_shape(self, keypoints_2d: Tensor) -> None:
        """Stop unless clips [B, F, J, 2] have the network's number of frames and joints."""
        expected = (self.num_frames, self.num_joints, 2)
        if keypoints_2d.ndim != 4 or keypoints_2d.shape[1:] != expected:
            raise ValueError(
                f'this network lifts sequences [B, {", ".join(map(str, expected))}] (clips, frames, joints, x y), got '
                f'{list(keypoints_2d.shape)}: cut the data into chunks of num_frames={self.num_frames}, or build and '
                'train the network for other sizes'
            )

    def _refuse_other_sizes(self, state_dict: dict[str, Tensor], prefix: str, *_: object) -> None:
        """Stop when a checkpoint of other frames or joints is loaded: MMEngine would only warn."""
        for name, (rows, meaning) in self.sized_weights().items():
            weight = state_dict.get(prefix + name)
            if isinstance(weight, Tensor) and weight.shape[0] != rows:
                raise ValueError(
                    f'{prefix}{name} of the checkpoint is for {weight.shape[0]} {meaning}, this model has '
                    f'{rows}: build the model for the same number, or load another checkpoint'
                )


def full_precision(tensor: Tensor) -> AbstractContextManager:
    """Switches mixed precision off: coordinates in and out of a network want more than its three digits."""
    device = tensor.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
