"""A temporal neck of your own: twenty lines, registered in MMPose, usable from any config."""

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from mmpose_diffusion.models import TemporalNeck
from mmpose_diffusion.structures import FrameWindow


@MODELS.register_module()
class RecencyNeck(TemporalNeck):
    """Average the frames; the farther a frame is from the key frame, the less it counts.

    How fast a frame loses its weight is learned, for each channel: a channel that follows something slow may look far.

    Args:
        in_channels: channels of the per-frame maps, and of the result.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, in_channels: int, init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, out_channels=in_channels, init_cfg=init_cfg)
        self.decay = nn.Parameter(torch.full((in_channels,), 3.0))  # starts close to the key frame alone

    def fuse(self, frames: Tensor, window: FrameWindow) -> Tensor:
        """Fuse maps [B, T, C, h, w] into the key frame's map [B, C, h, w]."""
        distance = window.offsets.abs().to(frames.dtype)  # [B, T]
        logits = -nn.functional.softplus(self.decay) * distance[:, :, None]  # [B, T, C]
        # A frame outside the video repeats its neighbour: it is no evidence and gets no weight.
        logits = logits.masked_fill(~window.is_real[:, :, None], float('-inf'))
        weights = logits.softmax(dim=1)[..., None, None]  # [B, T, C, 1, 1]
        return (weights * frames).sum(dim=1)
