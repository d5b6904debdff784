"""Where the chunks of F frames lie into which sequences of poses are cut."""

import numpy as np


def training_starts(num_frames: int, length: int, stride: int | None = None) -> np.ndarray:
    """First frames of the chunks that cover a sequence symmetrically, [n]; they may lie before it and end after it.

    The sequence is covered by n strips of `stride` frames (by default `length`: chunks do not overlap), placed
    symmetrically about it, and each chunk has a strip in its middle. What is outside is padded with the edge frame.
    This is how VideoPose3D cuts, and D3DP and FinePOSE after it.
    """
    stride = stride or length
    count = -(-num_frames // stride)
    offset = (count * stride - num_frames) // 2 + (length - stride) // 2
    return np.arange(count) * stride - offset


def evaluation_starts(num_frames: int, length: int) -> np.ndarray:
    """First frames of chunks one after the other, [n]; the last chunk is the last `length` frames, overlapping.

    A sequence shorter than a chunk gives one chunk, which ends after it.
    """
    starts = np.arange(0, max(num_frames - length, 0) + 1, length)
    if starts[-1] + length < num_frames:
        starts = np.append(starts, num_frames - length)
    return starts


def chunk_frames(start: int, length: int, num_frames: int) -> np.ndarray:
    """Frame numbers of a chunk, [length]; outside the sequence the edge frame is repeated."""
    return np.clip(np.arange(start, start + length), 0, num_frames - 1)


def first_occurrences(starts: np.ndarray, length: int, num_frames: int) -> np.ndarray:
    """Which frames of the chunks are neither padding nor in an earlier chunk, [n, length] bool.

    Every frame of the sequence is marked exactly once.
    """
    frames = starts[:, None] + np.arange(length)  # [n, length]
    seen_until = np.append(0, starts[:-1] + length)[:, None]
    return (frames >= seen_until) & (frames < num_frames)
