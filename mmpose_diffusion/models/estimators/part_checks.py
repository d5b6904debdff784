"""Do the parts of a video model fit each other? Each answer is an error that names the parts, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmpose.models import heads as mmpose_heads
from torch import Tensor, nn

from ..necks import TemporalNeck

# Read one map, feats[-1], of one person per sample. A head of MMPose that is none of these wants something else.
SINGLE_MAP_HEADS = (
    mmpose_heads.HeatmapHead,
    mmpose_heads.SimCCHead,
    mmpose_heads.RTMCCHead,
    mmpose_heads.IntegralRegressionHead,
)
BOTTOM_UP_HEADS = (mmpose_heads.AssociativeEmbeddingHead,)  # a HeatmapHead by inheritance only

# Why the others cannot work; shown to the user who tries.
REASONS = {
    'AssociativeEmbeddingHead': 'finds all people of an image (bottom-up)',
    'CIDHead': 'finds all people of an image (bottom-up)',
    'DEKRHead': 'finds all people of an image (bottom-up)',
    'EDPoseHead': 'finds all people of an image (one-stage)',
    'RTMOHead': 'finds all people of an image (one-stage)',
    'YOLOXPoseHead': 'finds all people of an image (one-stage)',
    'CPMHead': 'reads one map for each of several stages',
    'MSPNHead': 'reads maps of several stages and scales',
    'RTMWHead': 'reads two maps of different scale',
    'InternetHead': 'predicts two hands in 3D',
    'RegressionHead': 'reads pooled features without axes of space',
    'RLEHead': 'reads pooled features without axes of space',
    'TemporalRegressionHead': 'lifts keypoint sequences to 3D',
    'TrajectoryRegressionHead': 'lifts keypoint sequences to 3D',
    'MotionRegressionHead': 'lifts keypoint sequences to 3D',
}


def check_parts(neck: nn.Module | None, temporal_neck: nn.Module, head: nn.Module) -> None:
    """Refuse, when the model is built, a neck, temporal neck and head that cannot work together."""
    if isinstance(neck, TemporalNeck):
        raise TypeError(
            f'{type(neck).__name__} is a temporal neck and was given as `neck`, which sees single frames: '
            f'write temporal_neck=dict(type={type(neck).__name__!r}, ...)'
        )
    name = type(temporal_neck).__name__
    channels = [getattr(temporal_neck, attribute, None) for attribute in ('in_channels', 'out_channels')]
    if not all(isinstance(count, int) for count in channels):
        raise TypeError(
            f'temporal neck {name} must state in_channels and out_channels as integers, got {channels}: derive it from '
            'mmpose_diffusion.models.TemporalNeck (a per-frame neck such as FPN belongs under `neck`)'
        )
    per_frame_channels = getattr(neck, 'out_channels', None)
    if isinstance(per_frame_channels, int) and per_frame_channels != channels[0]:
        raise ValueError(
            f'neck {type(neck).__name__} has out_channels={per_frame_channels}, temporal neck {name} has '
            f'in_channels={channels[0]}: make them equal'
        )
    head_channels = getattr(head, 'in_channels', None)
    if head_channels is not None and head_channels != channels[1]:
        raise ValueError(
            f'temporal neck {name} has out_channels={channels[1]}, head {type(head).__name__} has '
            f'in_channels={head_channels}: make them equal'
        )
    check_bins(head)


def check_gradient_frames(gradient_frames: str, aux_losses: Iterable[nn.Module]) -> str:
    """Return which frames teach the backbone; refuse others than 'all' and 'key', and losses in vain."""
    if gradient_frames not in ('all', 'key'):
        raise ValueError(f"gradient_frames is 'all' or 'key', got {gradient_frames!r}")
    for loss in aux_losses:
        if gradient_frames == 'key' and getattr(loss, 'reads', None) == 'frames':
            raise ValueError(
                f"{type(loss).__name__} with reads='frames' would teach the backbone nothing from the neighbours while "
                "gradient_frames='key': set gradient_frames='all', or reads='key'"
            )
    return gradient_frames


def check_head(head: nn.Module) -> None:
    """Refuse a head of MMPose that cannot read one fused map; heads of other packages are trusted to know."""
    if isinstance(head, mmpose_heads.VisPredictHead):  # wraps the head that reads the map
        return check_head(head.pose_head)
    if not type(head).__module__.startswith('mmpose.'):
        return None
    if isinstance(head, SINGLE_MAP_HEADS) and not isinstance(head, BOTTOM_UP_HEADS):
        return None
    name = type(head).__name__
    works = ', '.join(sorted(cls.__name__ for cls in SINGLE_MAP_HEADS))
    raise ValueError(
        f'{name} cannot sit on a temporal neck, which gives one map per person: it '
        f'{REASONS.get(name, "wants other features")}. Heads that work: {works} and their top-down subclasses'
    )


def check_bins(head: nn.Module) -> None:
    """Refuse classifiers of coordinates whose bins are wider than a pixel, or others than their codec's."""
    if not isinstance(head, mmpose_heads.SimCCHead | mmpose_heads.RTMCCHead):
        return
    factor, name = head.simcc_split_ratio, type(head).__name__
    if factor < 1:
        raise ValueError(f'{name}: simcc_split_ratio (bins per pixel) must be at least 1, got {factor}')
    read_as = getattr(head.decoder, 'simcc_split_ratio', factor)
    if read_as != factor:
        raise ValueError(
            f'{name} has simcc_split_ratio={factor}, its decoder has {read_as}, which would scale every place: make '
            'them, and that of the encoder in the data, equal'
        )
    read_size = getattr(head.decoder, 'input_size', head.input_size)
    if tuple(read_size) != tuple(head.input_size):
        raise ValueError(
            f'{name} has bins for an input of {tuple(head.input_size)} (w, h), its decoder for {tuple(read_size)}: '
            'make them, and that of the encoder in the data, equal'
        )


def check_test_cfg(head: nn.Module, test_cfg: Mapping[str, Any]) -> None:
    """Let a head that has options for testing refuse them when the model is built, not behind the first epoch."""
    if hasattr(head, 'check_test_cfg'):
        head.check_test_cfg(test_cfg)


def choose_map(maps: Any, feature_index: int | None, source: str) -> Tensor:
    """Take one map [N, C, h, w] out of what a backbone or neck (`source`, for the error) returned."""
    if isinstance(maps, (tuple, list)):
        if feature_index is not None:
            if not -len(maps) <= feature_index < len(maps):
                raise ValueError(f'feature_index={feature_index}, but {source} gives {len(maps)} maps')
            maps = maps[feature_index]
        elif len(maps) == 1:
            maps = maps[0]
        else:
            shapes = [list(getattr(item, 'shape', [])) for item in maps]
            raise ValueError(
                f"{source} gives {len(maps)} maps {shapes}, a temporal neck takes one. Choose by the backbone's "
                "out_indices, or merge them by neck=dict(type='FeatureMapProcessor', concat=True), or set the "
                "estimator's feature_index (layers behind unused maps then get no gradient)"
            )
    if not isinstance(maps, Tensor) or maps.ndim != 4:
        got = list(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ValueError(f'{source} must give a map [N, C, h, w] for each frame, got {got}')
    return maps


def check_clip_features(features: Any, name: str, batch_size: int, out_channels: int) -> None:
    """Refuse what is not `ClipFeatures`: a head would read the last sample, or the wrong item, without a word."""
    fields = getattr(features, '_fields', ())
    if not isinstance(features, tuple) or not {'frames', 'window'} <= set(fields) or fields[-1] != 'fused':
        got = type(features).__name__
        danger = 'the last SAMPLE of a bare tensor' if isinstance(features, Tensor) else 'whatever comes last'
        raise TypeError(
            f'temporal neck {name} must return ClipFeatures(frames, window, aligned, fused), got {got}: '
            f'heads read feats[-1], which would be {danger}'
        )
    shape = list(features.fused.shape)
    if len(shape) != 4 or shape[:2] != [batch_size, out_channels]:
        raise ValueError(
            f'temporal neck {name} must fuse {batch_size} clips into a map [{batch_size}, {out_channels}, h, w] '
            f'(out_channels={out_channels}), got {shape}'
        )


def merge_losses(losses: dict[str, Tensor], added: Any, name: str) -> None:
    """Add the terms of auxiliary loss `name` to `losses` in place, refusing names that are taken or not counted."""
    if not isinstance(added, Mapping) or not any('loss' in term for term in added):
        got = list(added) if isinstance(added, Mapping) else type(added).__name__
        raise TypeError(
            f'auxiliary loss {name} must return a dict with at least one term named ...loss... (MMEngine only logs the '
            f'others), got {got}'
        )
    taken = sorted(set(added) & set(losses))
    if taken:
        raise ValueError(
            f'auxiliary loss {name} returns {taken}, names that another loss of this model uses already: rename them'
        )
    losses.update(added)
