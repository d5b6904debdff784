"""STRL, the SpatioTemporal Representation Learner of DiffPose."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...structures import FrameWindow
from ..transformer_layers import TransformerLayer, initialise_linear_layers
from .temporal_neck import TemporalNeck


def share_of_slots(offsets: Tensor, is_real: Tensor, slot_offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Which slot each frame belongs to (the nearest offset), and what each frame contributes to each slot.

    Offsets and is_real [B, T], slot_offsets [S] -> slots [B, T] int64, shares [B, S, T] that add up to 1 over the real
    frames of a slot; a slot without a real frame gets nothing.
    """
    slots = (offsets[:, :, None] - slot_offsets).abs().argmin(dim=2)  # [B, T]
    member = F.one_hot(slots, len(slot_offsets)).transpose(1, 2) * is_real[:, None]  # [B, S, T]
    return slots, member / member.sum(dim=2, keepdim=True).clamp(min=1)


@MODELS.register_module()
class SpatioTemporalRepresentationLearner(TemporalNeck):
    """A transformer over the tokens of all frames of a clip, and an MLP that aggregates the frames into one map.

    `DiffPose: SpatioTemporal Diffusion Model for Video-Based Human Pose Estimation` (ICCV 2023). Every patch of every
    frame's map is a token with a learned position embedding; pre-norm encoder layers attend over all of them; after a
    layer norm an MLP sees the T tokens of a patch side by side and writes the key frame's features there.

    Where the paper is silent, or this departs from it:

    * The tokens can be narrower than the backbone's (`width`), with a linear layer before: T x 192 tokens of 768
      channels would cost more than the five backbone passes are worth.
    * A patch is one cell of a vision transformer's map. Of a finer map (HRNet's) it should be several, `patch_size`,
      or there would be too many tokens; the MLP then writes all cells of the patch, so the map keeps its size.
    * A token's position embedding is the sum of one for its place and one for its frame: far fewer numbers than one
      for every pair, so they are learned from fewer clips. Places are embedded for maps of `feature_size`; for other
      sizes the embedding is interpolated.
    * A border repeat is not evidence: nobody attends to its tokens, and the MLP sees zeros in its place.
    * Any number of frames works: a frame takes the place of the nearest of `frame_offsets`; frames that meet in one
      place are averaged before the MLP.

    Args:
        in_channels: channels of the per-frame maps.
        out_channels: channels of the fused map. None: `in_channels`.
        width: channels of a token.
        depth: number of encoder layers.
        num_heads: heads of each attention; must divide `width`.
        mlp_ratio: hidden channels of each layer's MLP, as a multiple of `width`.
        frame_offsets: offsets of the clips trained on, ascending.
        feature_size: size of the maps trained on in cells, (width, height) as MMPose writes sizes.
        patch_size: side of a token's patch in cells; must divide both sides of the maps.
        drop_path_rate: probability of skipping the last layer in training; earlier ones are skipped less often.
        key_frame_shortcut: also add the key frame's own map through a linear layer, which the paper does not have:
            training then starts from the single-frame model, whose map the clip's changes are added to.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        width: int = 256,
        depth: int = 4,
        num_heads: int = 8,
        mlp_ratio: float = 4.0,
        frame_offsets: Sequence[int] = (-2, -1, 0, 1, 2),
        feature_size: tuple[int, int] = (12, 16),
        patch_size: int = 1,
        drop_path_rate: float = 0.0,
        key_frame_shortcut: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(in_channels, in_channels if out_channels is None else out_channels, init_cfg)
        if list(frame_offsets) != sorted(set(frame_offsets)) or 0 not in frame_offsets:
            raise ValueError(f'STRL: frame_offsets must ascend and contain 0, got {tuple(frame_offsets)}')
        if patch_size < 1 or any(side % patch_size for side in feature_size):
            raise ValueError(f'STRL: patch_size={patch_size} must divide both sides of feature_size={feature_size}')
        columns, rows = (side // patch_size for side in feature_size)
        self.patch_size, patch_cells = patch_size, patch_size**2
        self.register_buffer('slot_offsets', torch.tensor(list(frame_offsets)), persistent=False)
        self.project = nn.Linear(in_channels * patch_cells, width)
        self.place_embedding = nn.Parameter(torch.empty(1, width, rows, columns))
        self.frame_embedding = nn.Parameter(torch.empty(len(frame_offsets), width))
        drop_paths = torch.linspace(0, drop_path_rate, depth).tolist()
        self.layers = nn.ModuleList(TransformerLayer(width, num_heads, mlp_ratio, rate) for rate in drop_paths)
        self.norm = nn.LayerNorm(width)
        self.aggregate = nn.Sequential(
            nn.Linear(len(frame_offsets) * width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, self.out_channels * patch_cells),
        )
        self.shortcut = nn.Conv2d(in_channels, self.out_channels, 1) if key_frame_shortcut else None
        initialise_linear_layers(self)
        if self.shortcut is not None:  # training starts from the image model
            nn.init.dirac_(self.shortcut.weight)
            nn.init.zeros_(self.shortcut.bias)
            nn.init.zeros_(self.aggregate[-1].weight)
        nn.init.trunc_normal_(self.place_embedding, std=0.02)
        nn.init.trunc_normal_(self.frame_embedding, std=0.02)

    def fuse(self, frames: Tensor, window: FrameWindow) -> Tensor:
        """Fuse maps [B, T, C, h, w] into [B, C', h, w]."""
        if any(side % self.patch_size for side in frames.shape[-2:]):
            size = list(frames.shape[-2:])
            raise ValueError(f'STRL: patch_size={self.patch_size} must divide both sides of {size} maps')
        patches = F.pixel_unshuffle(frames, self.patch_size)  # [B, T, C*p*p, h/p, w/p]
        num_frames, size = frames.shape[1], patches.shape[-2:]
        slots, shares = share_of_slots(window.offsets, window.is_real, self.slot_offsets)
        tokens = self.project(patches.flatten(3).transpose(2, 3))  # [B, T, N, W] for N = h/p * w/p places
        tokens = tokens + self._places(size) + self.frame_embedding[slots][:, :, None]
        visible = window.is_real.repeat_interleave(size.numel(), dim=1)  # [B, T*N]
        tokens = tokens.flatten(1, 2)
        for layer in self.layers:
            tokens = layer(tokens, visible)
        tokens = self.norm(tokens).unflatten(1, (num_frames, -1))
        places = torch.einsum('bst,btnc->bnsc', shares.to(tokens.dtype), tokens).flatten(2)  # [B, N, S*W]
        fused = self.aggregate(places).transpose(1, 2).unflatten(2, size)  # [B, C'*p*p, h/p, w/p]
        fused = F.pixel_shuffle(fused, self.patch_size)
        if self.shortcut is not None:
            fused = fused + self.shortcut(frames[:, window.key_index])
        return fused

    def _places(self, size: torch.Size) -> Tensor:
        """Embedding of the places of a grid of `size` (rows, columns): [1, N, W]."""
        embedding = self.place_embedding
        if embedding.shape[-2:] != size:
            embedding = F.interpolate(embedding, size=tuple(size), mode='bicubic', align_corners=False)
        return embedding.flatten(2).transpose(1, 2)
