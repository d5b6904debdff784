"""PTS: the text's summary joins the diffusion step, and both colour what goes into the pose."""

from __future__ import annotations

from torch import Tensor, nn


class PromptTimeStylization(nn.Module):
    """Prompt-driven Timestamp Stylization, PTS (FinePOSE, CVPR 2024).

    A vector made of the text's summary is added to that of the diffusion step. The sum, once per clip and hypothesis,
    scales and shifts the features that are added to the pose tokens. At the start it adds nothing.

    Args:
        width: channels of a pose token and of the step's vector.
        text_width: channels of the summary.
    """

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.prompt = nn.Linear(text_width, width)
        self.gain_and_shift = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Sequential(nn.SiLU(), nn.Linear(width, width))
        nn.init.zeros_(self.output[-1].weight)
        nn.init.zeros_(self.output[-1].bias)

    def forward(self, features: Tensor, modulation: Tensor) -> Tensor:
        """Features [N, ..., width], step and prompt as a vector [N, width] -> what to add to the pose tokens."""
        shape = (len(modulation), *[1] * (features.ndim - 2), -1)
        gain, shift = self.gain_and_shift(modulation).reshape(shape).chunk(2, dim=-1)
        return self.output(self.norm(features) * (1 + gain) + shift)
