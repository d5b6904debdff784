"""FPP: a sequence of prompts about the action and the parts of the body, with learnable words between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..text_encoders import BaseTextEncoder

ACTION = '{action}'  # in a list of prompts: the clip's own action


class PromptTokens(NamedTuple):
    """What the texts of a batch say; A distinct texts for B clips."""

    tokens: Tensor  # [A, S, width]
    summary: Tensor  # [A, width], one token that stands for all
    of_clip: Tensor  # [B] int64, which text is a clip's


class PartAwarePrompts(nn.Module):
    """Fine-grained Part-aware Prompt learning, FPP (FinePOSE, CVPR 2024).

    Each prompt is a group of tokens: learnable vectors, then the words. All groups together are one sequence, which the
    text encoder reads, then a small transformer that is trained with the model. Every distinct action of a batch is
    read once. The learnable vectors get their gradients through the frozen text encoder.

    The summary, which stands for the whole text where one vector must, is the end token of the action within the
    sequence; where the words are too many and their end has been cut off ("SittingDown"), the last one that is left,
    which has seen all before it just as well. Without a prompt about the action it is the last token of the sequence.

    Kept from the released code although the paper tells it otherwise: all groups are one sequence, so that with CLIP,
    which looks back only, "leg" sees "A person" but not the other way round; padding and the start tokens of all groups
    stay in.

    Args:
        text_encoder: config of a `BaseTextEncoder`.
        prompts: pairs (text, number of learnable vectors in front of it); the text '{action}' is the clip's action.
        num_layers: layers of the trained transformer.
        num_heads: their heads.
        mlp_ratio: hidden channels of their MLPs, as a multiple of the width.
        compat: as the released code: the learnable vectors keep the random values they start with (its gradients do
            not reach them), and the summary is the token at that place of the sequence where the action would end if
            it stood alone, a place among the tokens of the first prompt.
    """

    def __init__(
        self,
        text_encoder: dict,
        prompts: Sequence[tuple[str, int]],
        num_layers: int = 4,
        num_heads: int = 8,
        mlp_ratio: float = 4.0,
        compat: bool = False,
    ) -> None:
        super().__init__()
        self.text_encoder = MODELS.build(text_encoder)
        if not isinstance(self.text_encoder, BaseTextEncoder):
            raise TypeError(f'{type(self.text_encoder).__name__} must be a BaseTextEncoder: derive it from that class')
        self.prompts = check_prompts(prompts)
        self.compat = compat
        self.width = self.text_encoder.width
        self.learnable = nn.Parameter(torch.randn(sum(number for _, number in self.prompts), self.width) * 0.02)
        self.learnable.requires_grad_(not compat)
        layer = nn.TransformerEncoderLayer(
            self.width, num_heads, round(self.width * mlp_ratio), dropout=0.0, activation='gelu', batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(self.width)

    def forward(self, actions: Sequence[str | None]) -> PromptTokens:
        """Actions of B clips -> their texts, each distinct one once."""
        distinct = self._distinct_actions(actions)
        sequences = self._sequences(distinct)
        tokens = self.norm(self.layers(self.text_encoder(sequences)))  # [A, S, width]
        places = torch.tensor([self._summary_place(action) for action in distinct], device=tokens.device)
        summary = tokens[torch.arange(len(distinct), device=tokens.device), places]
        of_clip = [distinct.index(action) if len(distinct) > 1 else 0 for action in actions]
        return PromptTokens(tokens, summary, torch.tensor(of_clip, device=tokens.device))

    def _distinct_actions(self, actions: Sequence[str | None]) -> list[str | None]:
        """Each action once, in the order of appearance; a single None where no prompt asks for the action."""
        if all(text != ACTION for text, _ in self.prompts):
            return [None]
        for position, action in enumerate(actions):
            if not action:
                raise ValueError(
                    f'clip {position} of the batch has no action, which the prompt {ACTION!r} asks for: name the '
                    f'actions in the data set, leave {ACTION!r} out of the prompts, or use no text (prompts=None)'
                )
        return list(dict.fromkeys(actions))

    def _sequences(self, actions: Sequence[str | None]) -> Tensor:
        """A actions -> [A, S, width], not yet read by the text encoder."""
        vectors = self.learnable.split([number for _, number in self.prompts])
        # [A, prompts, L, width]: the words of all prompts in one look-up
        words = self.text_encoder.embed([self._text(text, action) for action in actions for text, _ in self.prompts])
        words = words.unflatten(0, (len(actions), -1)).unbind(dim=1)
        groups = [
            part
            for learnable, kept in zip(vectors, words, strict=True)
            for part in (learnable.to(kept.dtype).expand(len(actions), -1, -1), kept)
        ]
        return torch.cat(groups, dim=1)

    def _summary_place(self, action: str | None) -> int:
        """Where in the sequence the token stands that sums it up."""
        kept = self.text_encoder.tokens_per_text
        place = 0
        for text, number in self.prompts:
            if text == ACTION:
                end = self.text_encoder.end_positions([action])[0]
                return end if self.compat else place + number + min(end, kept - 1)
            place += number + kept
        return place - 1

    @staticmethod
    def _text(text: str, action: str | None) -> str:
        return action if text == ACTION else text


def check_prompts(prompts: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Prompts as pairs (text, number of learnable vectors), or what is wrong with them."""
    pairs = tuple((str(text), int(number)) for text, number in prompts)
    if not pairs or any(not text or number < 0 for text, number in pairs):
        raise ValueError(f'prompts must be pairs (text, number of learnable vectors), got {list(prompts)}')
    if sum(text == ACTION for text, _ in pairs) > 1:
        raise ValueError(f'{ACTION!r} may stand once in the prompts, got {list(prompts)}')
    return pairs
