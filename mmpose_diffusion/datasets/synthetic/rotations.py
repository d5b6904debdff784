"""Rotation matrices and smooth interpolation, on arrays of any leading shape.

Axes of every frame of the body: x forward, y to the person's left, z up. Angles are radians.
"""

from collections.abc import Sequence

import numpy as np


def rotation_x(angle: np.ndarray | float) -> np.ndarray:
    """Roll: angle [...] -> [..., 3, 3]; positive leans an upright body to its right."""
    return _axis_rotation(angle, (1, 2))


def rotation_y(angle: np.ndarray | float) -> np.ndarray:
    """Pitch: angle [...] -> [..., 3, 3]; positive leans an upright body forward."""
    return _axis_rotation(angle, (2, 0))


def rotation_z(angle: np.ndarray | float) -> np.ndarray:
    """Yaw: angle [...] -> [..., 3, 3]; positive turns to the left."""
    return _axis_rotation(angle, (0, 1))


def yaw_pitch_roll(angles: np.ndarray) -> np.ndarray:
    """Angles [..., 3] (yaw, pitch, roll) -> [..., 3, 3]: roll first, then pitch, then yaw."""
    return rotation_z(angles[..., 0]) @ rotation_y(angles[..., 1]) @ rotation_x(angles[..., 2])


def rotate(rotation: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """rotation [..., 3, 3], vector [..., 3] -> [..., 3]."""
    return np.einsum('...ij,...j->...i', rotation, vector)


def unit(vector: np.ndarray) -> np.ndarray:
    """Scale vectors [..., D] to length one; a zero vector stays zero."""
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12)


def smooth_step(values: np.ndarray) -> np.ndarray:
    """Ease from 0 to 1 as `values` goes from 0 to 1, standing still at both ends."""
    values = np.clip(values, 0.0, 1.0)
    return values * values * (3.0 - 2.0 * values)


def keyed(phase: np.ndarray, keys: Sequence[tuple[float, float]]) -> np.ndarray:
    """Ease between keys [(phase, value), ...], phases ascending within [0, 1); the last key leads back to the first.

    `phase` [T] may be any real number, one unit a cycle.
    """
    positions = np.array([position for position, _ in keys] + [keys[0][0] + 1.0])
    values = np.array([value for _, value in keys] + [keys[0][1]], dtype=float)
    wrapped = (np.asarray(phase) - positions[0]) % 1.0 + positions[0]
    index = np.clip(np.searchsorted(positions, wrapped, side='right') - 1, 0, len(keys) - 1)
    share = (wrapped - positions[index]) / (positions[index + 1] - positions[index])
    return values[index] + (values[index + 1] - values[index]) * smooth_step(share)


def _axis_rotation(angle: np.ndarray | float, plane: tuple[int, int]) -> np.ndarray:
    angle = np.asarray(angle, dtype=float)
    first, second = plane
    rotation = np.zeros((*angle.shape, 3, 3))
    rotation[..., range(3), range(3)] = 1.0
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation[..., first, first] = cosine
    rotation[..., second, second] = cosine
    rotation[..., first, second] = -sine
    rotation[..., second, first] = sine
    return rotation
