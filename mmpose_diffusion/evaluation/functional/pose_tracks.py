"""Put predictions of chunks together again: chunks to sequences, people to scenes."""

from collections.abc import Sequence

import numpy as np


def join_chunks(frame_ids: Sequence[np.ndarray], poses: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers [N], ascending, and poses [N, ...] of a sequence from its chunks of [F] and [F, ...].

    Of a frame that is there more than once (padding, overlapping chunks) the first pose is taken.
    """
    frames, first = np.unique(np.concatenate(frame_ids), return_index=True)
    return frames, np.concatenate(poses)[first]


def stack_people(poses: Sequence[np.ndarray]) -> np.ndarray:
    """Poses [N, J, 3] of each person of a video -> [N, P, J, 3]."""
    lengths = {len(person) for person in poses}
    if len(lengths) != 1:
        raise ValueError(f'people of one video must have the same frames, got {[len(person) for person in poses]}')
    return np.stack(poses, axis=1)
