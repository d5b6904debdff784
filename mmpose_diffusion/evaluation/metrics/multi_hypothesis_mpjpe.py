"""Errors of 3D poses lifted from 2D sequences, of one or several hypotheses, as a metric of MMPose."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from ..functional.json_values import to_numpy
from ..functional.multi_hypothesis import hypothesis_frame_errors
from ..functional.pose3d_errors import (
    AUC_DISTANCES,
    PCK_DISTANCE,
    align_by_scale,
    align_by_similarity,
    joint_errors,
    share_within,
    velocity_errors,
)
from ..functional.pose_tracks import join_chunks

MILLIMETRES = 1000.0


@METRICS.register_module()
class MultiHypothesisMPJPE(BaseMetric):
    """Errors of lifted poses in millimetres, the mean over frames of an action and then over actions.

    Of the pose that the model answers with (`pred_instances.keypoints`, metres):
        mpjpe, p_mpjpe, n_mpjpe: mean joint error as it is, after a similarity transform, after scaling.
        velocity_error: mean error of joint velocities, millimetres per frame, across the borders of chunks but not
            across frames without a trusted annotation.
        pck_150, auc_150: percentage of joints nearer than 150 mm, and its mean over distances 0, 5 ... 150 mm.
    Of the hypotheses (`pred_instances.keypoint_hypotheses` [F, J, H, 3]; the pose alone if there are none):
        p_agg, j_agg, j_agg_estimated_root, and the oracles p_best_oracle, p_best_oracle_batch and j_best_oracle, which
        choose by the ground truth: see `multi_hypothesis_errors`. The ones called `j_agg` need cameras; if one is
        unknown they are left out. A batch, for p_best_oracle_batch, is one of the data loader.
    All of them also of each action, under `<score>/<action>`. All joints count, as in the papers, also the root, whose
    error is zero.

    Args:
        count_repeats: count padded frames, and frames that two chunks share twice, as the released code of D3DP and
            FinePOSE does. By default each frame counts once. Velocities are always those of each frame once.
        collect_device: `'cpu'` or `'gpu'`.
        prefix: of the metric names.
    """

    default_prefix = 'lifting'

    def __init__(self, count_repeats: bool = False, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.count_repeats = count_repeats

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the sums of each chunk's errors, and its poses for the velocities."""
        chunks = [_read_chunk(sample) for sample in data_samples]
        target, predicted, hypotheses, keypoints_2d, root, annotated, counted = (
            np.stack([chunk[key] for chunk in chunks])
            for key in ('target', 'predicted', 'hypotheses', 'keypoints_2d', 'root', 'annotated', 'valid')
        )
        counted = annotated if self.count_repeats else counted  # [B, F]
        cameras = [sample['camera'] for sample in data_samples]
        camera = None if any(camera is None for camera in cameras) else np.stack(cameras)
        plain = joint_errors(predicted, target)  # [B, F, J]
        frame_errors = {
            'mpjpe': plain.mean(axis=-1),
            'p_mpjpe': joint_errors(align_by_similarity(predicted, target), target).mean(axis=-1),
            'n_mpjpe': joint_errors(align_by_scale(predicted, target), target).mean(axis=-1),
            'pck_150': share_within(plain, PCK_DISTANCE),
            'auc_150': share_within(plain, AUC_DISTANCES),
            **hypothesis_frame_errors(hypotheses, target, keypoints_2d, camera, root, counted),
        }
        offset = np.where(annotated[..., None, None], predicted - target, np.nan).astype(np.float32)  # [B, F, J, 3]
        for index, sample in enumerate(data_samples):
            self.results.append(
                {
                    'action': sample['action'] or '',
                    'track': (sample['sequence'], sample['person']),
                    'count': int(counted[index].sum()),
                    'sums': {name: float(values[index][counted[index]].sum()) for name, values in frame_errors.items()},
                    'frame_ids': np.asarray(sample['frame_ids']),
                    'offset': offset[index],  # [F, J, 3], NaN without a trusted annotation
                }
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Average over the frames of each action, then over actions."""
        by_action: dict[str, list[dict[str, Any]]] = {}
        for chunk in results:
            by_action.setdefault(chunk['action'], []).append(chunk)
        scores = {action: _scores_of_action(chunks) for action, chunks in sorted(by_action.items())}
        names = [name for name in next(iter(scores.values())) if all(name in score for score in scores.values())]
        mean = {name: _mean([score[name] for score in scores.values()]) for name in names}
        if 'j_agg' not in names:
            MMLogger.get_current_instance().info('No j_agg: the camera of some sequences is not known')
        _log_table({**scores, 'mean over actions': mean}, names)
        per_action = {f'{name}/{action}': score[name] for name in names for action, score in scores.items() if action}
        return {**mean, **per_action}


def _read_chunk(sample: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of a chunk, lengths in millimetres; refuse predictions that do not fit or are not finite.

    Poses of frames without a trusted annotation, which never count, may hold anything; they are put to zero.
    """
    truth, prediction = sample['gt_instances'], sample['pred_instances']
    label = f'{sample["sequence"]}, person {sample["person"]}, frames from {sample["frame_ids"][0]} on'
    target = to_numpy(truth['lifting_target'])
    predicted = to_numpy(prediction['keypoints'])
    if predicted.shape != target.shape:
        raise ValueError(f'{label}: expected predicted poses {target.shape}, got {predicted.shape}')
    if 'keypoint_hypotheses' in prediction:
        hypotheses = to_numpy(prediction['keypoint_hypotheses'])  # [F, J, H, 3]
        if hypotheses.ndim != 4 or (*hypotheses.shape[:2], hypotheses.shape[3]) != target.shape:
            frames, joints, _ = target.shape
            raise ValueError(f'{label}: expected hypotheses [{frames}, {joints}, H, 3], got {hypotheses.shape}')
        hypotheses = hypotheses.transpose(2, 0, 1, 3)
    else:
        hypotheses = predicted[None]
    annotated = to_numpy(truth['frame_annotated']).astype(bool)
    trusted = annotated[:, None, None]  # [F, 1, 1]
    poses = {
        name: np.where(trusted, MILLIMETRES * value.astype(np.float64), 0)
        for name, value in (('target', target), ('predicted', predicted), ('hypotheses', hypotheses))
    }
    if not (np.isfinite(poses['predicted']).all() and np.isfinite(poses['hypotheses']).all()):
        raise ValueError(f'{label}: predicted poses are not finite; the model may have diverged')
    return {
        **poses,
        'root': MILLIMETRES * to_numpy(truth['root_trajectory']).astype(np.float64),
        'keypoints_2d': to_numpy(truth['keypoints_2d']),
        'annotated': annotated,
        'valid': to_numpy(truth['frame_valid']).astype(bool),
    }


def _scores_of_action(chunks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over all counted frames, and over all pairs of frames for the velocity."""
    count = sum(chunk['count'] for chunk in chunks)
    names = [name for name in chunks[0]['sums'] if all(name in chunk['sums'] for chunk in chunks)]
    scores = {name: sum(chunk['sums'][name] for chunk in chunks) / count if count else float('nan') for name in names}
    tracks: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for chunk in chunks:
        tracks.setdefault(chunk['track'], []).append(chunk)
    velocities = []
    for parts in tracks.values():
        frames, offset = join_chunks([part['frame_ids'] for part in parts], [part['offset'] for part in parts])
        velocities.append(velocity_errors(offset, np.zeros_like(offset), frames).mean(axis=-1))
    velocity = np.concatenate(velocities)
    return {**scores, 'velocity_error': _mean(velocity[np.isfinite(velocity)])}


def _log_table(scores: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> None:
    """All scores of each action, the oracles named as what they are."""
    width = max(len(action) for action in scores)
    lines = [' ' * width + ''.join(f'  {name}' for name in names)]
    for action, score in scores.items():
        lines.append(f'{action:<{width}}' + ''.join(f'  {score[name]:>{len(name)}.2f}' for name in names))
    MMLogger.get_current_instance().info(
        'Lifting, mm (pck and auc: %; *_oracle* choose by the ground truth):\n' + '\n'.join(lines)
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float('nan')
