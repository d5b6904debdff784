"""FPC: every joint in every frame asks the text."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PromptKeys(NamedTuple):
    """What the poses of B clips look for and find in their texts; the same for all steps and hypotheses."""

    keys: Tensor  # [B, heads, S, d]
    values: Tensor  # [B, heads, S, d]


class PosePromptAttention(nn.Module):
    """Fine-grained Prompt-pose Communication, FPC (FinePOSE, CVPR 2024): attention from pose tokens to text tokens.

    Keys and values are computed once per text, and every clip looks at its own.

    Args:
        width: channels of a pose token.
        text_width: channels of a text token.
        num_heads: heads; must divide `width`.
        compat: as the released code, which mixes up the texts of a batch: of the rows (clip, hypothesis, joint), row r
            looks at the text of clip r modulo B. The same where all clips of a batch show one action; elsewhere the
            answers depend on the batch and on how many hypotheses are computed at a time.
    """

    def __init__(self, width: int, text_width: int, num_heads: int, compat: bool = False) -> None:
        super().__init__()
        if num_heads < 1 or width % num_heads:
            raise ValueError(f'attention of width {width} cannot be split into {num_heads} heads evenly')
        self.num_heads, self.compat = num_heads, compat
        self.norm = nn.LayerNorm(width)
        self.text_norm = nn.LayerNorm(text_width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(text_width, width)
        self.value = nn.Linear(text_width, width)

    def prepare(self, text: Tensor, of_clip: Tensor) -> PromptKeys:
        """A distinct texts [A, S, text_width], which of them is whose [B] -> keys and values of B clips."""
        text = self.text_norm(text)
        keys, values = (self._split(layer(text))[of_clip] for layer in (self.key, self.value))
        return PromptKeys(keys, values)

    def forward(self, tokens: Tensor, known: PromptKeys) -> Tensor:
        """Pose tokens [B * H, J, F, width], keys and values of B clips -> what they found, shaped as the tokens."""
        query = self.query(self.norm(tokens))
        if self.compat:
            rows = query.flatten(0, 1)  # [B * H * J, F, width]
            tiled = torch.arange(len(rows), device=rows.device) % len(known.keys)
            found = self._attend(rows, PromptKeys(known.keys[tiled], known.values[tiled]))
        else:
            # All queries of a clip, whatever their hypothesis, joint and frame, look at the same keys.
            found = self._attend(query.reshape(len(known.keys), -1, query.shape[-1]), known)
        return found.reshape(query.shape)

    def _attend(self, query: Tensor, known: PromptKeys) -> Tensor:
        """Queries [N, L, width], N keys and values -> [N, L, width]."""
        found = F.scaled_dot_product_attention(self._split(query), known.keys, known.values)
        return found.transpose(1, 2).flatten(2)

    def _split(self, tokens: Tensor) -> Tensor:
        """[N, L, width] -> [N, heads, L, d]."""
        return tokens.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
