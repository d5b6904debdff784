"""A feature map brought to several sizes."""

from __future__ import annotations

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from torch import Tensor, nn


def power_of_two(value: int) -> bool:
    """Is it 1, 2, 4, 8, ...?"""
    return isinstance(value, int) and value >= 1 and value & (value - 1) == 0


class ConditionPyramid(nn.Module):
    """Features at 1/s of the heatmap's size for each scale s: up by transposed convolutions, down by strided ones.

    DiffPose upsamples the map of a vision transformer by 1, 2 and 4. Starting from `upsample_factor` (heatmap size over
    feature size) instead serves any backbone: HRNet's map has the heatmap's size already and is brought down.

    The way up starts from all channels of the features: each of their cells says where in many cells of the heatmap a
    keypoint is, which a narrower map of the same size could not hold.

    Args:
        in_channels: channels of the feature map.
        channels: channels of every result.
        upsample_factor: heatmap size over feature size, a power of two.
        scales: wanted sizes, each as heatmap size over map size, powers of two.
        norm_cfg: normalisation of every convolution.
    """

    def __init__(
        self, in_channels: int, channels: int, upsample_factor: int, scales: Sequence[int], norm_cfg: dict | None
    ) -> None:
        super().__init__()
        for name, values in (('upsample_factor', [upsample_factor]), ('scales', scales)):
            if not all(map(power_of_two, values)) or not values:
                raise ValueError(f'{name} must be a power of two (1, 2, 4, ...), got {values}')
        self.upsample_factor = upsample_factor
        self.scales = tuple(scales)
        # each chain's n-th layer leads to scale upsample_factor / 2^n, or times 2^n
        ups = (upsample_factor // min(scales)).bit_length() - 1 if min(scales) < upsample_factor else 0
        downs = (max(scales) // upsample_factor).bit_length() - 1 if max(scales) > upsample_factor else 0
        is_entered = max(scales) >= upsample_factor
        self.entry = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg) if is_entered else None
        deconv = dict(kernel_size=4, stride=2, padding=1, conv_cfg=dict(type='deconv'), norm_cfg=norm_cfg)
        self.up = nn.ModuleList(
            ConvModule(in_channels if level == 0 else channels, channels, **deconv) for level in range(ups)
        )
        self.down = nn.ModuleList(ConvModule(channels, channels, 3, 2, 1, norm_cfg=norm_cfg) for _ in range(downs))

    def forward(self, features: Tensor) -> list[Tensor]:
        """Features [B, C, h, w] -> one map [B, channels, h', w'] for each scale, in the order of `scales`."""
        maps = {}
        if self.entry is not None:
            maps[self.upsample_factor] = self.entry(features)
        scale, nearer = self.upsample_factor, features
        for layer in self.up:
            scale //= 2
            maps[scale] = nearer = layer(nearer)
        scale = self.upsample_factor
        for layer in self.down:
            maps[2 * scale] = layer(maps[scale])
            scale *= 2
        return [maps[scale] for scale in self.scales]
