"""Errors of 3D poses: joint positions, after alignment or not, velocity, and shares of joints within a distance.

Poses are root-relative, predicted and true ones of one unit, which is that of the errors. Leading dimensions are free.
"""

import numpy as np

PCK_DISTANCE = 150.0
"""Millimetres within which a joint counts as found, as MPI-INF-3DHP has it."""
AUC_DISTANCES = np.linspace(0, PCK_DISTANCE, 31)
"""Millimetres: the distances over which the area under the curve of found joints is taken, 0, 5 ... 150."""


def joint_errors(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Distance of each joint [..., J] between poses [..., J, 3]; their mean is the MPJPE (protocol 1)."""
    return np.linalg.norm(predicted - target, axis=-1)


def align_by_similarity(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Poses [..., J, 3] moved, turned and scaled onto the target by least squares, without reflection.

    The MPJPE of the result is the P-MPJPE (protocol 2). Kabsch's algorithm with Umeyama's scale.
    """
    centre = target.mean(axis=-2, keepdims=True)
    p, t = predicted - predicted.mean(axis=-2, keepdims=True), target - centre
    u, singular, vt = np.linalg.svd(np.swapaxes(p, -1, -2) @ t)  # [..., 3, 3]
    # The smallest singular value changes its sign where the best orthogonal matrix would be a reflection.
    sign = np.ones_like(singular)
    sign[..., -1] = np.where(np.linalg.det(u) * np.linalg.det(vt) < 0, -1.0, 1.0)
    rotation = (u * sign[..., None, :]) @ vt
    scale = _ratio(np.sum(singular * sign, axis=-1), np.sum(p**2, axis=(-1, -2)))
    return scale[..., None, None] * (p @ rotation) + centre


def align_by_scale(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Poses [..., J, 3] scaled about the root onto the target by least squares: their MPJPE is the N-MPJPE."""
    scale = _ratio(np.sum(predicted * target, axis=(-1, -2)), np.sum(predicted**2, axis=(-1, -2)))
    return scale[..., None, None] * predicted


def velocity_errors(predicted: np.ndarray, target: np.ndarray, frames: np.ndarray | None = None) -> np.ndarray:
    """Distance between predicted and true velocity of each joint, [N, J] per frame: their mean is the MPJVE.

    Args:
        predicted: [T, J, 3], one row per frame of one sequence.
        target: [T, J, 3].
        frames: [T] frame numbers, strictly ascending; a pair of rows farther apart than the nearest pair is a gap and
            gives no velocity. None: there are no gaps.
    """
    errors = np.linalg.norm(np.diff(predicted - target, axis=0), axis=-1)  # differences are linear; [T - 1, J]
    if frames is None or len(frames) < 2:
        return errors
    steps = np.diff(frames)
    if (steps <= 0).any():
        raise ValueError(f'frames of a sequence must ascend strictly, got {np.asarray(frames).tolist()}')
    return errors[steps == steps.min()]


def share_within(errors: np.ndarray, distances: float | np.ndarray = PCK_DISTANCE) -> np.ndarray:
    """Percentage of the joints [..., J] nearer than a distance (PCK); of several distances the mean (AUC). [...]."""
    within = np.asarray(errors)[..., None] < np.atleast_1d(distances)
    return 100 * within.mean(axis=(-1, -2))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Scale of a pose; of one whose joints all lie in one place, zero."""
    return np.divide(numerator, denominator, out=np.zeros_like(denominator), where=denominator > 0)
