"""Which keypoints can be seen, and which are annotated, decided from what was drawn."""

from enum import IntEnum

import cv2
import numpy as np

from .labels import FIRST_PERSON, NOTHING, OBJECT, OVERSAMPLING
from .mesh import PART, PARTS
from .skeleton import EARS, POSETRACK_KEYPOINTS

FEWEST_KEYPOINTS = 3  # people with fewer annotated keypoints are not annotated but ignored


class Occlusion(IntEnum):
    """Why a keypoint cannot be seen."""

    VISIBLE = 0
    OWN_BODY = 1  # annotated all the same, as annotators infer it
    OTHER_PERSON = 2  # not annotated
    OBJECT = 3  # not annotated
    OUTSIDE = 4  # outside the picture, not annotated


def annotated_keypoints(occlusion: np.ndarray) -> np.ndarray:
    """Which keypoints an annotator marks, bool [..., 17]; `occlusion` [..., 17].

    As in PoseTrack18, those that others or things hide are left out, as are the ears; nobody is annotated of whom
    fewer than FEWEST_KEYPOINTS would be marked.
    """
    annotated = np.isin(occlusion, (Occlusion.VISIBLE, Occlusion.OWN_BODY))
    annotated[..., list(EARS)] = False
    return annotated & (annotated.sum(axis=-1, keepdims=True) >= FEWEST_KEYPOINTS)


def visible_regions(chosen: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Polygons [P, 2] (pixels) around the `chosen` [2H, 2W] pixels with a small margin, but not over other people."""
    chosen, labels = chosen[::OVERSAMPLING, ::OVERSAMPLING], labels[::OVERSAMPLING, ::OVERSAMPLING]
    grown = cv2.dilate(chosen.astype(np.uint8), np.ones((5, 5), np.uint8))
    grown[~chosen & (labels >= FIRST_PERSON)] = 0
    outlines, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [outline[:, 0] for outline in outlines if len(outline) > 2]


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


def _carrier_table() -> np.ndarray:
    """Whether a keypoint lies in a part, bool [17, 16]."""
    carriers = _carriers()
    return np.array([[part in carriers[name] for part in PARTS] for name in POSETRACK_KEYPOINTS])


CARRIED_BY = _carrier_table()
# A shoulder or hip this much further away (metres) than the one on the other side of the body is behind the trunk.
BEHIND_TRUNK = {'shoulder': 0.2, 'hip': 0.1}
_PAIRED = [
    (POSETRACK_KEYPOINTS.index(f'{side}_{joint}'), POSETRACK_KEYPOINTS.index(f'{other}_{joint}'), margin)
    for joint, margin in BEHIND_TRUNK.items()
    for side, other in (('left', 'right'), ('right', 'left'))
]


def keypoint_occlusion(person: int, keypoints: np.ndarray, depth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Reasons [17] why the keypoints [17, 2] (pixels) with depths [17] of one person are hidden.

    `labels` [2H, 2W] say who was drawn at each half pixel (see rendering.py).
    """
    height, width = labels.shape
    places = np.floor(keypoints * OVERSAMPLING + 0.5 * OVERSAMPLING).astype(int)
    x, y = places.T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depth > 0)
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    label = labels[y, x].astype(int)
    own, part = label // FIRST_PERSON == person + 1, label % FIRST_PERSON
    carried = own & CARRIED_BY[np.arange(len(label)), part]
    for index in np.flatnonzero(own & ~carried):
        # A keypoint on the outline, as the tip of the nose in profile, may just miss its own part.
        around = labels[max(y[index] - 1, 0) : y[index] + 2, max(x[index] - 1, 0) : x[index] + 2].astype(int)
        near = CARRIED_BY[index, around % FIRST_PERSON] & (around // FIRST_PERSON == person + 1)
        carried[index] = near.any()
    for index, opposite, margin in _PAIRED:
        on_trunk = own[index] and part[index] == PART['torso']
        if on_trunk and depth[index] - depth[opposite] > margin:
            carried[index] = False
    reasons = np.full(len(label), Occlusion.OTHER_PERSON, np.uint8)
    reasons[label == OBJECT] = Occlusion.OBJECT
    reasons[own] = Occlusion.OWN_BODY
    reasons[carried | (label == NOTHING)] = Occlusion.VISIBLE
    reasons[~inside] = Occlusion.OUTSIDE
    return reasons
