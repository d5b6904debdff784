"""LCM, the Local Calibration Module of FAMI-Pose: move each cell of a map towards another map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

TAPS = 9  # of a 3x3 kernel


def deformable_convolution(
    maps: Tensor, weight: Tensor, bias: Tensor, offsets: Tensor, modulation: Tensor, dilation: int
) -> Tensor:
    """3x3 convolution of maps [N, C, h, w] whose taps are moved by offsets and scaled by modulation (DCNv2).

    Offsets [N, 2*9*G, h, w] in cells (y before x) and modulation [N, 9*G, h, w] hold for C/G channels each; outside
    is zero. It is torchvision's operator: on CPU and GPU, with gradients, and since opset 19 an operator of ONNX
    (`torch.onnx.export(..., dynamo=True)`); mmcv's exports only to a custom operator. It has no bfloat16, and half
    precision would move the taps, so it runs in float32 at least. Training on a processor takes `sampled_taps` instead:
    the operator's gradients are five times slower there.
    """
    exact = torch.promote_types(maps.dtype, torch.float32)
    source, offsets, weight, bias, modulation = (
        tensor.to(exact) for tensor in (maps, offsets, weight, bias, modulation)
    )
    if torch.is_grad_enabled() and maps.device.type == 'cpu':
        taps = sampled_taps(source, offsets, modulation, dilation)
        moved = F.conv2d(taps, weight.flatten(1)[..., None, None], bias)
    else:
        moved = deform_conv2d(source, offsets, weight, bias, padding=dilation, dilation=dilation, mask=modulation)
    return moved.to(maps.dtype)


def sampled_taps(maps: Tensor, offsets: Tensor, modulation: Tensor, dilation: int) -> Tensor:
    """What the nine taps of each cell read, scaled: [N, C*9, h, w] for the arguments of `deformable_convolution`."""
    (batch, channels, height, width), groups = maps.shape, modulation.shape[1] // TAPS
    steps = dilation * torch.arange(-1, 2, device=maps.device)
    rows = (steps[:, None] + torch.arange(height, device=maps.device))[:, None, :, None]  # [3, 1, h, 1]
    columns = (steps[:, None] + torch.arange(width, device=maps.device))[:, None]  # [3, 1, w]
    places = offsets.reshape(batch * groups, 3, 3, 2, height, width)
    places = torch.stack(  # x before y, from -1 to 1 from border to border
        ((2 * (places[:, :, :, 1] + columns) + 1) / width - 1, (2 * (places[:, :, :, 0] + rows) + 1) / height - 1), -1
    )  # [N*G, 3, 3, h, w, 2]
    folded = maps.reshape(batch * groups, channels // groups, height, width)
    taps = F.grid_sample(folded, places.flatten(1, 3), align_corners=False)  # [N*G, C/G, 9*h, w]
    taps = taps.unflatten(2, (TAPS, height)) * modulation.reshape(batch * groups, 1, TAPS, height, width)
    return taps.reshape(batch, channels * TAPS, height, width)


class CalibrationLayer(nn.Module):
    """One modulated deformable 3x3 convolution of a support frame, steered by it and the key frame.

    It starts as the identity, up to a hundredth of a cell: the kernel passes its centre on, offsets are close to 0 and
    the modulation, twice a sigmoid, is close to 1. Close instead of equal, so that gradients reach every layer at once.

    Args:
        channels: channels C of the maps.
        offset_groups: groups G of channels that move together; must divide C.
        dilation: distance of the taps in cells.
        hidden_channels: channels of the comparison.
    """

    def __init__(self, channels: int, offset_groups: int, dilation: int, hidden_channels: int = 32) -> None:
        super().__init__()
        self.dilation = dilation
        self.compare = nn.Sequential(
            nn.Conv2d(2 * channels, hidden_channels, 3, padding=1, bias=False),
            nn.GroupNorm(1, hidden_channels),
            nn.ReLU(),
            nn.Conv2d(hidden_channels, hidden_channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.GroupNorm(1, hidden_channels),
            nn.ReLU(),
        )
        self.steer = nn.Conv2d(hidden_channels, 3 * TAPS * offset_groups, 1)
        nn.init.normal_(self.steer.weight, std=1e-3)
        nn.init.zeros_(self.steer.bias)
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.dirac_(self.weight)

    def predict(self, supports: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets [N, 2*9*G, h, w] in cells and modulation [N, 9*G, h, w] in (0, 2) from two maps [N, C, h, w]."""
        steering = self.steer(self.compare(torch.cat((supports, keys), dim=1)))
        third = steering.shape[1] // 3
        offsets, logits = steering.split((2 * third, third), dim=1)
        return offsets, 2 * logits.sigmoid()

    def forward(self, supports: Tensor, keys: Tensor) -> Tensor:
        """Calibrate maps [N, C, h, w] towards those of the key frame, which only steer."""
        offsets, modulation = self.predict(supports, keys)
        return deformable_convolution(supports, self.weight, self.bias, offsets, modulation, self.dilation)


class LocalCalibration(nn.Module):
    """Calibration layers in a row, each of which compares what the one before has left with the key frame.

    The released code has four, of which only the last two see the support frames' map: its first two transform the
    comparison. Here every layer moves the support.

    Args:
        channels: channels C of the maps.
        num_layers: number of calibration layers.
        offset_groups: groups of channels that move together; must divide C.
        dilation: distance of the taps in cells.
        hidden_channels: channels of each comparison.
    """

    def __init__(
        self, channels: int, num_layers: int, offset_groups: int, dilation: int, hidden_channels: int = 32
    ) -> None:
        super().__init__()
        for name, value in (
            ('num_layers', num_layers),
            ('offset_groups', offset_groups),
            ('dilation', dilation),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f'LocalCalibration: {name} must be a whole number of at least 1, got {value!r}')
        if channels % offset_groups:
            raise ValueError(
                f'LocalCalibration: {channels} channels do not divide into offset_groups={offset_groups}: choose a '
                f'divisor of {channels}'
            )
        self.layers = nn.ModuleList(
            CalibrationLayer(channels, offset_groups, dilation, hidden_channels) for _ in range(num_layers)
        )

    def forward(self, supports: Tensor, keys: Tensor) -> Tensor:
        """Calibrate maps [N, C, h, w] towards those of the key frame, which only steer."""
        for layer in self.layers:
            supports = layer(supports, keys)
        return supports
