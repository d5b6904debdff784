"""GTM, the Global Transformation Module of FAMI-Pose: move a whole map towards another one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # an affine matrix [[a, b, x], [c, d, y]], row by row
# How many numbers each kind of transformation has, and which of them changes each entry; the one after the last is 0.
FREEDOM = {'affine': (6, [0, 1, 2, 3, 4, 5]), 'translation': (2, [2, 2, 0, 2, 2, 1])}
POOLED_SIZE = (4, 3)  # (h, w) of what the linear layers see, whatever the size of the map


def affine_warp(maps: Tensor, matrices: Tensor) -> Tensor:
    """Read maps [N, C, h, w] at the places that affine matrices [N, 2, 3] send each cell to; outside is zero.

    Coordinates run from -1 to 1 from border to border, x first. In half precision a coordinate would be off by up to
    half a cell of a large map, so places and interpolation are float32 at least: in plain arithmetic, since autocast
    would do `torch.nn.functional.affine_grid`, a matrix product, in half precision (which has no empty batch either).
    """
    exact = torch.promote_types(maps.dtype, torch.float32)
    rows, columns = (
        (2 * torch.arange(size, dtype=exact, device=maps.device) + 1) / size - 1 for size in maps.shape[-2:]
    )
    matrices = matrices.to(exact)[:, None, None]  # [N, 1, 1, 2, 3]
    places = matrices[..., 0] * columns[:, None] + matrices[..., 1] * rows[:, None, None] + matrices[..., 2]
    return F.grid_sample(maps.to(exact), places, align_corners=False).to(maps.dtype)  # places [N, h, w, 2]


class GlobalTransformation(nn.Module):
    """Predict one transformation for a whole map from its difference to the key frame's, and warp the map by it.

    A small strided network looks at the difference beside the key frame's map; of the difference alone, as in the
    paper, the normalisation would take away the size, and with it how far to go. The result is pooled to a fixed grid
    (the released code ties its linear layers to 384x288 pixels), and two linear layers write the matrix. It starts at
    the identity, up to about a hundredth of a cell: the last weights are small instead of zero, so that gradients reach
    every layer at once. All channels are normalised together, because one channel of a map of one cell would become 0.

    Args:
        in_channels: channels C of the maps.
        kind: 'affine' (the paper) or 'translation' (the released code).
        hidden_channels: channels of the strided network.
    """

    def __init__(self, in_channels: int, kind: str = 'affine', hidden_channels: int = 32) -> None:
        super().__init__()
        num_free, changed_by = FREEDOM[kind]
        channels = [2 * in_channels] + [hidden_channels] * 3
        self.compare = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
                    nn.GroupNorm(1, channels_out),
                    nn.ReLU(),
                )
                for channels_in, channels_out in zip(channels[:-1], channels[1:], strict=True)
            )
        )
        self.regress = nn.Sequential(
            nn.Linear(hidden_channels * POOLED_SIZE[0] * POOLED_SIZE[1], 64),
            nn.ReLU(),
            nn.Linear(64, num_free),
        )
        nn.init.normal_(self.regress[-1].weight, std=1e-4)
        nn.init.zeros_(self.regress[-1].bias)
        self.register_buffer('changed_by', torch.tensor(changed_by), persistent=False)
        self.register_buffer('identity', torch.tensor(IDENTITY), persistent=False)

    def predict(self, supports: Tensor, keys: Tensor) -> Tensor:
        """Matrices [N, 2, 3] that send each cell of `keys` to its place in `supports`, both [N, C, h, w]."""
        compared = F.adaptive_avg_pool2d(self.compare(torch.cat((supports - keys, keys), dim=1)), POOLED_SIZE)
        change = self.regress(compared.flatten(1))  # [N, 2] or [N, 6]
        exact = torch.promote_types(change.dtype, torch.float32)
        change = F.pad(change.to(exact), (0, 1))[:, self.changed_by]  # [N, 6]
        return (self.identity + change).unflatten(1, (2, 3))

    def forward(self, supports: Tensor, keys: Tensor) -> Tensor:
        """Warp maps [N, C, h, w] towards those of the key frame, which only steer."""
        return affine_warp(supports, self.predict(supports, keys))
