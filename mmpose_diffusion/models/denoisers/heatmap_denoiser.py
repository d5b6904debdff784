"""The Pose-Decoder of DiffPose: noisy heatmaps and the clip's features in, clean heatmaps out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_norm_layer
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...diffusion import StepEmbedding
from .base_denoiser import BaseHeatmapDenoiser
from .condition_pyramid import ConditionPyramid, power_of_two
from .lookup_interaction import ConvolutionInteraction, ScaleCondition, TokenInteraction, check_fusion


@MODELS.register_module()
class HeatmapDenoiser(BaseHeatmapDenoiser):
    """Pose-Decoder with LMSFI, the Lookup-based MultiScale Feature Interaction (DiffPose, ICCV 2023).

    1. The step rescales the noisy heatmaps channel by channel: x * (1 + scale(t)) + shift(t).
    2. Features and noisy heatmaps meet on three scales. On each, the refined noisy map becomes a mask that points into
       the features, and the features so picked (local) are mixed with all of them (global): by transformers on the
       lowest scale, by convolutions on the others.
    3. The scales' results are brought to the heatmap's size and added; a 3x3 convolution makes heatmaps of them.

    Departures from the paper, whose width and depth are unknown: the features are reduced to `lookup_channels` before
    the lookup, and everything that a step repeats is narrow, so that many steps and hypotheses cost little next to the
    backbone. The scales' results are upsampled bilinearly. Normalisation is by group: what a batch normalisation
    learns over all steps and noises fits none of them; one more stands before the last convolution.

    The ablation arms are options: ``fusion='direct'`` mixes the noisy map itself with the features instead of looking
    up; ``scales=(1,)`` is a single scale; ``attention_scales=()`` is convolutions only.

    Args:
        in_channels: channels of the feature map.
        out_channels: number of keypoints.
        upsample_factor: heatmap size over feature size: 4 for a vision transformer at 1/16 of the image, 1 for HRNet.
        scales: sizes on which features and heatmaps meet, as heatmap size over map size, coarse to fine.
        attention_scales: those of them that work on tokens; cost grows with the square of their cells.
        fusion: 'lookup' or 'direct'.
        feature_channels: channels of the features on all scales; paid once per clip.
        lookup_channels: channels of the features that masks point into; paid in each step.
        mix_channels: channels of the mixed features; paid in each step.
        token_width: channels of a token on the attention scales.
        num_refine_layers, num_mix_layers: transformer layers there.
        step_width: channels of the step embedding.
        output_bias: what the untrained network answers everywhere; -1 is an empty heatmap in the diffusion's units,
            for networks that predict noise or v it should be 0.
        norm_cfg: normalisation; None means group normalisation with 8 groups.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        upsample_factor: int = 4,
        scales: Sequence[int] = (4, 2, 1),
        attention_scales: Sequence[int] = (4,),
        fusion: str = 'lookup',
        feature_channels: int = 256,
        lookup_channels: int = 64,
        mix_channels: int = 64,
        token_width: int = 128,
        num_refine_layers: int = 1,
        num_mix_layers: int = 2,
        step_width: int = 128,
        output_bias: float = -1.0,
        norm_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, init_cfg)
        check_fusion(fusion)
        if list(scales) != sorted(set(scales), reverse=True) or not scales or not all(map(power_of_two, scales)):
            raise ValueError(f'scales must be descending powers of two, such as (4, 2, 1); got {tuple(scales)}')
        if not all(map(power_of_two, attention_scales)):
            raise ValueError(f'attention_scales must be powers of two such as (4,), got {tuple(attention_scales)}')
        if min(num_refine_layers, num_mix_layers) < 0:
            raise ValueError(f'num_refine_layers {num_refine_layers} and num_mix_layers {num_mix_layers} start at 0')
        norm_cfg = norm_cfg or dict(type='GN', num_groups=8)
        self.upsample_factor, self.scales = upsample_factor, tuple(scales)
        self.pyramid = ConditionPyramid(in_channels, feature_channels, upsample_factor, scales, norm_cfg)
        self.step_embedding = StepEmbedding(step_width)
        self.modulation = nn.Linear(step_width, 2 * out_channels)
        # noisy heatmaps at 1/2, 1/4, ... of their size, as far down as the coarsest scale
        noisy_channels = 32
        widths = [out_channels] + [noisy_channels] * (max(scales).bit_length() - 1)
        self.downsample = nn.ModuleList(
            ConvModule(before, after, 3, stride=2, padding=1, norm_cfg=norm_cfg)
            for before, after in zip(widths[:-1], widths[1:], strict=True)
        )
        self.interactions = nn.ModuleList()
        for scale in scales:
            noisy = out_channels if scale == 1 else noisy_channels
            if scale in attention_scales:
                layers = dict(width=token_width, num_refine_layers=num_refine_layers, num_mix_layers=num_mix_layers)
                interaction = TokenInteraction(noisy, feature_channels, mix_channels, fusion, **layers)
            else:
                interaction = ConvolutionInteraction(
                    noisy, feature_channels, lookup_channels, mix_channels, fusion, norm_cfg
                )
            self.interactions.append(interaction)
        # The norm: nothing else sets the size of the sum of the scales.
        # Plain layers: MMEngine's init_weights would overwrite what is set below in a ConvModule.
        norm = build_norm_layer(norm_cfg, mix_channels)[1]
        self.output = nn.Sequential(norm, nn.ReLU(), nn.Conv2d(mix_channels, out_channels, 3, padding=1))
        # The step starts without influence, the heatmaps close to empty.
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        nn.init.normal_(self.output[-1].weight, std=0.001)
        nn.init.constant_(self.output[-1].bias, output_bias)
        self._register_load_state_dict_pre_hook(self._refuse_other_keypoints)

    def heatmap_size(self, feature_size: tuple[int, int]) -> tuple[int, int]:
        """Size (h', w') of the heatmaps that go with feature maps of `feature_size` (h, w)."""
        return tuple(side * self.upsample_factor for side in feature_size)

    def prepare(self, features: Tensor) -> list[ScaleCondition]:
        """Features [B, C, h, w] -> what each scale needs to know about them."""
        size = self.heatmap_size(features.shape[-2:])
        if any(side % self.scales[0] for side in size):
            raise ValueError(
                f'{type(self).__name__}: heatmaps of {size} (h, w) cannot be halved down to 1/{self.scales[0]}: choose '
                f'another image size, or scales that divide both sides instead of {self.scales}'
            )
        maps = self.pyramid(features)
        return [interaction.prepare(scaled) for interaction, scaled in zip(self.interactions, maps, strict=True)]

    def forward(self, noisy: Tensor, step: Tensor, condition: list[ScaleCondition]) -> Tensor:
        """Noisy heatmaps [B*H, K, h', w'], step [B*H], condition of B clips -> guess [B*H, K, h', w']."""
        gain, shift = self.modulation(self.step_embedding(step))[:, :, None, None].chunk(2, dim=1)
        noisy = noisy * (1 + gain) + shift
        pyramid = {1: noisy}
        for level, layer in enumerate(self.downsample):
            pyramid[2 ** (level + 1)] = layer(pyramid[2**level])
        mixed = 0
        for scale, interaction, known in zip(self.scales, self.interactions, condition, strict=True):
            result = interaction(pyramid[scale], known)
            if scale != 1:
                result = F.interpolate(result, size=noisy.shape[-2:], mode='bilinear', align_corners=False)
            mixed = mixed + result
        return self.output(mixed)

    def _refuse_other_keypoints(self, state_dict: dict[str, Tensor], prefix: str, *_: object) -> None:
        """Stop when a checkpoint of another number of keypoints is loaded: MMEngine would only warn."""
        name = f'{prefix}output.{len(self.output) - 1}.weight'
        weight = state_dict.get(name)
        if isinstance(weight, torch.Tensor) and weight.shape[0] != self.out_channels:
            raise ValueError(
                f'{name} of the checkpoint is for {weight.shape[0]} keypoints, this model has '
                f'{self.out_channels}: load a checkpoint of the same keypoints, or take only its backbone '
                "(init_cfg=dict(type='Pretrained', prefix='backbone.', checkpoint=...))"
            )
