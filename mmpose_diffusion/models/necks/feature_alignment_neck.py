"""FAMI-Pose: align the support frames' maps with the key frame's, coarse to fine, then fuse them."""

from __future__ import annotations

import logging

from mmengine.logging import print_log
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import ClipFeatures, FrameWindow
from .global_transformation import FREEDOM, GlobalTransformation
from .local_calibration import LocalCalibration
from .support_fusion_neck import SupportFusionNeck
from .temporal_neck import TemporalNeck


def mean_over_real(maps: Tensor, is_real: Tensor) -> Tensor:
    """Mean [B, C, h, w] of maps [B, S, C, h, w] over the S frames that are real (is_real [B, S]); zero if none is."""
    weights = is_real / is_real.sum(dim=1, keepdim=True).clamp(min=1)  # [B, S]
    return (maps * weights[:, :, None, None, None].to(maps.dtype)).sum(dim=1)


@MODELS.register_module()
class FeatureAlignmentNeck(TemporalNeck):
    """Warp each support frame as a whole, calibrate it cell by cell, and add what it shows to the key frame's map.

    `Temporal Feature Alignment and Mutual Information Maximization for Video-Based Human Pose Estimation` (FAMI-Pose,
    CVPR 2022). The mutual information objective is a loss of its own; it reads `ClipFeatures.aligned`.

    The key frame only steers: warp, offsets and modulation are predicted from it, but no aligned map contains anything
    of its content. All supports share the weights, so any number of frames works.

    Where the paper is silent, or this departs from it:

    * The aligned supports are aggregated by `SupportFusionNeck`, not by convolutions over their concatenation: a border
      repeat then has no weight, the number of frames is free, a clip without real supports gives exactly the key
      frame's map, and with both stages off what remains is that baseline. It looks one cell around: moving is done.
    * Group instead of batch normalisation, so that the people of a batch do not influence each other.
    * Maps that are merged before the calibration are averaged over the real supports (released code: concatenated and
      convolved, for exactly four supports).

    A clip of one frame has nothing to align; this is logged once, and its fused map is its own.

    Args:
        in_channels: channels C of the per-frame maps, and of the result.
        transformation: 'affine' (the paper), 'translation' (the released code), or None for no global transformation.
        num_calibration_layers: layers of the local calibration; 0 for none.
        offset_groups: groups of channels that the calibration moves together; must divide C.
        dilation: distance of the calibration's taps in cells.
        merge: 'after_calibration' calibrates each support (the paper); 'before_calibration' only their mean (as the
            released code), which stands in `aligned` for each of them.
        hidden_channels: channels of every comparison of two maps; a multiple of 8.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        transformation: str | None = 'affine',
        num_calibration_layers: int = 2,
        offset_groups: int = 12,
        dilation: int = 3,
        merge: str = 'after_calibration',
        hidden_channels: int = 32,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(in_channels, in_channels, init_cfg)
        if merge not in ('before_calibration', 'after_calibration'):
            raise ValueError(
                f"FeatureAlignmentNeck: merge must be 'before_calibration' or 'after_calibration', got {merge!r}"
            )
        if transformation not in (None, *FREEDOM):
            raise ValueError(
                f'FeatureAlignmentNeck: transformation must be one of {", ".join(FREEDOM)}, or None, which switches it '
                f'off, got {transformation!r}'
            )
        layers = num_calibration_layers
        if isinstance(layers, bool) or not isinstance(layers, int) or layers < 0:
            raise ValueError(
                'FeatureAlignmentNeck: num_calibration_layers must be a whole number, of which 0 switches the '
                f'calibration off, got {layers!r}'
            )
        if not isinstance(hidden_channels, int) or hidden_channels < 8 or hidden_channels % 8:
            raise ValueError(
                f'FeatureAlignmentNeck: hidden_channels must be a positive multiple of 8, got {hidden_channels!r}'
            )
        self.merge_first = merge == 'before_calibration'
        self.global_transformation = self.local_calibration = None
        if transformation is not None:
            self.global_transformation = GlobalTransformation(in_channels, transformation, hidden_channels)
        if num_calibration_layers:
            self.local_calibration = LocalCalibration(
                in_channels, num_calibration_layers, offset_groups, dilation, hidden_channels
            )
        self.aggregation = SupportFusionNeck(in_channels, hidden_channels, dilations=(1,))
        self._said_nothing_to_align = False

    def align(self, frames: Tensor, window: FrameWindow) -> Tensor:
        """Aligned maps [B, S, C, h, w] of the S = T - 1 supports among maps [B, T, C, h, w]."""
        supports = frames[:, window.support_positions]  # [B, S, C, h, w]
        folded = supports.shape[:2]
        keys = frames[:, window.key_index, None].expand_as(supports).flatten(0, 1)  # [B*S, C, h, w]
        if self.global_transformation is not None:
            supports = self.global_transformation(supports.flatten(0, 1), keys).unflatten(0, folded)
        if self.merge_first:
            merged = mean_over_real(supports, window.support_is_real)  # [B, C, h, w]
            if self.local_calibration is not None:
                merged = self.local_calibration(merged, frames[:, window.key_index])
            return merged[:, None].expand_as(supports)
        if self.local_calibration is not None:
            supports = self.local_calibration(supports.flatten(0, 1), keys).unflatten(0, folded)
        return supports

    def fuse(self, frames: Tensor, window: FrameWindow) -> Tensor:
        """Fuse maps [B, T, C, h, w] of the key frame and of aligned supports into [B, C, h, w]."""
        return self.aggregation.fuse(frames, window)

    def forward(self, frames: Tensor, window: FrameWindow) -> ClipFeatures:
        """Check the maps [B, T, C, h, w] of a batch of clips, align their supports and fuse them."""
        self.check_maps(frames, window)
        if window.num_frames == 1 and not self._said_nothing_to_align:
            print_log('FeatureAlignmentNeck: clips of one frame have nothing to align', 'current', logging.WARNING)
            self._said_nothing_to_align = True
        aligned = self.align(frames, window)
        moved = frames.clone()
        moved[:, window.support_positions] = aligned
        return ClipFeatures(frames=frames, window=window, aligned=aligned, fused=self.fuse(moved, window))
