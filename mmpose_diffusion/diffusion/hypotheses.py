"""Several hypotheses per sample: folding them into the batch, and their noise."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


def fold_hypotheses(values: Tensor) -> Tensor:
    """[B, H, ...] -> [B * H, ...], sample by sample."""
    return values.flatten(0, 1)


def unfold_hypotheses(values: Tensor, num_hypotheses: int) -> Tensor:
    """[B * H, ...] -> [B, H, ...], the inverse of `fold_hypotheses`."""
    if values.shape[0] % num_hypotheses:
        raise ValueError(f'a batch of {values.shape[0]} does not hold {num_hypotheses} hypotheses of each sample')
    return values.unflatten(0, (-1, num_hypotheses))


def pair_with_hypotheses(values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
    """values [B * H, ...], condition [B, ...] -> views [B, H, ...] and [B, 1, ...], which broadcast without a copy."""
    batch_size = condition.shape[0]
    if batch_size == 0 or values.shape[0] % batch_size:
        raise ValueError(f'{values.shape[0]} noisy signals cannot be shared out among {batch_size} conditions')
    return values.unflatten(0, (batch_size, -1)), condition.unsqueeze(1)


def seed_from(*parts: object) -> int:
    """A seed that depends on all parts and on nothing else: not on the process, the platform or the batch."""
    text = '/'.join(map(repr, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), 'big')


class HypothesisNoise(NamedTuple):
    """Unit noise for B samples of H hypotheses, each from a random generator of its own.

    So a sample's noise depends neither on its neighbours in the batch, nor on how many hypotheses are asked for, nor on
    the device: everything is drawn on the CPU.

    Attributes:
        generators: B * H CPU generators, sample by sample; their states advance with every draw.
        num_hypotheses: H.
    """

    generators: list[torch.Generator]
    num_hypotheses: int

    @classmethod
    def from_seeds(cls, seeds: Sequence[int], num_hypotheses: int = 1) -> 'HypothesisNoise':
        """One seed per sample."""
        if isinstance(num_hypotheses, bool) or not isinstance(num_hypotheses, int) or num_hypotheses < 1:
            raise ValueError(f'num_hypotheses must be an integer of at least 1, got {num_hypotheses!r}')
        generators = [
            torch.Generator().manual_seed(seed_from(seed, hypothesis))
            for seed in seeds
            for hypothesis in range(num_hypotheses)
        ]
        return cls(generators, num_hypotheses)

    @classmethod
    def from_generator(
        cls, generator: torch.Generator | None, batch_size: int, num_hypotheses: int = 1
    ) -> 'HypothesisNoise':
        """Seeds drawn from one generator (None: from torch's global one)."""
        device = 'cpu' if generator is None else generator.device
        seeds = torch.randint(2**62, (batch_size,), generator=generator, device=device).tolist()
        return cls.from_seeds(seeds, num_hypotheses)

    @property
    def batch_size(self) -> int:
        """B."""
        return len(self.generators) // self.num_hypotheses

    def draw(self, shape: Sequence[int], device: torch.device | str = 'cpu') -> Tensor:
        """The next noise, [B * H, *shape] float32 on `device`."""
        return torch.stack([torch.randn(*shape, generator=generator) for generator in self.generators]).to(device)
