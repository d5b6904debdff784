"""Where noisy heatmaps and features meet, on one scale: the lookup of DiffPose and its ablation arm."""

from __future__ import annotations

from typing import NamedTuple

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from ...diffusion import fold_hypotheses, pair_with_hypotheses
from ..transformer_layers import TransformerLayer, initialise_linear_layers, sine_positions

FUSIONS = ('lookup', 'direct')


class ScaleCondition(NamedTuple):
    """What one scale knows about B clips before any noise: computed once, used in every step by every hypothesis."""

    features: Tensor  # [B, c, h, w], what the lookup points into
    mixed: Tensor  # [B, m, h, w], the features' half of the mixing layer
    positions: Tensor | None = None  # [1, h*w, d], for the scale that works on tokens


def check_fusion(fusion: str) -> str:
    """Return the name of a fusion, or say which ones there are."""
    if fusion not in FUSIONS:
        raise ValueError(f'fusion must be one of {", ".join(FUSIONS)}, got {fusion!r}')
    return fusion


def lookup(refined: Tensor, features: Tensor) -> Tensor:
    """Use noisy heatmaps as a soft pointer into the features.

    refined [B*H, c, ...] is squeezed to one channel by its maximum; a sigmoid makes it a mask; features [B, c', ...] of
    the clip are weighed with it -> [B*H, c', ...].
    """
    mask = refined.amax(dim=1, keepdim=True).sigmoid()  # [B*H, 1, ...]
    mask, features = pair_with_hypotheses(mask, features)
    return fold_hypotheses(mask * features)


class ConvolutionInteraction(nn.Module):
    """Refine by convolutions, look up, mix local and global features by convolutions: for the larger scales.

    The mixing layer sees (local, global) side by side. A convolution of a concatenation is the sum of two convolutions,
    and the global half does not depend on the noise: `prepare` computes it once.

    Args:
        noisy_channels: channels of the noisy map.
        feature_channels: channels of the features.
        lookup_channels: channels of the features that the lookup points into.
        mix_channels: channels of the result.
        fusion: 'lookup', or 'direct': the refined noisy map itself is mixed with the features, without a mask.
        norm_cfg: normalisation.
    """

    def __init__(
        self,
        noisy_channels: int,
        feature_channels: int,
        lookup_channels: int,
        mix_channels: int,
        fusion: str = 'lookup',
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        self.fusion = check_fusion(fusion)
        refined_channels = 32
        self.refine = nn.Sequential(
            ConvModule(noisy_channels, refined_channels, 3, padding=1, norm_cfg=norm_cfg),
            nn.Conv2d(refined_channels, refined_channels, 3, padding=1),
        )
        local_channels = lookup_channels if fusion == 'lookup' else refined_channels
        self.narrow = nn.Conv2d(feature_channels, lookup_channels, 1) if fusion == 'lookup' else nn.Identity()
        self.mix_global = nn.Conv2d(feature_channels, mix_channels, 3, padding=1)
        self.mix_local = nn.Conv2d(local_channels, mix_channels, 3, padding=1, bias=False)
        norm_first = ('norm', 'act', 'conv')
        self.mix = ConvModule(mix_channels, mix_channels, 3, padding=1, norm_cfg=norm_cfg, order=norm_first)

    def prepare(self, features: Tensor) -> ScaleCondition:
        """Features [B, C, h, w] -> all that does not depend on the noise."""
        return ScaleCondition(self.narrow(features), self.mix_global(features))

    def forward(self, noisy: Tensor, condition: ScaleCondition) -> Tensor:
        """Noisy map [B*H, n, h, w] -> [B*H, mix_channels, h, w]."""
        refined = self.refine(noisy)
        local = lookup(refined, condition.features) if self.fusion == 'lookup' else refined
        local, mixed = pair_with_hypotheses(self.mix_local(local), condition.mixed)
        return self.mix(fold_hypotheses(local + mixed))


class TokenInteraction(nn.Module):
    """The same with transformers in place of convolutions: for the smallest scale, where attention is affordable.

    The paper does not say how its tokens know where they are: here by fixed sines, which suit any heatmap size.

    Args:
        noisy_channels: channels of the noisy map.
        feature_channels: channels of the features.
        mix_channels: channels of the result.
        fusion: 'lookup' or 'direct', as in `ConvolutionInteraction`.
        width: channels of a token.
        num_heads: heads of the attention.
        num_refine_layers: transformer layers that refine the noisy map.
        num_mix_layers: cascaded transformer layers that mix local and global features.
    """

    def __init__(
        self,
        noisy_channels: int,
        feature_channels: int,
        mix_channels: int,
        fusion: str = 'lookup',
        width: int = 128,
        num_heads: int = 4,
        num_refine_layers: int = 1,
        num_mix_layers: int = 2,
    ) -> None:
        super().__init__()
        self.fusion, self.width = check_fusion(fusion), width
        self.embed = nn.Linear(noisy_channels, width)
        self.refine = nn.ModuleList(TransformerLayer(width, num_heads, mlp_ratio=2) for _ in range(num_refine_layers))
        self.narrow = nn.Linear(feature_channels, width) if fusion == 'lookup' else nn.Identity()
        self.mix_global = nn.Linear(feature_channels, width)
        self.mix_local = nn.Linear(width, width, bias=False)
        self.mix = nn.ModuleList(TransformerLayer(width, num_heads, mlp_ratio=2) for _ in range(num_mix_layers))
        self.output = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, mix_channels))
        initialise_linear_layers(self)

    def prepare(self, features: Tensor) -> ScaleCondition:
        """Features [B, C, h, w] -> all that does not depend on the noise, as tokens [B, width, h*w]."""
        positions = sine_positions(*features.shape[-2:], self.width, features.device).to(features.dtype)
        tokens = features.flatten(2).transpose(1, 2)  # [B, h*w, C]
        mixed = self.mix_global(tokens) + positions
        return ScaleCondition(self.narrow(tokens).transpose(1, 2), mixed, positions)

    def forward(self, noisy: Tensor, condition: ScaleCondition) -> Tensor:
        """Noisy map [B*H, n, h, w] -> [B*H, mix_channels, h, w]."""
        tokens = self.embed(noisy.flatten(2).transpose(1, 2)) + condition.positions  # [B*H, h*w, width]
        for layer in self.refine:
            tokens = layer(tokens)
        if self.fusion == 'lookup':  # the mask squeezes the channels, so they go first
            tokens = lookup(tokens.transpose(1, 2), condition.features).transpose(1, 2)
        tokens, mixed = pair_with_hypotheses(self.mix_local(tokens), condition.mixed)
        tokens = fold_hypotheses(tokens + mixed)
        for layer in self.mix:
            tokens = layer(tokens)
        return self.output(tokens).transpose(1, 2).unflatten(2, noisy.shape[-2:])
