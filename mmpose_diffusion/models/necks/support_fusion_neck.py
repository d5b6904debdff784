"""A plain learned fusion: look at each support frame next to the key frame, and add what it shows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...structures import FrameWindow
from .temporal_neck import TemporalNeck


def offset_encoding(offsets: Tensor) -> Tensor:
    """Encode frame offsets [...] as direction and distance [..., 2], defined for any offset and mild for far ones."""
    offsets = offsets.float()
    return torch.stack((offsets.sign(), offsets.abs().log1p()), dim=-1)


def masked_mean_over_supports(messages: Tensor, logits: Tensor, is_real: Tensor) -> Tensor:
    """Weigh messages [B, S, W, h, w] of S support frames with a softmax over S, and with the option to take none.

    The option is one more entry of the softmax, of logit 0 and message 0. It lets every channel and cell decline all
    supports, and it keeps the softmax defined when no support is real (`is_real` [B, S]) or when S is 0.
    Returns [B, W, h, w].
    """
    logits = logits.masked_fill(~is_real[:, :, None, None, None], float('-inf'))
    decline = logits.new_zeros(logits.shape[0], 1, *logits.shape[2:])  # [B, 1, W, h, w]
    weights = torch.cat((decline, logits), dim=1).softmax(dim=1)[:, 1:]  # [B, S, W, h, w]
    return (weights * messages).sum(dim=1)


@MODELS.register_module()
class SupportFusionNeck(TemporalNeck):
    """Add to the key frame's map what the support frames show, weighed per channel and cell.

    Each support frame is compared with the key frame by a few dilated convolutions, which also know its temporal
    offset; they write a message and a weight for every cell. Their field of view (15 cells by default) is what bounds
    the motion they can follow. The weighed messages are added to the key frame's map.

    The sum starts close to zero, so training starts from the image model. A border repeat has no weight, and a clip
    without real supports gives exactly the key frame's map. Cost grows linearly with the number of supports.

    Args:
        in_channels: channels C of the per-frame maps, and of the result.
        hidden_channels: width W of the comparison; a multiple of `norm_groups`.
        dilations: dilation of each 3x3 convolution of the comparison.
        norm_groups: groups of the group normalisation (batch normalisation would mix the people of a batch).
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 64,
        dilations: Sequence[int] = (1, 2, 4),
        norm_groups: int = 8,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(in_channels, in_channels, init_cfg)
        if hidden_channels % norm_groups:
            raise ValueError(
                f'SupportFusionNeck: hidden_channels={hidden_channels} must be a multiple of norm_groups={norm_groups}'
            )
        self.reduce = nn.Conv2d(in_channels, hidden_channels, 1)
        self.embed_offset = nn.Linear(2, hidden_channels)
        self.pair = nn.Conv2d(2 * hidden_channels, hidden_channels, 1)
        self.compare = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(norm_groups, hidden_channels),
                nn.ReLU(),
                nn.Conv2d(hidden_channels, hidden_channels, 3, padding=dilation, dilation=dilation),
            )
            for dilation in dilations
        )
        self.weigh = nn.Conv2d(hidden_channels, hidden_channels, 1)
        # No bias: without a real support nothing is added. Small, not zero: gradients reach every layer at once.
        self.expand = nn.Conv2d(hidden_channels, in_channels, 1, bias=False)
        nn.init.normal_(self.expand.weight, std=1e-3)

    def fuse(self, frames: Tensor, window: FrameWindow) -> Tensor:
        """Fuse maps [B, T, C, h, w] into [B, C, h, w]; S = T - 1 supports are folded into the batch on the way."""
        batch_size, num_supports = frames.shape[0], window.num_frames - 1
        reduced = self.reduce(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])  # [B, T, W, h, w]
        supports = reduced[:, window.support_positions]  # [B, S, W, h, w]
        key = reduced[:, window.key_index, None].expand_as(supports)
        offsets = self.embed_offset(offset_encoding(window.support_offsets).to(self.embed_offset.weight.dtype))

        pairs = torch.cat((key, supports - key), dim=2).flatten(0, 1)  # [B*S, 2W, h, w]
        compared = self.pair(pairs) + offsets.flatten(0, 1)[:, :, None, None]
        for layer in self.compare:
            compared = compared + layer(compared)
        folded = (batch_size, num_supports)
        logits, messages = (maps.unflatten(0, folded) for maps in (self.weigh(compared), compared))
        seen = masked_mean_over_supports(messages, logits, window.support_is_real)  # [B, W, h, w]
        return frames[:, window.key_index] + self.expand(seen)
