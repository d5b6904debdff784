"""What metrics of single joints read from a sample: where a joint is predicted, where it is, and in which unit."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..functional.joint_subsets import SubsetRule, read_joint_facts
from ..functional.json_values import head_sizes_of_corners, to_numpy

EARS = ('left_ear', 'right_ear')  # not part of PoseTrack's evaluation, and annotated nowhere


class AnnotatedPerson(NamedTuple):
    """One person with K keypoints."""

    predicted: np.ndarray  # [K, 2] pixels of the image
    exact: np.ndarray  # [K, 2] pixels of the image
    is_counted: np.ndarray  # [K] bool: the joints of the subset
    crop_scale: np.ndarray  # [2] pixels of the network's input per pixel of the image
    head_size: float  # pixels of the image; NaN where there is no head box


def read_annotated_person(sample: Mapping[str, Any], rule: SubsetRule, metric: str) -> AnnotatedPerson:
    """Read a sample in a ground-truth box; `metric` is who asks, for error messages."""
    label = sample_label(sample)
    missing = [key for key in ('raw_ann_info', 'input_size', 'input_scale') if sample.get(key) is None]
    if missing:
        raise ValueError(
            f'{label} has no {", ".join(missing)}: {metric} compares with the annotation of the box. Evaluate with '
            'ground-truth boxes (no bbox_file), and let the pipeline pack these keys'
        )
    annotation, truth = sample['raw_ann_info'], sample['gt_instances']
    # Not the keypoints of the annotation, which count pixels as its files do: from one in JHMDB.
    exact = to_numpy(truth['keypoints'])
    predicted = to_numpy(sample['pred_instances']['keypoints'])
    if predicted.shape != exact.shape or len(exact) != 1:
        raise ValueError(f'{label}: expected one person of shape {exact.shape}, got predictions {predicted.shape}')
    if not np.isfinite(predicted).all():
        raise ValueError(f'{label}: predicted keypoints are not finite; the model may have diverged')
    head_size = annotated_head_size(annotation)
    visible = to_numpy(truth['keypoints_visible'])  # [1, K], or [1, K, 2] with weights
    exact, is_counted = exact[0], (visible[..., 0] if visible.ndim == 3 else visible)[0] > 0
    if rule.needs_facts:
        facts = read_joint_facts(annotation, label)
        exact, is_counted = facts.keypoints, rule.select(facts, np.array(head_size))
    crop_scale = to_numpy(sample['input_size']) / to_numpy(sample['input_scale'])
    return AnnotatedPerson(predicted[0], exact, is_counted, crop_scale, head_size)


def annotated_head_size(annotation: Mapping[str, Any]) -> float:
    """PoseTrack's head size of an annotation in pixels; NaN where there is no head box."""
    if not annotation.get('bbox_head'):
        return float('nan')
    x, y, width, height = annotation['bbox_head']
    return float(head_sizes_of_corners(np.array([x, y, x + width, y + height], dtype=np.float64)))


def sample_label(sample: Mapping[str, Any]) -> str:
    """How error messages call a sample."""
    return f'sample {sample.get("id")} ({sample.get("img_path")})'


def without_ears(is_counted: np.ndarray, meta: Mapping[str, Any] | None) -> np.ndarray:
    """Which joints count [N, K], but for those that are ears by the names of the data set."""
    names = list(((meta or {}).get('keypoint_id2name') or {}).values())
    is_ear = np.array([name in EARS for name in names] or [False] * is_counted.shape[-1])
    return is_counted & ~is_ear
