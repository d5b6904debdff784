"""A small table of learned vectors in place of a language model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from .base_text_encoder import BaseTextEncoder, positions_of


@MODELS.register_module()
class LearnedPromptTable(BaseTextEncoder):
    """One learned vector for each text: needs no download, and knows no text but those of its list.

    Args:
        texts: all texts, the actions as well as the prompts that are the same for all clips.
        width: channels of a token.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, texts: Sequence[str], width: int = 64, init_cfg: dict | list | None = None) -> None:
        super().__init__(width, tokens_per_text=1, init_cfg=init_cfg)
        if not texts or len(set(texts)) != len(texts):
            raise ValueError(f'LearnedPromptTable: texts must be named, each once; got {list(texts)}')
        self.texts = tuple(texts)
        self.vectors = nn.Parameter(torch.randn(len(texts), width) * 0.02)  # as strong as learnable prompts

    def embed(self, texts: Sequence[str]) -> Tensor:
        """N texts -> [N, 1, width]."""
        return self.vectors[positions_of(texts, self.texts, 'LearnedPromptTable'), None]

    def end_positions(self, texts: Sequence[str]) -> list[int]:
        """The only token."""
        return [0] * len(texts)
