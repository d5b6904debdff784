"""The range of the diffused signal: how far it stands out of unit noise, and where it is cut off."""

import math
from typing import NamedTuple

from torch import Tensor


class SignalRange(NamedTuple):
    """Maps data in [low, high] to a signal in [-scale, scale], and back.

    The scale decides how soon the signal drowns in the noise, hence at which steps the network learns what: sparse
    signals want another one than dense signals, so it is an option to tune.

    Attributes:
        low, high: range of the data.
        scale: amplitude of the signal; the noise always has unit variance.
        clamp: in multiples of `scale`; clean estimates are cut to it while sampling, and so is what a network that
            predicts the clean signal sees of the noisy one. None: neither is cut.
        spread: root mean square of the encoded data, in multiples of `scale`. Given, the network sees of each noisy
            number the best linear guess of the clean one: the noise fades out where it drowns the signal, and does not
            hide what else the network is given. Only where it predicts the clean signal. None: it sees the noise in
            full.
    """

    low: float = -1.0
    high: float = 1.0
    scale: float = 1.0
    clamp: float | None = None
    spread: float | None = None

    def validated(self) -> 'SignalRange':
        """Returns itself, or says which of the numbers makes no sense."""
        if not self.low < self.high:
            raise ValueError(f'signal range: low must be below high, got low={self.low}, high={self.high}')
        if not 0 < self.scale < math.inf:
            raise ValueError(f'signal range: scale must be positive and finite, got {self.scale}')
        if self.clamp is not None and not self.clamp >= 1:
            raise ValueError(
                f'signal range: clamp is in multiples of the scale and must not cut the data itself, '
                f'so it is None or at least 1; got {self.clamp}'
            )
        if self.spread is not None and not 0 < self.spread < math.inf:
            raise ValueError(f'signal range: spread must be positive and finite, or None; got {self.spread}')
        return self

    def encode(self, data: Tensor) -> Tensor:
        """Data -> signal."""
        return ((data - self.low) * (2 / (self.high - self.low)) - 1) * self.scale

    def decode(self, signal: Tensor) -> Tensor:
        """Signal -> data."""
        return (signal / self.scale + 1) * ((self.high - self.low) / 2) + self.low

    def limit(self, clean: Tensor) -> Tensor:
        """Cuts a clean estimate to the range."""
        return clean if self.clamp is None else clean.clamp(-self.clamp * self.scale, self.clamp * self.scale)

    def cut_off(self, noisy: Tensor) -> Tensor:
        """A noisy signal in multiples of the scale, cut off as D3DP and DiffusionDet do; without clamp as is."""
        if self.clamp is None:
            return noisy
        return (noisy / self.scale).clamp(-self.clamp, self.clamp)
