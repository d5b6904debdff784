"""Put predictions of chunks together again."""

from collections.abc import Sequence

import numpy as np


def join_chunks(frame_ids: Sequence[np.ndarray], poses: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers [N], ascending, and poses [N, ...] of a sequence from its chunks of [F] and [F, ...].

    Of a frame that is there more than once (padding, overlapping chunks) the first pose is taken.
    """
    frames, first = np.unique(np.concatenate(frame_ids), return_index=True)
    return frames, np.concatenate(poses)[first]
