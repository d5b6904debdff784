"""Which frames of a video make up a clip: pure functions of numbers, no files and no images.

Words: a clip has one key frame and support frames around it; offsets are frame numbers relative to the key frame,
ascending, and contain 0. Where a clip reaches over the border of the video, the nearest frame is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class ClipWindow(NamedTuple):
    """The frames of one clip, oldest first."""

    indices: tuple[int, ...]  # T frame indices into the video
    is_real: tuple[bool, ...]  # False where the video has no such frame and the nearest one is repeated
    key_position: int  # position of the key frame in the clip


def check_offsets(offsets: Sequence[int]) -> tuple[int, ...]:
    """Give back frame offsets as a tuple of int, or say what is wrong with them."""
    checked = tuple(int(offset) for offset in offsets)
    if any(value != offset for value, offset in zip(checked, offsets, strict=True)):
        raise ValueError(f'frame offsets are whole numbers of frames, got {tuple(offsets)}')
    if any(later <= earlier for earlier, later in zip(checked[:-1], checked[1:], strict=True)):
        raise ValueError(f'frame offsets must ascend without repeats, got {checked}: use {tuple(sorted(set(checked)))}')
    if 0 not in checked:
        raise ValueError(f'frame offsets must contain 0, the key frame, got {checked}')
    return checked


def draw_offsets(num_before: int, num_after: int, max_distance: int, generator: np.random.Generator) -> tuple[int, ...]:
    """Draw support frames at random around the key frame, which stays at position `num_before` of the clip.

    `num_before` distinct frames come from the `max_distance` frames before the key frame and `num_after` from as many
    after it.

    Returns:
        The offsets, `num_before + 1 + num_after` of them, ascending.
    """
    before = generator.choice(max_distance, size=num_before, replace=False) + 1
    after = generator.choice(max_distance, size=num_after, replace=False) + 1
    return (*(-int(distance) for distance in sorted(before)[::-1]), 0, *(int(distance) for distance in sorted(after)))


def repeat_key_frame(window: ClipWindow) -> ClipWindow:
    """Show the key frame in place of every support frame, which still passes for real: as if nothing moved.

    >>> repeat_key_frame(ClipWindow((4, 5, 6), (True, True, True), key_position=1)).indices
    (5, 5, 5)
    """
    return window._replace(indices=(window.indices[window.key_position],) * len(window.indices))


def shuffle_neighbours(window: ClipWindow, generator: np.random.Generator) -> ClipWindow:
    """Permute the support frames so that none stays in its place, each such order as likely as the others."""
    supports = np.delete(np.arange(len(window.indices)), window.key_position)
    if len(supports) == 1:
        raise ValueError('a single support frame cannot be shuffled')
    order = supports
    while (order == supports).any():  # on average less than three times
        order = generator.permutation(supports)
    indices = np.array(window.indices)
    indices[supports] = indices[order]
    return window._replace(indices=tuple(indices.tolist()))


def clip_window(key_index: int, offsets: Sequence[int], video_length: int) -> ClipWindow:
    """Turn the key frame's index, offsets and the length of the video into the frames of a clip.

    >>> clip_window(0, (-1, 0, 2), video_length=2)
    ClipWindow(indices=(0, 0, 1), is_real=(False, True, False), key_position=1)
    """
    if not 0 <= key_index < video_length:
        raise ValueError(f'key frame index {key_index} lies outside the video of {video_length} frames')
    wanted = [key_index + offset for offset in offsets]
    indices = tuple(min(max(index, 0), video_length - 1) for index in wanted)
    is_real = tuple(index == target for index, target in zip(indices, wanted, strict=True))
    return ClipWindow(indices, is_real, list(offsets).index(0))
