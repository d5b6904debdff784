"""Read single frames out of video files."""

from __future__ import annotations

import os
from functools import lru_cache

import mmcv
import numpy as np


def count_video_frames(path: str) -> int:
    """Number of frames the video file says it has."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'there is no video file {path}')
    return _count_frames(path, os.path.getmtime(path), os.path.getsize(path))


@lru_cache(maxsize=64)
def _count_frames(path: str, modified: float, size: int) -> int:
    """Open a file and ask; time and size are part of the key so that a rewritten file is asked again."""
    count = mmcv.VideoReader(path, cache_capacity=1).frame_cnt
    if count <= 0:
        raise ValueError(f'{path} is not a video that can be read: it has {count} frames')
    return count


class VideoFrameReader:
    """Frames of a video file by index; the file that was read last stays open, so that reading on is cheap."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._reader: mmcv.VideoReader | None = None

    def read(self, path: str, index: int) -> np.ndarray | None:
        """Frame [H, W, 3] in BGR, or None if the file cannot give it."""
        if path != self._path:
            self._reader = mmcv.VideoReader(path, cache_capacity=1) if os.path.isfile(path) else None
            self._path = path
        if self._reader is None or not 0 <= index < self._reader.frame_cnt:
            return None
        return self._reader.get_frame(index)

    def __getstate__(self) -> dict:
        """An open file does not travel to worker processes: they open their own."""
        return {'_path': None, '_reader': None}
