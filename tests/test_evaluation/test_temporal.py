"""Jitter and acceleration error of motions whose differences are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmpose_diffusion.evaluation.functional import acceleration_errors, jitter_values

FRAMES = np.arange(6)
ALL = np.ones((6, 1), bool)


def moving(formula, frames=FRAMES):
    """One keypoint [T, 1, 2] moving along x."""
    x = np.array([formula(float(t)) for t in frames])
    return np.stack([x, np.full(len(x), 7.0)], axis=-1)[:, None]


def test_constant_velocity_has_neither_jitter_nor_acceleration_error():
    track = moving(lambda t: 3 * t + 1)
    assert jitter_values(track, ALL, FRAMES).tolist() == [0, 0, 0]
    assert acceleration_errors(track, moving(lambda t: 0), ALL, FRAMES).tolist() == [0, 0, 0, 0]


def test_parabola_has_constant_acceleration_and_no_jitter():
    track = moving(lambda t: 5 * t**2)
    assert jitter_values(track, ALL, FRAMES).tolist() == [0, 0, 0]
    assert acceleration_errors(track, moving(lambda t: 2 * t), ALL, FRAMES).tolist() == [10, 10, 10, 10]


def test_cubic_has_constant_jitter():
    assert jitter_values(moving(lambda t: t**3), ALL, FRAMES).tolist() == [6, 6, 6]


def test_single_outlier_by_hand():
    """Third differences of 0 0 0 1 0 0 are 1 -3 3; lengths in two dimensions are Euclidean."""
    track = np.zeros((6, 1, 2))
    track[3, 0] = [3, 4]
    assert jitter_values(track, ALL, FRAMES).tolist() == [5, 15, 15]
    assert acceleration_errors(track, np.zeros((6, 1, 2)), ALL, FRAMES).tolist() == [0, 5, 10, 5]


def test_gap_in_the_track_breaks_the_run():
    frames = np.array([0, 1, 2, 3, 10, 11, 12])  # one run of 4, one of 3
    track, valid = moving(lambda t: t**3, frames), np.ones((7, 1), bool)
    assert jitter_values(track, valid, frames).tolist() == [6]
    errors = acceleration_errors(track, np.zeros_like(track), valid, frames)
    np.testing.assert_allclose(errors, [6, 12, 66], rtol=1e-12)  # second difference of t^3 at t is 6 t


def test_invalid_keypoint_breaks_only_its_own_run():
    track = np.concatenate([moving(lambda t: t**3), moving(lambda t: 2 * t**3)], axis=1)  # [6, 2, 2]
    valid = np.ones((6, 2), bool)
    valid[1, 0] = False
    assert sorted(jitter_values(track, valid, FRAMES).tolist()) == [6, 12, 12, 12]


def test_short_tracks_have_no_values():
    for count in range(4):
        track, valid, frames = np.zeros((count, 1, 2)), np.ones((count, 1), bool), np.arange(count)
        assert len(jitter_values(track, valid, frames)) == 0
        assert len(jitter_values(track, valid, frames, np.ones(count))) == 0
        assert len(acceleration_errors(track, track, valid, frames)) == max(count - 2, 0)


def test_sizes_divide_by_their_mean_over_the_frames_used():
    track = moving(lambda t: t**3)
    assert jitter_values(track, ALL, FRAMES, np.full(6, 2.0)).tolist() == [3, 3, 3]
    sizes = np.array([1.0, 1, 1, 1, 5, 9])  # means of four: 1, 2, 4
    assert jitter_values(track, ALL, FRAMES, sizes).tolist() == [6, 3, 1.5]


@given(seed=st.integers(0, 2**32 - 1), shift=st.integers(-100, 100))
def test_values_do_not_depend_on_where_and_when_the_track_begins(seed, shift):
    random = np.random.default_rng(seed)
    track, valid = random.integers(0, 100, (6, 3, 2)).astype(float), random.random((6, 3)) < 0.9
    np.testing.assert_array_equal(
        jitter_values(track, valid, FRAMES), jitter_values(track + shift, valid, FRAMES + shift)
    )


def test_bad_input_is_named():
    track = np.zeros((3, 1, 2))
    with pytest.raises(ValueError, match=r'must ascend strictly, got \[0, 2, 2\]'):
        jitter_values(track, np.ones((3, 1), bool), np.array([0, 2, 2]))
    with pytest.raises(ValueError, match=r'got shapes \(3, 1, 2\), \(2, 1\) and \(3,\)'):
        jitter_values(track, np.ones((2, 1), bool), np.arange(3))
    with pytest.raises(ValueError, match='expected one size above zero'):
        jitter_values(track, np.ones((3, 1), bool), np.arange(3), np.array([1, 0, 1]))
