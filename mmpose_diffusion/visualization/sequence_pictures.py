"""Pictures of a lifted sequence: the answer and the hypotheses below the annotated motion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmpose.structures import PoseDataSample

from ..evaluation.functional.json_values import to_numpy
from .pose3d_picture import SkeletonPainter
from .tile_layout import lay_out


class SequencePainter:
    """Draws what an evaluation knows about a clip of 3D poses, at moments spread over it.

    Args:
        metainfo: of the data set that names the 3D joints.
        moments: how many frames of a clip are shown.
        hypotheses: how many hypotheses are shown, of a model that gives several.
        size: of a skeleton's tile, in pixels.
    """

    def __init__(self, metainfo: Mapping[str, Any], moments: int = 5, hypotheses: int = 3, size: int = 192) -> None:
        self.painter = SkeletonPainter(metainfo)
        self.moments, self.hypotheses, self.size = moments, hypotheses, size

    def draw(self, sample: PoseDataSample) -> np.ndarray:
        """RGB picture [H, W, 3]: a column for each moment; frames without a trusted annotation show none."""
        truth, predicted = sample.gt_instances, sample.pred_instances
        frames = np.unique(np.linspace(0, len(sample.frame_ids) - 1, self.moments).round().astype(int))
        annotated = to_numpy(truth.frame_annotated).astype(bool)
        rows = {
            'annotated': [self._tile(to_numpy(truth.lifting_target)[frame], annotated[frame]) for frame in frames],
            'predicted': [self._tile(to_numpy(predicted.keypoints)[frame]) for frame in frames],
        }
        if 'keypoint_hypotheses' in predicted:
            hypotheses = to_numpy(predicted.keypoint_hypotheses)  # [F, J, H, 3]
            for index in range(min(hypotheses.shape[2], self.hypotheses)):
                rows[f'hypothesis {index + 1}'] = [self._tile(hypotheses[frame, :, index]) for frame in frames]
        columns = [f'frame {sample.frame_ids[frame]}' for frame in frames]
        return lay_out(list(rows.values()), columns, list(rows), corner=sample.action or '')

    def _tile(self, pose: np.ndarray, is_known: bool = True) -> np.ndarray:
        """A skeleton [J, 3] on its floor, or an empty tile; RGB [size, size, 3]."""
        poses, labels = (pose[None], ['']) if is_known else (pose[:0], [])
        return self.painter.panel(poses, labels, self.size)[..., ::-1]
