"""The text half of CLIP, frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from mmpose.registry import MODELS
from torch import Tensor

from .base_text_encoder import BaseTextEncoder

END_OF_TEXT = 49407
RANDOM = 'random'


@MODELS.register_module()
class CLIPTextEncoder(BaseTextEncoder):
    """CLIP's text transformer (ICML 2021) by the library `open_clip`, without its image tower and projection.

    Nothing of CLIP is trained, but gradients pass through it to whatever was put into the sequence. The weights become
    part of the model's own checkpoints, which therefore load where CLIP is not at hand.

    Args:
        weights: a file of CLIP's weights (`.safetensors`, or `.pt` of tensors), or a name that open_clip knows for
            `model`, such as 'openai'. None: a checkpoint must bring them; until then nothing is read. 'random': none
            are wanted, to measure time or to test.
        model: name of open_clip's model, or its text sizes (`width`, `heads`, `layers`, `context_length`).
        tokens_per_text: tokens that are kept of each text: start, words, end, padding, in this order. FinePOSE keeps 4,
            which cuts off the end of texts of more than two words.
        quick_gelu: the approximate activation of OpenAI's weights.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        weights: str | None = 'openai',
        model: str | Mapping[str, int] = 'ViT-B-32',
        tokens_per_text: int = 4,
        quick_gelu: bool = True,
        init_cfg: dict | list | None = None,
    ) -> None:
        # open_clip takes seconds to import, so it is imported here instead of with the package.
        from open_clip.transformer import QuickGELU, TextTransformer

        sizes = text_sizes(model)
        super().__init__(sizes['width'], tokens_per_text, init_cfg)
        self.weights, self.model_name = weights, model if isinstance(model, str) else None
        activation = QuickGELU if quick_gelu else torch.nn.GELU
        self.tower = TextTransformer(**sizes, act_layer=activation, proj_type='none')
        self.tower.requires_grad_(False)
        self.holds_weights = weights == RANDOM
        self._register_load_state_dict_pre_hook(self._note_weights)

    def init_weights(self) -> None:
        """Load CLIP's weights: MMEngine calls this before training."""
        super().init_weights()
        if self.weights not in (None, RANDOM):
            self.load_clip(self.weights)

    def load_clip(self, weights: str) -> None:
        """Fill the transformer from a file of CLIP's weights or by open_clip's name for them."""
        own = self.tower.state_dict()
        try:
            found = text_weights(CheckpointLoader.load_checkpoint(self._local_file(weights), map_location='cpu'))
            missing = [name for name in own if name not in found]
            if missing:
                raise ValueError(f"{len(missing)} of CLIP's {len(own)} text weights are missing: {missing[0]}, ...")
            others = [name for name in own if found[name].shape != own[name].shape]
            if others:
                sizes = f'{list(found[others[0]].shape)} instead of {list(own[others[0]].shape)}'
                raise ValueError(f'it is of another size: {others[0]} is {sizes}')
        except (OSError, ValueError) as error:
            kind = FileNotFoundError if isinstance(error, OSError) else ValueError
            reason = str(error).partition('Re-running')[0]  # torch's advice to run whatever is in the file
            raise kind(f'{self._wanted(weights)} What happened: {reason}') from error
        self.tower.load_state_dict({name: found[name] for name in own})
        self.holds_weights = True

    def embed(self, texts: Sequence[str]) -> Tensor:
        """N texts -> token embeddings [N, L, width], without positions."""
        self._require_weights()
        table = self.tower.token_embedding
        return table(token_ids(texts)[:, : self.tokens_per_text].to(table.weight.device))

    def end_positions(self, texts: Sequence[str]) -> list[int]:
        """Positions of CLIP's end token."""
        return (token_ids(texts) == END_OF_TEXT).int().argmax(dim=1).tolist()

    def forward(self, sequences: Tensor) -> Tensor:
        """Sequences [N, S, width] through all of CLIP's layers; every token sees those before it."""
        self._require_weights()
        length, limit = sequences.shape[1], self.tower.context_length
        if length > limit:
            raise ValueError(f'CLIP reads {limit} tokens at most, the prompts make {length}: shorten them')
        sequences = sequences + self.tower.positional_embedding[:length]
        tokens = self.tower.transformer(sequences, attn_mask=self.tower.attn_mask[:length, :length])
        return self.tower.ln_final(tokens)

    def _local_file(self, weights: str) -> str:
        """A path is itself; a name of open_clip is looked up in its cache, then downloaded."""
        import open_clip

        known = open_clip.get_pretrained_cfg(self.model_name, weights) if self.model_name else {}
        return open_clip.download_pretrained(known) if known else weights

    def _require_weights(self) -> None:
        if not self.holds_weights:
            raise RuntimeError(f'{self._wanted(self.weights)} Neither they nor a checkpoint have been loaded.')

    def _wanted(self, weights: str | None) -> str:
        name = '' if weights is None else f' {weights!r}'
        return (
            f"CLIP's weights{name} are wanted, as CLIPTextEncoder(weights=...): the path of "
            'open_clip_model.safetensors (https://huggingface.co/timm/vit_base_patch32_clip_224.openai), or a name '
            'that open_clip can download, such as "openai"; OpenAI\'s own ViT-B-32.pt is a program, not a file of '
            'tensors, and is not loaded. Without weights: text_encoder=dict(type="PromptEmbeddingFile", '
            'path=...) reads embeddings made elsewhere, dict(type="LearnedPromptTable", texts=[...]) needs no file, '
            'and weights=None waits for a checkpoint that holds CLIP already.'
        )

    def _note_weights(self, state_dict: Mapping[str, Any], prefix: str, *_: object) -> None:
        """A checkpoint of the whole model brings CLIP along."""
        self.holds_weights |= f'{prefix}tower.token_embedding.weight' in state_dict


def text_sizes(model: str | Mapping[str, int]) -> dict[str, int]:
    """Sizes of the text transformer of one of open_clip's models."""
    if not isinstance(model, str):
        return dict(model)
    import open_clip

    config = open_clip.get_model_config(model)
    if config is None:
        raise ValueError(f'open_clip has no model {model!r}; it has, for example, ViT-B-32, ViT-B-16, ViT-L-14')
    return {name: config['text_cfg'][name] for name in ('width', 'heads', 'layers', 'context_length', 'vocab_size')}


def text_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The text weights of a checkpoint of CLIP under open_clip's names; the image tower is left out."""
    weights = checkpoint.get('state_dict', checkpoint)
    # Models whose text tower is a part of its own name it `text`.
    return {name.removeprefix('text.'): weight for name, weight in weights.items() if not name.startswith('visual.')}


@cache
def _tokenizer() -> Any:
    import open_clip

    return open_clip.get_tokenizer('ViT-B-32')


def token_ids(texts: Sequence[str]) -> Tensor:
    """N texts -> ids of CLIP's byte pairs [N, 77]: start, words in lower case, end, then zeros."""
    return _tokenizer()(list(texts))
