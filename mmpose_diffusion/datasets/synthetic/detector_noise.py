"""Errors of a 2D pose detector: jitter, swapped sides and lost joints."""

from enum import IntFlag

import numpy as np


class DetectionError(IntFlag):
    """What is wrong with a detected joint, besides jitter."""

    NONE = 0
    SWAPPED = 1  # left and right of a limb are exchanged
    LOST = 2  # the joint is found somewhere else on the person


JITTER = 0.006  # standard deviation as a share of the person's size
SWAPS_PER_FRAME = 0.004  # beginnings of a swap, for each limb
LOSSES_PER_FRAME = 0.003  # beginnings of a loss, for each joint
LONGEST_ERROR = 8  # frames


def noisy_detections(
    points: np.ndarray, left: list[int], right: list[int], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Detections as a network would give them for the exact joints `points` [T, K, 2].

    Jitter is partly constant over a few frames and sometimes large; a swap exchanges one limb (three consecutive joints
    of `left` and `right`) for some frames; a lost joint jumps to a wrong place on the person for some frames.
    Returns [T, K, 2] float32 and the errors [T, K] uint8 (DetectionError).
    """
    frames, joints = points.shape[:2]
    detected = points.astype(np.float64)
    errors = np.zeros((frames, joints), np.uint8)
    low, high = detected.min(axis=1), detected.max(axis=1)  # [T, 2]
    person_size = np.linalg.norm(high - low, axis=-1)[:, None, None]
    for first in range(0, len(left), 3):
        swapped = _episodes(frames, SWAPS_PER_FRAME, generator)
        pair_left, pair_right = left[first : first + 3], right[first : first + 3]
        exchanged = detected[swapped][:, pair_right + pair_left]
        for column, joint in enumerate(pair_left + pair_right):
            detected[swapped, joint] = exchanged[:, column]
            errors[swapped, joint] |= np.uint8(DetectionError.SWAPPED)
    for joint in range(joints):
        lost = _episodes(frames, LOSSES_PER_FRAME, generator)
        place = generator.uniform(size=2)
        detected[lost, joint] = low[lost] + place * (high - low)[lost]
        errors[lost, joint] |= np.uint8(DetectionError.LOST)
    white = generator.standard_normal((frames, joints, 2))
    slow = _slow_noise(frames, joints, generator)
    heavy = 1 + 2.5 * (generator.uniform(size=(frames, joints, 1)) < 0.03)
    detected += JITTER * person_size * (0.6 * white * heavy + 0.8 * slow)
    return detected.astype(np.float32), errors


def _episodes(frames: int, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Frames [T] bool that belong to error episodes, which begin at `rate` and last up to LONGEST_ERROR frames."""
    active = np.zeros(frames, dtype=bool)
    for start in np.flatnonzero(generator.uniform(size=frames) < rate):
        active[start : start + int(generator.integers(1, LONGEST_ERROR + 1))] = True
    return active


def _slow_noise(frames: int, joints: int, generator: np.random.Generator) -> np.ndarray:
    """Unit noise [T, K, 2] that changes within about ten frames."""
    knots = generator.standard_normal((frames // 5 + 3, joints, 2))
    place = np.arange(frames) / 5
    before = place.astype(int)
    share = (place - before)[:, None, None]
    mixed = (1 - share) * knots[before] + share * knots[before + 1]
    return mixed / np.sqrt((1 - share) ** 2 + share**2)
