"""Texts that a language model has read beforehand."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmpose.registry import MODELS
from torch import Tensor

from .base_text_encoder import BaseTextEncoder, positions_of
from .clip_text_encoder import CLIPTextEncoder

KEYS = ('texts', 'tokens', 'end_positions')


@MODELS.register_module()
class PromptEmbeddingFile(BaseTextEncoder):
    """Embeddings from a file that ``tools/dataset_tools/write_prompt_embeddings.py`` made with CLIP.

    No language model is needed where it is used. Departure from FinePOSE (CVPR 2024): each text was read alone, so
    learnable vectors stand beside what CLIP made of the words instead of passing through CLIP with them.

    Args:
        path: the npz file: `texts` [N] strings, `tokens` [N, L, width] float32, `end_positions` [N] integers.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, path: str, init_cfg: dict | list | None = None) -> None:
        texts, tokens, ends = read_prompt_embeddings(path)
        super().__init__(tokens.shape[2], tokens.shape[1], init_cfg)
        self.path, self.texts, self.ends = str(path), texts, ends
        self.register_buffer('tokens', torch.from_numpy(tokens), persistent=False)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """N texts -> [N, L, width]."""
        return self.tokens[positions_of(texts, self.texts, self.path)]

    def end_positions(self, texts: Sequence[str]) -> list[int]:
        """As CLIP counted them."""
        return [self.ends[position] for position in positions_of(texts, self.texts, self.path)]


def read_prompt_embeddings(path: str | Path) -> tuple[list[str], np.ndarray, list[int]]:
    """Texts [N], tokens [N, L, width] and end positions [N] of a file; what does not fit is refused."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f'There are no prompt embeddings {path}: make them with tools/dataset_tools/write_prompt_embeddings.py, '
            "where CLIP's weights are at hand"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in KEYS if key in file}
    except Exception as error:  # of damaged files zip and zlib raise almost anything
        raise ValueError(
            f'{path} cannot be read; perhaps it is damaged, cut off, or another kind of file: make it again with '
            f'tools/dataset_tools/write_prompt_embeddings.py ({type(error).__name__}: {error})'
        ) from error
    missing = [key for key in KEYS if key not in arrays]
    if missing:
        raise ValueError(f'{path} lacks {", ".join(missing)}; a file of prompt embeddings has {", ".join(KEYS)}')
    texts, tokens, ends = arrays.values()
    if tokens.ndim != 3 or not len(tokens) == len(texts) == len(ends):
        raise ValueError(
            f'{path}: tokens must be [texts, tokens, width], got {list(tokens.shape)} for {len(texts)} texts and '
            f'{len(ends)} end positions'
        )
    return texts.tolist(), tokens.astype(np.float32), ends.tolist()


@torch.no_grad()
def write_prompt_embeddings(encoder: CLIPTextEncoder, texts: Sequence[str], path: str | Path) -> None:
    """Let `encoder` read each text alone and write what `PromptEmbeddingFile` reads; the file appears whole."""
    texts, path = list(dict.fromkeys(texts)), Path(path)
    buffer = io.BytesIO()
    tokens = encoder(encoder.embed(texts)).cpu().numpy()
    np.savez(buffer, texts=np.array(texts), tokens=tokens, end_positions=np.array(encoder.end_positions(texts)))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f'.{path.name}.partial')
    aside.write_bytes(buffer.getvalue())
    os.replace(aside, path)
