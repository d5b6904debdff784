"""No fusion: the baseline and ablation arm of every video model."""

from __future__ import annotations

from mmpose.registry import MODELS
from torch import Tensor

from ...structures import FrameWindow
from .temporal_neck import TemporalNeck


@MODELS.register_module()
class KeyFrameNeck(TemporalNeck):
    """Pass the key frame's map on as it is; the support frames change nothing.

    With it a video model computes exactly what the image model of the same backbone and head computes.

    Args:
        in_channels: channels of the per-frame maps, and of the result.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, in_channels: int, init_cfg: dict | list | None = None) -> None:
        super().__init__(in_channels, in_channels, init_cfg)

    def fuse(self, frames: Tensor, window: FrameWindow) -> Tensor:
        """Select the key frame's map [B, C, h, w] from [B, T, C, h, w]."""
        return frames[:, window.key_index]
