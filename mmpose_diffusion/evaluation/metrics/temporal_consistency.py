"""Steadiness of predicted poses over time, as a metric of MMPose."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from ..functional.json_values import head_sizes_of_corners, to_numpy
from ..functional.temporal import acceleration_errors, jitter_values

UNITS = {'bbox': 'box diagonals', 'head': 'head sizes', 'none': 'pixels'}


@METRICS.register_module()
class TemporalConsistency(BaseMetric):
    """Jitter and acceleration error of predicted keypoints along the annotated tracks.

    For samples with ground truth boxes (they carry `raw_ann_info`): `video`, `track_id` and `key_frame_index` say
    where a sample belongs. Only annotated keypoints count, only inside runs of consecutive frames; a gap breaks a run.

    Results, all means over tracks, keypoints and frames together:
        jitter: length of the third difference of the prediction, in sizes (or pixels) per frame^3.
        jitter_ground_truth: the same of the annotation. A good model is near it; far below it, it is too smooth.
        acceleration_error: distance of predicted and annotated acceleration, in sizes (or pixels) per frame^2.
    NaN where no track has enough consecutive frames (4 for jitter, 3 for acceleration).

    Args:
        normalize: what lengths are divided by: `'bbox'` the diagonal of the person's annotated box, `'head'` the head
            size of PoseTrack (0.6 diagonals of the head box), `'none'` nothing: pixels.
        collect_device: `'cpu'` or `'gpu'`.
        prefix: of the metric names.
    """

    default_prefix = 'temporal'

    def __init__(self, normalize: str = 'bbox', collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if normalize not in UNITS:
            raise ValueError(f'normalize must be one of {tuple(UNITS)}, got {normalize!r}')
        self.normalize = normalize

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep predicted and annotated keypoints of each sample and its place in a track."""
        for sample in data_samples:
            label = f'sample {sample.get("id")} ({sample.get("img_path")})'
            missing = [
                key for key in ('video', 'track_id', 'key_frame_index', 'raw_ann_info') if sample.get(key) is None
            ]
            if missing:
                raise ValueError(
                    f'{label} has no {", ".join(missing)}: TemporalConsistency follows annotated tracks. Evaluate with '
                    'ground truth boxes, and let the pipeline pack these keys'
                )
            truth = sample['gt_instances']
            predicted = to_numpy(sample['pred_instances']['keypoints'])  # [1, K, 2]
            target = to_numpy(truth['keypoints'])
            if predicted.shape != target.shape or len(predicted) != 1:
                raise ValueError(
                    f'{label}: expected one person of shape {target.shape}, got predictions {predicted.shape}'
                )
            if not np.isfinite(predicted).all():
                raise ValueError(f'{label}: predicted keypoints are not finite; the model may have diverged')
            self.results.append(
                {
                    'track': (sample['video'], int(sample['track_id'])),
                    'frame': int(sample['key_frame_index']),
                    'id': sample.get('id'),
                    'predicted': predicted[0],
                    'target': target[0],
                    'is_annotated': to_numpy(truth['keypoints_visible']).reshape(-1) > 0,
                    'size': self._person_size(sample, label),
                }
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Put the samples into tracks and average over all of them."""
        tracks: dict[tuple[str, int], dict[int, dict[str, Any]]] = {}
        for sample in results:
            other = tracks.setdefault(sample['track'], {}).setdefault(sample['frame'], sample)
            if other['id'] != sample['id']:
                raise ValueError(
                    f'video {sample["track"][0]}, frame {sample["frame"]}: samples {other["id"]} and {sample["id"]} '
                    f'both belong to track {sample["track"][1]}'
                )
        jitter, jitter_of_truth, errors = [], [], []
        for by_frame in tracks.values():
            frames = np.array(sorted(by_frame))
            predicted, target, is_annotated, sizes = (
                np.stack([by_frame[frame][key] for frame in frames.tolist()])
                for key in ('predicted', 'target', 'is_annotated', 'size')
            )
            jitter.append(jitter_values(predicted, is_annotated, frames, sizes))
            jitter_of_truth.append(jitter_values(target, is_annotated, frames, sizes))
            errors.append(acceleration_errors(predicted, target, is_annotated, frames, sizes))
        values = {
            'jitter': _mean_of_all(jitter),
            'jitter_ground_truth': _mean_of_all(jitter_of_truth),
            'acceleration_error': _mean_of_all(errors),
        }
        unit = UNITS[self.normalize]
        MMLogger.get_current_instance().info(
            f'Temporal consistency of {len(tracks)} tracks: jitter {values["jitter"]:.5f} (ground truth '
            f'{values["jitter_ground_truth"]:.5f}) {unit}/frame^3, acceleration error '
            f'{values["acceleration_error"]:.5f} {unit}/frame^2'
        )
        return values

    def _person_size(self, sample: Mapping[str, Any], label: str) -> float:
        if self.normalize == 'none':
            return 1.0
        if self.normalize == 'bbox':
            x1, y1, x2, y2 = to_numpy(sample['gt_instances']['bboxes'])[0]
            size = float(np.hypot(x2 - x1, y2 - y1))
        else:
            head_box = (sample.get('raw_ann_info') or {}).get('bbox_head')
            if not head_box:
                raise ValueError(f"{label} has no bbox_head in raw_ann_info: use normalize='bbox'")
            x, y, width, height = head_box
            size = float(head_sizes_of_corners(np.array([x, y, x + width, y + height], dtype=np.float64)))
        if not size > 0:
            raise ValueError(
                f'{label}: the size of the person ({self.normalize}) is {size}, nothing can be divided by it'
            )
        return size


def _mean_of_all(values: Sequence[np.ndarray]) -> float:
    pooled = np.concatenate([*values, np.empty(0)])
    return float(pooled.mean()) if len(pooled) else float('nan')
