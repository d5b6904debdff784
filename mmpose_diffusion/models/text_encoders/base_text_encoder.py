"""What a text encoder of this package is."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor


class BaseTextEncoder(BaseModule, metaclass=ABCMeta):
    """Makes vectors of texts, in two halves, so that learnable vectors can be put between the words.

    Args:
        width: channels of a token.
        tokens_per_text: L, tokens of every text, whatever its length.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, width: int, tokens_per_text: int, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        self.width = width
        self.tokens_per_text = tokens_per_text

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Tensor:
        """N texts -> their tokens [N, L, width], which do not know each other yet."""

    @abstractmethod
    def end_positions(self, texts: Sequence[str]) -> list[int]:
        """Where each text ends, as a position among its tokens; L or more where the end has been cut off."""

    def forward(self, sequences: Tensor) -> Tensor:
        """Sequences of tokens [N, S, width] -> tokens that know what stands before them, the same shape."""
        return sequences


def positions_of(texts: Sequence[str], known: Sequence[str], where: str) -> list[int]:
    """The position of each text among the known ones; an unknown one is refused."""
    unknown = [text for text in texts if text not in known]
    if unknown:
        raise ValueError(f'{where} has no prompt {unknown[0]!r}; it has {", ".join(map(repr, known))}')
    return [known.index(text) for text in texts]
