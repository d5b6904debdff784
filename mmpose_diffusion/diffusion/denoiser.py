"""The one contract between what is learned and what is scheduled."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from torch import Tensor


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
        mirror: its own inverse, [N, ...] -> [N, ...].
    """

    denoise: Denoiser
    mirror: Callable[[Tensor], Tensor]

    def __call__(self, noisy: Tensor, step: Tensor, condition: tuple[Any, Any]) -> Tensor:
        """Noisy [N, ...], step [N] -> guess [N, ...]."""
        plain, mirrored = condition
        guess = self.denoise(noisy, step, plain)
        return (guess + self.mirror(self.denoise(self.mirror(noisy), step, mirrored))) / 2
