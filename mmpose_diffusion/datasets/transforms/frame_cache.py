"""A bounded store of decoded frames, so that overlapping clips decode each frame once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np


class FrameCache:
    """The most recently used decoded frames, up to a number of bytes.

    Stored arrays are made read-only: a transform that would write into a shared frame fails at once instead of
    quietly spoiling the next clip. A frame that cannot be decoded is remembered as None.

    Args:
        max_bytes: upper limit of the stored pixels; 0 stores nothing. A single frame larger than this is not stored.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f'a frame cache holds max_bytes >= 0, got {max_bytes}')
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._frames: OrderedDict[Hashable, np.ndarray | None] = OrderedDict()

    # A remembered failure has no pixels; this keeps a long run over missing files bounded.
    BYTES_PER_ENTRY = 256

    def __len__(self) -> int:
        return len(self._frames)

    def get(self, key: Hashable, decode: Callable[[], np.ndarray | None]) -> np.ndarray | None:
        """Return the frame stored under `key`; decode and store it if it is not there."""
        if key in self._frames:
            self._frames.move_to_end(key)
            return self._frames[key]
        frame = decode()
        if frame is not None:
            frame.setflags(write=False)
        size = self._size(frame)
        if size <= self.max_bytes:
            self._frames[key] = frame
            self.num_bytes += size
            while self.num_bytes > self.max_bytes:
                _, oldest = self._frames.popitem(last=False)
                self.num_bytes -= self._size(oldest)
        return frame

    def _size(self, frame: np.ndarray | None) -> int:
        return self.BYTES_PER_ENTRY + (0 if frame is None else frame.nbytes)

    def __getstate__(self) -> dict:
        """Frames stay where they are: a copy of the cache, as worker processes get it, starts empty."""
        return {'max_bytes': self.max_bytes, 'num_bytes': 0, '_frames': OrderedDict()}
