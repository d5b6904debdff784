"""Every frame of a video with the neighbours that its clip needs, while the video is still being read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ..datasets.frame_sampling import clip_window
from .frame_sources import Frame


class KeyFrame(NamedTuple):
    """A frame whose poses are asked for, among its neighbours."""

    frames: tuple[Frame, ...]  # consecutive, as far as there are any
    position: int  # of the key frame among them

    @property
    def frame(self) -> Frame:
        """The key frame itself."""
        return self.frames[self.position]

    @property
    def image(self) -> np.ndarray | None:
        """Its picture, or if that cannot be read the one nearest in time, the earlier of two; None if there is none."""
        readable = [place for place, frame in enumerate(self.frames) if frame.image is not None]
        if not readable:
            return None
        return self.frames[min(readable, key=partial(_distance, self.position))].image


def key_frames(frames: Iterable[Frame], num_before: int, num_after: int) -> Iterator[KeyFrame]:
    """Each frame with up to `num_before` frames before it and `num_after` after it.

    At most `num_before + 1 + num_after` frames are held. A frame appears when the frames after it have been read, the
    last ones at the end of the video. A clip does not reach over a change of the picture's size, where coordinates
    lose their meaning: there one video ends and another begins.
    """
    ring: deque[Frame] = deque()
    num_waiting = 0  # of the frames in the ring, the last ones, which have not been key frame yet
    for frame in frames:
        if changes_size(ring, frame):
            yield from _finish(ring, num_before, num_waiting)
            ring.clear()
            num_waiting = 0
        ring.append(frame)
        num_waiting += 1
        if num_waiting > num_after:
            yield _next_key_frame(ring, num_before, num_waiting)
            num_waiting -= 1
    yield from _finish(ring, num_before, num_waiting)


def changes_size(ring: Iterable[Frame], frame: Frame) -> bool:
    """Whether a frame's picture has another size than the frames before it."""
    known = next((other.image.shape for other in ring if other.image is not None), None)
    return known is not None and frame.image is not None and frame.image.shape != known


def _finish(ring: deque[Frame], num_before: int, num_waiting: int) -> Iterator[KeyFrame]:
    for remaining in range(num_waiting, 0, -1):
        yield _next_key_frame(ring, num_before, remaining)


def _next_key_frame(ring: deque[Frame], num_before: int, num_waiting: int) -> KeyFrame:
    """The first waiting frame; drops frames that lie too far before it."""
    while len(ring) - num_waiting > num_before:
        ring.popleft()
    return KeyFrame(tuple(ring), len(ring) - num_waiting)


def window_frames(key: KeyFrame, offsets: Sequence[int]) -> tuple[list[Frame], list[bool]]:
    """The T frames of a key frame's clip, and which of them are evidence: what SampleClip and LoadClip would choose.

    A frame beyond the video is replaced by the last one, one that cannot be read by the nearest of the clip that can.
    """
    window = clip_window(key.position, offsets, len(key.frames))
    frames = {index: key.frames[index] for index in window.indices}
    readable = sorted(index for index, frame in frames.items() if frame.image is not None)
    chosen = [key.frames[min(readable, key=partial(_distance, index))] for index in window.indices]
    is_real = [
        real and (place == window.key_position or index in readable)
        for place, (index, real) in enumerate(zip(window.indices, window.is_real, strict=True))
    ]
    return chosen, is_real


def _distance(index: int, other: int) -> int:
    return abs(other - index)
