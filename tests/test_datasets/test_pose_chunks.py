import numpy as np
import pytest

from mmpose_diffusion.datasets.pose_chunks import chunk_frames, evaluation_starts, first_occurrences, training_starts

SIZES = [(total, length) for length in (1, 4, 9, 243) for total in (1, 3, 4, 5, 8, 9, 10, 17, 242, 243, 244, 500, 1001)]


@pytest.mark.parametrize(('total', 'length'), SIZES)
def test_training_chunks_lie_symmetrically_and_hold_every_frame_once(total, length):
    starts = training_starts(total, length)
    assert len(starts) == int(np.ceil(total / length))
    assert starts[0] == -((len(starts) * length - total) // 2)
    assert (np.diff(starts) == length).all()
    before, after = -starts[0], starts[-1] + length - total
    assert 0 <= after - before <= 1
    frames = np.concatenate([np.arange(start, start + length) for start in starts])
    assert sorted(frame for frame in frames.tolist() if 0 <= frame < total) == list(range(total))


@pytest.mark.parametrize('stride', [1, 2, 5, 9])
def test_each_strip_lies_in_the_middle_of_a_chunk(stride):
    starts = training_starts(40, 9, stride)
    assert len(starts) == -(-40 // stride)
    strips = starts + (9 - stride) // 2
    covered = {frame for first in strips.tolist() for frame in range(first, first + stride)}
    assert covered >= set(range(40))


@pytest.mark.parametrize(
    ('total', 'expected'), [(500, [0, 243, 257]), (486, [0, 243]), (487, [0, 243, 244]), (243, [0]), (100, [0])]
)
def test_the_last_evaluation_chunk_is_the_end_of_the_sequence(total, expected):
    assert evaluation_starts(total, 243).tolist() == expected


@pytest.mark.parametrize(('total', 'length'), SIZES)
@pytest.mark.parametrize('place', [training_starts, evaluation_starts])
def test_every_frame_is_marked_in_the_first_chunk_that_has_it(total, length, place):
    starts = place(total, length)
    marked = first_occurrences(starts, length, total)
    seen = set()
    for start, row in zip(starts.tolist(), marked, strict=True):
        for frame, mark in enumerate(row, start=start):
            expected = 0 <= frame < total and frame not in seen
            assert bool(mark) == expected
            seen.add(frame)
    assert marked.sum() == total


def test_edge_frames_are_repeated():
    assert chunk_frames(-2, 5, 2).tolist() == [0, 0, 0, 1, 1]
