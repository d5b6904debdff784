"""What every temporal neck is: maps of T frames in, one fused map of the key frame out."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

from mmengine.model import BaseModule
from torch import Tensor

from ...structures import ClipFeatures, FrameWindow


class TemporalNeck(BaseModule, metaclass=ABCMeta):
    """Base of the necks that fuse the frames of a clip into one map of its key frame.

    A subclass states its channels, implements `fuse` and registers itself in `mmpose.registry.MODELS`. It promises:
    a clip's result depends on nothing but that clip (in evaluation mode), frames with `window.is_real` False carry no
    weight, any number of frames works, and every parameter takes part in every forward pass, even for one frame.

    Args:
        in_channels: channels C of the per-frame maps.
        out_channels: channels C' of the fused map; the head's `in_channels`.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, in_channels: int, out_channels: int, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        for name, value in (('in_channels', in_channels), ('out_channels', out_channels)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f'{type(self).__name__}: {name} must be a positive integer, got {value!r}')
        self.in_channels = in_channels
        self.out_channels = out_channels

    @abstractmethod
    def fuse(self, frames: Tensor, window: FrameWindow) -> Tensor:
        """Fuse maps [B, T, C, h, w] (oldest first) into the map [B, C', h, w] of the key frame."""

    def forward(self, frames: Tensor, window: FrameWindow) -> ClipFeatures:
        """Check the maps [B, T, C, h, w] of a batch of clips and fuse them."""
        self.check_maps(frames, window)
        return ClipFeatures(frames=frames, window=window, aligned=None, fused=self.fuse(frames, window))

    def check_maps(self, frames: Tensor, window: FrameWindow) -> None:
        """Refuse maps that are not [B, T, C, h, w] with the neck's channels and the window's clips and frames."""
        name = type(self).__name__
        if frames.ndim != 5:
            raise ValueError(f'{name} takes maps [B, T, C, h, w], got {list(frames.shape)}')
        if frames.shape[2] != self.in_channels:
            raise ValueError(f'{name} has in_channels={self.in_channels}, got maps of {frames.shape[2]} channels')
        if window.offsets.shape != frames.shape[:2]:
            raise ValueError(
                f'{name}: the frame window describes {list(window.offsets.shape)} (clips, frames), '
                f'the maps are {list(frames.shape[:2])}'
            )
