"""A stock head that supervises the features of a clip while training, and is not asked afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from ...structures import ClipFeatures, describe_sample

MAPS = ('fused', 'key', 'frames')


@MODELS.register_module()
class AuxiliaryHead(BaseModule):
    """Deep supervision: the loss of another head on the clip's features, beside that of the model's own head.

    Meant for heads whose own loss teaches the features slowly. A diffusion head's is one: where little noise was drawn,
    the noisy heatmaps give the answer away and the features have nothing to learn. Prediction does not change.

    Args:
        head: any stock head; needs no decoder. The codec's targets must suit it as well as the model's own head.
        reads: the map it sees: 'fused' (behind the temporal neck), 'key' (the key frame's, before it), or 'frames' (the
            maps of all frames, each with its own heatmaps as targets: `GenerateClipTarget` makes them).
        weight: factor of its losses.
        prefix: put before the names of its terms, so that they do not collide with those of the model's head.
    """

    def __init__(self, head: dict, reads: str = 'fused', weight: float = 1.0, prefix: str = 'auxiliary_') -> None:
        super().__init__()
        if reads not in MAPS:
            raise ValueError(f'AuxiliaryHead reads one of {", ".join(MAPS)}, got {reads!r}')
        self.head, self.reads, self.weight, self.prefix = MODELS.build(head), reads, weight, prefix

    def forward(self, features: ClipFeatures, batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Named losses of the head on one map of each clip, or of each frame."""
        maps = getattr(features, self.reads)
        if self.reads == 'frames':  # [B, T, C, h, w] -> [B*T, C, h, w]
            batch_data_samples = [
                sample
                for position, clip in enumerate(batch_data_samples)
                for sample in samples_of_frames(clip, maps.shape[1], position)
            ]
            maps = maps.flatten(0, 1)
        losses = self.head.loss((maps,), batch_data_samples, train_cfg={'compute_acc': False})
        return {self.prefix + name: value * self.weight for name, value in losses.items() if 'loss' in name}


def samples_of_frames(clip: PoseDataSample, num_frames: int, position: int) -> list[PoseDataSample]:
    """The T frames of a clip as samples of their own, with heatmaps [K, h, w] and weights [1, K]."""
    if 'clip_heatmaps' not in clip.gt_fields:
        raise ValueError(
            f"{describe_sample(clip.metainfo, position)} has no heatmaps for its frames, which reads='frames' wants: "
            'use GenerateClipTarget in place of GenerateTarget'
        )
    heatmaps = clip.gt_fields.clip_heatmaps.unflatten(0, (num_frames, -1))  # [T, K, h, w]
    weights = clip.gt_instance_labels.clip_keypoint_weights[0]  # [T, K]
    return [
        PoseDataSample(
            metainfo=clip.metainfo,
            gt_fields=PixelData(heatmaps=heatmaps[frame]),
            gt_instance_labels=InstanceData(keypoint_weights=weights[frame, None]),
        )
        for frame in range(num_frames)
    ]
