"""The one contract between what is learned and what is scheduled."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from .hypotheses import fold_hypotheses


class Denoiser(Protocol):
    """Looks at a noisy signal and guesses the clean one (or the noise, or v: the schedule's `prediction_type`)."""

    def __call__(self, noisy: Tensor, step: Tensor, condition: Any) -> Tensor:
        """Noisy [N, ...], step [N] int64 -> guess shaped like `noisy`.

        With H hypotheses per condition N = B * H, sample by sample, while `condition` keeps its B entries:
        `pair_with_hypotheses` brings them together without copying.
        """


class MirrorAveraged(NamedTuple):
    """A denoiser that looks at every noisy signal and at its mirror image, and averages the two guesses.

    Mirroring inside each step keeps both views on one trajectory with one noise; two separately sampled answers would
    be two different hypotheses. The condition is the pair (condition, condition of the mirrored view).

    Attributes:
        denoise: the denoiser.
        mirror: its own inverse (but for a column that a shift of one cell loses), [N, ...] -> [N, ...].
    """

    denoise: Denoiser
    mirror: Callable[[Tensor], Tensor]

    def __call__(self, noisy: Tensor, step: Tensor, condition: tuple[Any, Any]) -> Tensor:
        """Noisy [N, ...], step [N] -> guess [N, ...]."""
        plain, mirrored = condition
        guess = self.denoise(noisy, step, plain)
        return (guess + self.mirror(self.denoise(self.mirror(noisy), step, mirrored))) / 2


class InPasses(NamedTuple):
    """A denoiser that is asked for a few hypotheses at a time: the same guesses in less memory.

    Attributes:
        denoise: the denoiser.
        num_conditions: B, number of conditions it is given.
        hypotheses_per_pass: how many hypotheses of each condition to ask for at a time.
    """

    denoise: Denoiser
    num_conditions: int
    hypotheses_per_pass: int

    def __call__(self, noisy: Tensor, step: Tensor, condition: Any) -> Tensor:
        """Noisy [B * H, ...], step [B * H] -> guess [B * H, ...]."""
        shape = (self.num_conditions, -1)
        passes = zip(
            noisy.unflatten(0, shape).split(self.hypotheses_per_pass, dim=1),
            step.unflatten(0, shape).split(self.hypotheses_per_pass, dim=1),
            strict=True,
        )
        guesses = [
            self.denoise(fold_hypotheses(noisy), fold_hypotheses(step), condition).unflatten(0, shape)
            for noisy, step in passes
        ]
        return fold_hypotheses(torch.cat(guesses, dim=1))
