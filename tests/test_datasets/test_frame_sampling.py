import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmpose_diffusion.datasets import frame_sampling
from mmpose_diffusion.datasets.frame_sampling import check_offsets, clip_window, draw_offsets

offsets_with_key = st.sets(st.integers(-20, 20), max_size=8).map(lambda chosen: tuple(sorted(chosen | {0})))


def test_clip_at_video_start_repeats_first_frame():
    window = clip_window(0, (-2, -1, 0, 1, 2), video_length=10)
    assert window.indices == (0, 0, 0, 1, 2)
    assert window.is_real == (False, False, True, True, True)
    assert window.key_position == 2


def test_video_shorter_than_the_window_repeats_on_both_sides():
    window = clip_window(1, (-3, 0, 3), video_length=2)
    assert window.indices == (0, 1, 1)
    assert window.is_real == (False, True, False)


@given(offsets_with_key, st.integers(1, 15), st.data())
def test_frames_are_chronological_and_real_exactly_where_the_video_has_them(offsets, length, data):
    key = data.draw(st.integers(0, length - 1))
    window = clip_window(key, offsets, length)
    assert list(window.indices) == sorted(window.indices)
    assert window.indices[window.key_position] == key
    for index, real, offset in zip(window.indices, window.is_real, offsets, strict=True):
        assert 0 <= index < length
        assert real == (0 <= key + offset < length)
        if real:
            assert index == key + offset
        else:
            assert index in (0, length - 1)
            assert (index == 0) == (key + offset < 0) or length == 1


@pytest.mark.parametrize('key', [-1, 3])
def test_key_frame_outside_the_video_is_refused(key):
    with pytest.raises(ValueError, match=f'{key} lies outside the video of 3 frames'):
        clip_window(key, (0,), 3)


@given(st.integers(0, 4), st.integers(0, 4), st.integers(4, 9), st.integers(0, 2**32 - 1))
def test_drawn_offsets_ascend_and_keep_the_key_frame_in_its_place(before, after, distance, seed):
    offsets = draw_offsets(before, after, distance, np.random.default_rng(seed))
    assert check_offsets(offsets) == offsets
    assert len(offsets) == before + 1 + after
    assert offsets[before] == 0
    assert max(map(abs, offsets)) <= distance


def test_every_allowed_frame_is_drawn_sometimes():
    generator = np.random.default_rng(0)
    drawn = {offset for _ in range(200) for offset in draw_offsets(1, 1, 3, generator)}
    assert drawn == set(range(-3, 4))


@pytest.mark.parametrize(
    ('offsets', 'message'),
    [((1, 0), 'must ascend'), ((0, 0), 'must ascend'), ((1, 2), 'must contain 0'), ((-0.5, 0), 'whole numbers')],
)
def test_offsets_that_make_no_clip_are_refused(offsets, message):
    with pytest.raises(ValueError, match=message):
        check_offsets(offsets)


def test_examples_in_the_documentation_hold():
    assert doctest.testmod(frame_sampling).failed == 0
