"""Which keypoints can be seen, decided from what was drawn."""

from enum import IntEnum

import numpy as np

from .mesh import PART, PARTS
from .skeleton import POSETRACK_KEYPOINTS

_FIRST_PERSON = len(PARTS)
_OVERSAMPLING = 2


class Occlusion(IntEnum):
    """Why a keypoint cannot be seen."""

    VISIBLE = 0
    OWN_BODY = 1  # annotated all the same, as annotators infer it
    OTHER_PERSON = 2  # not annotated
    OBJECT = 3  # not annotated
    OUTSIDE = 4  # outside the picture, not annotated


def _carriers() -> dict[str, tuple[str, ...]]:
    """The parts in which each keypoint lies: it is seen where one of them is."""
    carriers = {
        'nose': ('face',), 'head_bottom': ('neck', 'head', 'face', 'torso'), 'head_top': ('head', 'face'),
        'left_ear': ('head', 'face'), 'right_ear': ('head', 'face'),
    }  # fmt: skip
    limbs = {
        'shoulder': ('torso', '{}_upper_arm'), 'elbow': ('{}_upper_arm', '{}_forearm'),
        'wrist': ('{}_forearm', '{}_hand'), 'hip': ('torso', '{}_thigh'), 'knee': ('{}_thigh', '{}_shin'),
        'ankle': ('{}_shin', '{}_foot'),
    }  # fmt: skip
    for side in ('left', 'right'):
        for joint, parts in limbs.items():
            carriers[f'{side}_{joint}'] = tuple(part.format(side) for part in parts)
    return carriers


CARRIERS = _carriers()
# What the neighbour on the other side of the body is: a shoulder or hip much further away than it is behind the trunk.
OPPOSITE = {
    f'{side}_{joint}': f'{other}_{joint}'
    for joint in ('shoulder', 'hip')
    for side, other in (('left', 'right'), ('right', 'left'))
}
BEHIND_TRUNK = {'shoulder': 0.2, 'hip': 0.1}  # metres further away than its opposite


def keypoint_occlusion(person: int, keypoints: np.ndarray, depth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Reasons [17] why the keypoints [17, 2] (pixels) with depths [17] of one person are hidden.

    `labels` [2H, 2W] say who was drawn at each half pixel (see rendering.py).
    """
    height, width = labels.shape
    reasons = np.zeros(len(keypoints), np.uint8)
    places = np.floor(keypoints * _OVERSAMPLING + 0.5 * (_OVERSAMPLING - 1) + 0.5).astype(int)
    for index, name in enumerate(POSETRACK_KEYPOINTS):
        x, y = places[index]
        if not (0 <= x < width and 0 <= y < height) or depth[index] <= 0:
            reasons[index] = Occlusion.OUTSIDE
            continue
        own = [_FIRST_PERSON * (person + 1) + PART[part] for part in CARRIERS[name]]
        around = labels[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        reasons[index] = _reason(person, int(labels[y, x]), around, own)
        if reasons[index] == Occlusion.VISIBLE and name in OPPOSITE:
            further = depth[index] - depth[POSETRACK_KEYPOINTS.index(OPPOSITE[name])]
            on_trunk = labels[y, x] == _FIRST_PERSON * (person + 1) + PART['torso']
            if on_trunk and further > BEHIND_TRUNK[name.split('_')[1]]:
                reasons[index] = Occlusion.OWN_BODY
    return reasons


def _reason(person: int, label: int, around: np.ndarray, own: list[int]) -> Occlusion:
    if label in own or label == 0:
        return Occlusion.VISIBLE
    if label // _FIRST_PERSON == person + 1:
        # A keypoint on the outline, as the tip of the nose in profile, may just miss its own part.
        return Occlusion.VISIBLE if np.isin(around, own).any() else Occlusion.OWN_BODY
    if label == 1:
        return Occlusion.OBJECT
    return Occlusion.OTHER_PERSON
