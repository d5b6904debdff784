"""How steadily keypoints move: jitter, and the error of the acceleration against the ground truth.

Frames are the unit of time. Positions may be in any unit and of any dimension (pixels in 2D, millimetres in 3D).
A track is given by its observed frames; differences are formed only inside runs of consecutive frames in which the
keypoint is valid, so a gap breaks a run.
"""

import numpy as np


def jitter_values(
    positions: np.ndarray, is_valid: np.ndarray, frames: np.ndarray, sizes: np.ndarray | None = None
) -> np.ndarray:
    """Lengths of the third difference x[t+2] - 3 x[t+1] + 3 x[t] - x[t-1]: how much the acceleration changes.

    Zero for constant velocity and for constant acceleration. The jitter of a data set is the mean over the values of
    all its tracks.

    Args:
        positions: [T, K, D], one row per observed frame of one track.
        is_valid: [T, K] bool.
        frames: [T] int, frame numbers, strictly ascending.
        sizes: [T], the person's size in each frame; each value is divided by the mean size over its four frames.

    Returns:
        [N] values in position units per frame^3, or in sizes per frame^3.
    """
    differences, is_complete = _differences(positions, is_valid, frames, order=3)
    return _lengths(differences, is_complete, frames, sizes, order=3)


def acceleration_errors(
    predicted: np.ndarray,
    target: np.ndarray,
    is_valid: np.ndarray,
    frames: np.ndarray,
    sizes: np.ndarray | None = None,
) -> np.ndarray:
    """Distances between predicted and true acceleration x[t+1] - 2 x[t] + x[t-1].

    Zero also for a prediction that is off by a constant or by a constant velocity: the motion counts, not the place.

    Args:
        predicted: [T, K, D], one row per observed frame of one track.
        target: [T, K, D].
        is_valid: [T, K] bool, keypoints with a ground truth.
        frames: [T] int, frame numbers, strictly ascending.
        sizes: [T], the person's size in each frame; each value is divided by the mean size over its three frames.

    Returns:
        [N] values in position units per frame^2, or in sizes per frame^2.
    """
    error = np.asarray(predicted, dtype=np.float64) - np.asarray(target, dtype=np.float64)  # differences are linear
    differences, is_complete = _differences(error, is_valid, frames, order=2)
    return _lengths(differences, is_complete, frames, sizes, order=2)


def _differences(
    positions: np.ndarray, is_valid: np.ndarray, frames: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Differences [L - order, K, D] on the unbroken timeline of L frames, and where all of their frames are valid."""
    positions, is_valid = np.asarray(positions, dtype=np.float64), np.asarray(is_valid, dtype=bool)
    if positions.ndim != 3 or is_valid.shape != positions.shape[:2] or len(frames) != len(positions):
        raise ValueError(
            'expected positions [T, K, D], is_valid [T, K] and frames [T], got shapes '
            f'{positions.shape}, {is_valid.shape} and {np.shape(frames)}'
        )
    timeline = _on_timeline(positions, frames)  # [L, K, D]
    valid_timeline = _on_timeline(is_valid, frames)  # [L, K]
    count = max(len(timeline) - order, 0)
    windows = [valid_timeline[first : first + count] for first in range(order + 1)]
    return np.diff(timeline, n=order, axis=0), np.logical_and.reduce(windows)


def _lengths(
    differences: np.ndarray, is_complete: np.ndarray, frames: np.ndarray, sizes: np.ndarray | None, order: int
) -> np.ndarray:
    lengths = np.linalg.norm(differences, axis=-1)  # [L - order, K]
    if sizes is None:
        return lengths[is_complete]
    sizes = np.asarray(sizes, dtype=np.float64)
    if sizes.shape != np.shape(frames) or not (sizes > 0).all():
        raise ValueError(f'expected one size above zero for each of {len(frames)} frames, got {sizes}')
    timeline = _on_timeline(sizes, frames)  # [L]
    windows = [timeline[first : first + len(lengths)] for first in range(order + 1)]
    mean_size = np.mean(windows, axis=0)[:, None]  # [L - order, 1]
    return lengths[is_complete] / np.broadcast_to(mean_size, lengths.shape)[is_complete]


def _on_timeline(values: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Spread rows [T, ...] over all frames from the first to the last, [L, ...]; zero where nothing was observed."""
    frames = np.asarray(frames)
    if not len(frames):
        return values
    if (np.diff(frames) <= 0).any():
        raise ValueError(f'frames of a track must ascend strictly, got {frames.tolist()}')
    timeline = np.zeros((int(frames[-1] - frames[0]) + 1, *values.shape[1:]), dtype=values.dtype)
    timeline[frames - frames[0]] = values
    return timeline
