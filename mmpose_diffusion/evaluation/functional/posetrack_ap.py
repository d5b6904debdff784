"""PoseTrack multi-person pose AP, equal to the official evaluation to the last bit (float64).

Per frame, every predicted person is compared with every annotated person by the share of the annotated person's joints
that are hit within half a head size; each prediction keeps only its best annotated person, each annotated person only
its best prediction; every joint of a prediction then is one scored detection, hit or not; AP of a joint is the area
under the interpolated precision/recall curve over all frames of all videos together.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .polygons import expand_ranges, strictly_inside

JOINT_NAMES = (
    'right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle', 'right_wrist', 'right_elbow',
    'right_shoulder', 'left_shoulder', 'left_elbow', 'left_wrist', 'head_bottom', 'nose', 'head_top',
)  # fmt: skip
"""The joint of each id 0 ... 14. Ears are not part of the evaluation."""

NUM_JOINTS = len(JOINT_NAMES)
TOTAL = NUM_JOINTS
"""Index of the mean over all joints in the arrays of a `PoseTrackResult`."""

COLUMNS = {
    'Head': (14, 12, 13),
    'Shoulder': (8, 9),
    'Elbow': (7, 10),
    'Wrist': (6, 11),
    'Hip': (2, 3),
    'Knee': (1, 4),
    'Ankle': (0, 5),
}
"""Joint ids of each column of the usual table, in the order in which they are added; the column Mean is `TOTAL`."""

HIT_DISTANCE = 0.5
"""Largest distance of a hit, in head sizes; the bound itself is a hit."""

PREDICTIONS_PER_BLOCK = 2048  # bounds the memory of matching: pairs are formed for so many predictions at a time


class People(NamedTuple):
    """The people of one video, one row each: in the order of the frames, within a frame as listed in the file."""

    frame: np.ndarray  # [P] int64, ascending
    keypoints: np.ndarray  # [P, 15, 2] float64, pixels
    is_present: np.ndarray  # [P, 15] bool
    scores: np.ndarray  # [P, 15] float64, of predictions
    head_size: np.ndarray  # [P] float64, pixels, of annotated people; NaN where the head box is missing
    entry: np.ndarray  # [P] int64, position in the list of the file, for messages

    def select(self, rows: np.ndarray) -> 'People':
        """Keep the rows given by a mask or by indices."""
        return People(*(column[rows] for column in self))


class VideoPeople(NamedTuple):
    """What one official file says about one video."""

    name: str  # where it was read from, for messages
    has_people: np.ndarray  # [F] bool: the file lists somebody in this frame, with or without joints
    people: People
    ignore_polygons: Mapping[
        int, tuple[np.ndarray, ...]
    ]  # frame -> corners [V, 2] of each region; empty in predictions


class Detections(NamedTuple):
    """The joints of all predicted people in the order in which they are collected."""

    scores: np.ndarray  # [P, 15] float64
    is_present: np.ndarray  # [P, 15] bool
    is_hit: np.ndarray  # [P, 15] bool
    num_annotated: np.ndarray  # [15] int64, annotated joints of each class


class PoseTrackResult(NamedTuple):
    """Percentages by joint id, the mean over the joints (NaN ones left out) at index `TOTAL`."""

    ap: np.ndarray  # [16] float64
    precision: np.ndarray  # [16] float64, after the last detection
    recall: np.ndarray  # [16] float64, after the last detection


def evaluate_posetrack_ap(videos: Iterable[tuple[VideoPeople, VideoPeople]]) -> PoseTrackResult:
    """AP, precision and recall of predictions against annotations, all videos pooled.

    Args:
        videos: pairs (annotated, predicted). Their order matters only among equal scores: the later detection ranks
            first. The official order is that of the sorted file names.
    """
    parts = [collect_detections(annotated, predicted) for annotated, predicted in videos]
    if not parts:
        return PoseTrackResult(*np.zeros((3, NUM_JOINTS + 1)))
    scores, is_present, is_hit = (np.concatenate([part[i] for part in parts]) for i in range(3))
    num_annotated = np.sum([part.num_annotated for part in parts], axis=0)

    per_joint = np.empty((NUM_JOINTS, 3))
    for joint in range(NUM_JOINTS):
        rows = is_present[:, joint]
        per_joint[joint] = average_precision(scores[rows, joint], is_hit[rows, joint], int(num_annotated[joint]))
    return PoseTrackResult(*(np.append(values, mean_without_nan(values)) for values in per_joint.T))


def collect_detections(annotated: VideoPeople, predicted: VideoPeople) -> Detections:
    """Match the predictions of one video with its annotations, frame k with frame k.

    Frames in which nobody is annotated are dropped with their predictions; then everything inside the regions to be
    ignored is removed from both sides; then people are matched.
    """
    if len(annotated.has_people) != len(predicted.has_people):
        raise ValueError(
            f'{predicted.name} has {len(predicted.has_people)} frames, {annotated.name} has '
            f'{len(annotated.has_people)}: a prediction file lists every frame of the video, also those without people'
        )
    truth = annotated.people.select(annotated.has_people[annotated.people.frame])
    detected = predicted.people.select(annotated.has_people[predicted.people.frame])
    polygons = {frame: regions for frame, regions in annotated.ignore_polygons.items() if annotated.has_people[frame]}
    _check_polygons(polygons, annotated.name)
    detected = remove_ignored(detected, polygons)
    truth = remove_ignored(truth, polygons)
    _check_head_sizes(truth, detected, annotated.name)
    return Detections(
        scores=detected.scores,
        is_present=detected.is_present,
        is_hit=match_people(truth, detected),
        num_annotated=truth.is_present.sum(axis=0),
    )


def remove_ignored(people: People, polygons: Mapping[int, tuple[np.ndarray, ...]]) -> People:
    """Remove joints strictly inside a polygon of their frame, then people of these frames without a joint left."""
    frames_with_regions = [frame for frame in sorted(polygons) if polygons[frame]]
    if not frames_with_regions:
        return people
    # A region without corners ignores no joint, but its frame is one with regions.
    regions = [(frame, corners) for frame in frames_with_regions for corners in polygons[frame] if len(corners)]
    region_frame = np.array([frame for frame, _ in regions], dtype=np.int64)
    rows, joints = np.nonzero(people.is_present)  # of the N present joints
    joint, region = _pairs_of_same_frame(people.frame[rows], region_frame)
    is_inside = strictly_inside(people.keypoints[rows, joints], [corners for _, corners in regions], joint, region)
    is_present = people.is_present.copy()
    is_present[rows[joint[is_inside]], joints[joint[is_inside]]] = False
    keep = is_present.any(axis=1) | ~np.isin(people.frame, frames_with_regions)
    return people._replace(is_present=is_present).select(keep)


def match_people(annotated: People, predicted: People) -> np.ndarray:
    """Assign predictions to annotated people and tell which predicted joints hit: [number of predictions, 15] bool.

    Every prediction keeps the annotated person with the largest share of hit joints (the first among equals), then
    every annotated person takes the prediction with the largest share (again the first); a share of zero matches
    nobody. There is no second choice, and scores play no part.
    """
    is_hit = np.zeros(predicted.is_present.shape, dtype=bool)
    blocks = [
        _best_annotated(annotated, predicted, np.arange(first, min(first + PREDICTIONS_PER_BLOCK, len(is_hit))))
        for first in range(0, len(is_hit), PREDICTIONS_PER_BLOCK)
    ]
    if not blocks:
        return is_hit
    prediction, person, share = (np.concatenate(column) for column in zip(*blocks, strict=True))
    winner = _first_largest(person, share)
    winner = winner[share[winner] > 0]
    prediction, person = prediction[winner], person[winner]
    is_hit[prediction] = _hit_joints(annotated, predicted, prediction, person)
    return is_hit


def average_precision(scores: np.ndarray, is_hit: np.ndarray, num_annotated: int) -> tuple[float, float, float]:
    """AP, final precision and final recall of one joint class, in percent.

    Detections are ranked by score; among equals the later one comes first. AP is the exact area under the precision
    envelope, no sampling at fixed recalls.

    Args:
        scores: [n] float64.
        is_hit: [n] bool.
        num_annotated: annotated joints of this class, matched or not.
    """
    if not len(scores):
        return 0.0, 0.0, 0.0
    if num_annotated == 0:
        return np.nan, 0.0, np.nan
    ranked = is_hit[np.argsort(scores, kind='stable')[::-1]]
    hits = np.cumsum(ranked)
    recall = hits / num_annotated
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    gain = np.diff(recall, prepend=0.0)
    terms = (gain * envelope)[gain != 0]
    if recall[-1] != 1:
        terms = np.append(terms, 0.0)  # recall never reached: adds nothing, but shifts the blocks of the pairwise sum
    return float(np.sum(terms) * 100), float(precision[-1] * 100), float(recall[-1] * 100)


def posetrack_columns(values: np.ndarray) -> dict[str, float]:
    """The eight columns Head ... Ankle, Mean of values [16] by joint id; one NaN joint makes its column NaN."""
    columns = {name: float(np.sum(values[list(joints)]) / len(joints)) for name, joints in COLUMNS.items()}
    return {**columns, 'Mean': float(values[TOTAL])}


def posetrack_result_as_dict(result: PoseTrackResult) -> dict[str, dict[str, Any]]:
    """Everything in full precision, ready for strict json: NaN becomes None.

    `ap`, `precision` and `recall` each hold the 15 joints and `total`; `columns` holds the eight columns of each.
    """
    names = (*JOINT_NAMES, 'total')
    by_joint = {
        kind: {name: _none_for_nan(value) for name, value in zip(names, values, strict=True)}
        for kind, values in result._asdict().items()
    }
    columns = {
        kind: {name: _none_for_nan(value) for name, value in posetrack_columns(values).items()}
        for kind, values in result._asdict().items()
    }
    return {**by_joint, 'columns': columns}


def format_posetrack_table(result: PoseTrackResult) -> str:
    """A readable table of the eight columns: AP, final precision and final recall, one decimal."""
    header = ' ' * 10 + ''.join(f'{name:>9}' for name in (*COLUMNS, 'Mean'))
    rows = [
        f'{name:<10}' + ''.join(f'{value:>9.1f}' for value in posetrack_columns(values).values())
        for name, values in (('AP', result.ap), ('precision', result.precision), ('recall', result.recall))
    ]
    return '\n'.join([header, *rows])


def _check_polygons(polygons: Mapping[int, tuple[np.ndarray, ...]], name: str) -> None:
    for frame, regions in polygons.items():
        for index, corners in enumerate(regions):
            if len(corners) in (1, 2):
                raise ValueError(
                    f'{name}: ignore region {index} of frame {frame} has {len(corners)} corners, expected 3 or more'
                )


def _check_head_sizes(truth: People, detected: People, name: str) -> None:
    is_needed = np.isnan(truth.head_size) & np.isin(truth.frame, detected.frame)
    if is_needed.any():
        row = int(np.argmax(is_needed))
        raise ValueError(
            f'{name}: annotation entry {truth.entry[row]} (frame {truth.frame[row]}) has no head box (bbox_head), the '
            'unit of all distances; it may be missing only in frames without predictions'
        )


def _best_annotated(
    annotated: People, predicted: People, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For those of the predictions `rows` that meet anybody: row, row of the best annotated person, share of hits."""
    of_rows, person = _pairs_of_same_frame(predicted.frame[rows], annotated.frame)
    prediction = rows[of_rows]
    num_hits = _hit_joints(annotated, predicted, prediction, person).sum(axis=1)
    num_joints = annotated.is_present.sum(axis=1)[person]
    share = num_hits / np.maximum(num_joints, 1)
    best = _first_largest(prediction, share)
    return prediction[best], person[best], share[best]


def _pairs_of_same_frame(frames: np.ndarray, other_frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices [M] and [M] of all pairs with equal frames, ordered by the first, then by the second; both ascend."""
    first = np.searchsorted(other_frames, frames, side='left')
    return expand_ranges(first, np.searchsorted(other_frames, frames, side='right') - first)


def _hit_joints(annotated: People, predicted: People, prediction: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Hits [M, 15] of M pairs of a row of `predicted` and a row of `annotated`."""
    offset = predicted.keypoints[prediction] - annotated.keypoints[person]  # [M, 15, 2]
    dx, dy = offset[..., 0], offset[..., 1]
    with np.errstate(divide='ignore', invalid='ignore'):  # a head of size zero hits nothing
        distance = np.sqrt(dx * dx + dy * dy) / annotated.head_size[person, None]
    both_present = predicted.is_present[prediction] & annotated.is_present[person]
    return both_present & (distance <= HIT_DISTANCE)


def _first_largest(group: np.ndarray, value: np.ndarray) -> np.ndarray:
    """For each group, the index of its largest value, the first among equals."""
    order = np.lexsort((-value, group))  # stable
    return order[np.unique(group[order], return_index=True)[1]]


def _none_for_nan(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def mean_without_nan(values: np.ndarray) -> float:
    """Mean of those of the values [n] that are numbers; NaN if none is."""
    numbers = values[~np.isnan(values)]
    return float(np.sum(numbers) / len(numbers)) if len(numbers) else np.nan
