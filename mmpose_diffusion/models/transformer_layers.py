"""The plain pre-norm transformer layer shared by necks and denoisers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Multi-head self-attention over tokens, with PyTorch's fused kernels.

    Args:
        width: channels of a token.
        num_heads: heads; must divide `width`.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or width % num_heads:
            raise ValueError(f'attention of width {width} cannot be split into {num_heads} heads evenly')
        self.num_heads = num_heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, tokens: Tensor, visible: Tensor | None = None) -> Tensor:
        """Tokens [B, L, W]; visible [B, L] bool, False for tokens nobody may look at -> [B, L, W]."""
        query, key, value = (
            self.query_key_value(tokens).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        )  # each [B, heads, L, W / heads]
        mask = None if visible is None else visible[:, None, None, :]
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.output(attended.transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """x = x + attention(norm(x)); x = x + mlp(norm(x)).

    Args:
        width: channels of a token.
        num_heads: heads of the attention.
        mlp_ratio: hidden channels of the MLP, as a multiple of `width`.
        drop_path: probability of skipping either half in training.
        norm_eps: what the normalisations add to a variance.
    """

    def __init__(
        self, width: int, num_heads: int, mlp_ratio: float = 4.0, drop_path: float = 0.0, norm_eps: float = 1e-5
    ) -> None:
        super().__init__()
        hidden = round(width * mlp_ratio)
        self.attention_norm = nn.LayerNorm(width, eps=norm_eps)
        self.attention = SelfAttention(width, num_heads)
        self.mlp_norm = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, visible: Tensor | None = None) -> Tensor:
        """Tokens [B, L, W], visible [B, L] bool or None -> [B, L, W]."""
        tokens = tokens + self.drop_path(self.attention(self.attention_norm(tokens), visible))
        return tokens + self.drop_path(self.mlp(self.mlp_norm(tokens)))


def initialise_linear_layers(module: nn.Module) -> None:
    """Xavier weights and zero biases in all linear layers below `module`, as is usual for transformers."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def sine_positions(height: int, width: int, channels: int, device: torch.device | str | None = None) -> Tensor:
    """Fixed position embedding for the tokens of a map, [1, height * width, channels].

    The first half of the channels tells the row, the second half the column, each as sines, then cosines.
    """
    if channels % 4:
        raise ValueError(f'position embeddings need a multiple of 4 channels, got {channels}')
    quarter = channels // 4
    frequencies = torch.exp(torch.arange(quarter, device=device) * (-math.log(10000) / quarter))
    rows = torch.arange(height, device=device)[:, None] * frequencies  # [h, C/4]
    columns = torch.arange(width, device=device)[:, None] * frequencies  # [w, C/4]
    rows = torch.cat([rows.sin(), rows.cos()], dim=1)[:, None].expand(-1, width, -1)  # [h, w, C/2]
    columns = torch.cat([columns.sin(), columns.cos()], dim=1)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], dim=-1).flatten(0, 1)[None]
