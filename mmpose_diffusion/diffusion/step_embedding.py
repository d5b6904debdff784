"""The diffusion step as a vector."""

import math

import torch
from torch import Tensor, nn


def sinusoidal_embedding(step: Tensor, width: int) -> Tensor:
    """Steps [N] -> [N, width]: sines, then cosines, with wave lengths from 2 pi to 20000 pi."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, device=step.device) * (-math.log(10000) / (half - 1)))
    angles = step.float()[:, None] * frequencies  # [N, half]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class StepEmbedding(nn.Module):
    """A learned vector for each diffusion step: sinusoids through two linear layers. Steps [N] -> [N, width]."""

    def __init__(self, width: int, hidden: int | None = None) -> None:
        super().__init__()
        if width < 4 or width % 2:
            raise ValueError(f'the width of a step embedding (step_width) must be even and at least 4, got {width}')
        hidden = hidden or 2 * width
        self.width = width
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, step: Tensor) -> Tensor:
        """Steps [N] int64 -> [N, width]."""
        return self.layers(sinusoidal_embedding(step, self.width).to(self.layers[0].weight.dtype))
