import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmpose_diffusion.evaluation.functional.polygons import expand_ranges, strictly_inside

SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], dtype=float)
# five corners, drawn in one stroke: the middle is covered twice
STAR = np.array([[0, 3], [8, 3], [2, 8], [4, 0], [6, 8]], dtype=float)


def inside(points, *polygons):
    """Whether each point is strictly inside any of the polygons."""
    points = np.array(points, dtype=float).reshape(-1, 2)
    pairs = np.indices((len(points), len(polygons))).reshape(2, -1)
    return strictly_inside(points, polygons, *pairs).reshape(len(points), -1).any(axis=1).tolist()


def test_border_and_corners_are_outside():
    assert inside([(2, 2), (0, 2), (4, 2), (2, 0), (2, 4), (0, 0), (4, 4), (5, 2)], SQUARE) == [True] + [False] * 7


def test_direction_of_the_corners_does_not_matter():
    points = np.stack(np.meshgrid(np.arange(-1, 10), np.arange(-1, 10)), axis=-1).reshape(-1, 2)
    for polygon in (SQUARE, STAR):
        assert inside(points, polygon) == inside(points, polygon[::-1])


def test_doubly_covered_part_of_a_star_is_outside():
    assert inside([(4, 4), (4, 1.5), (1, 3.2)], STAR) == [False, True, True]


def test_border_of_one_polygon_may_be_inside_another():
    assert inside([(4, 2)], SQUARE, SQUARE + 2) == [False]
    assert inside([(4, 3)], SQUARE, SQUARE + 2) == [True]


def test_overlap_of_two_polygons_is_inside():
    assert inside([(3, 3)], SQUARE, SQUARE + 2) == [True]


def test_only_the_pairs_asked_for_are_decided():
    points = np.array([[1.0, 1], [3, 3], [5, 5]])
    decided = strictly_inside(points, [SQUARE, SQUARE + 2], np.array([2, 0, 2]), np.array([1, 1, 0]))
    assert decided.tolist() == [True, False, False]
    nothing = np.empty(0, dtype=int)
    assert strictly_inside(points, [SQUARE], nothing, nothing).tolist() == []
    assert strictly_inside(points, [], nothing, nothing).tolist() == []


@pytest.mark.parametrize('edges_per_block', [1, 3, 10, 1000])
def test_blocks_do_not_change_the_answer(monkeypatch, edges_per_block):
    points = np.stack(np.meshgrid(np.arange(-1, 10), np.arange(-1, 10)), axis=-1).reshape(-1, 2)
    at_once = inside(points, SQUARE, STAR, SQUARE + 2)
    monkeypatch.setattr('mmpose_diffusion.evaluation.functional.polygons.EDGES_PER_BLOCK', edges_per_block)
    assert inside(points, SQUARE, STAR, SQUARE + 2) == at_once


def test_ranges_are_written_out():
    owner, numbers = expand_ranges(np.array([5, 0, 7]), np.array([2, 0, 3]))
    assert owner.tolist() == [0, 0, 2, 2, 2]
    assert numbers.tolist() == [5, 6, 7, 8, 9]


@given(
    corner=st.tuples(*[st.floats(-1e3, 1e3)] * 2),
    end=st.tuples(*[st.floats(-1e3, 1e3)] * 2),
    share=st.floats(0, 1),
)
def test_point_next_to_a_slanted_edge_is_decided_exactly(corner, end, share):
    """A triangle and its mirror image share an edge: a point between them is in one, in the other, or on the edge."""
    (x1, y1), (x2, y2) = corner, end
    point = np.array([[x1 + share * (x2 - x1), y1 + share * (y2 - y1)]])
    normal = np.array([y1 - y2, x2 - x1])
    above = np.array([corner, end, np.add(end, normal)])
    below = np.array([corner, end, np.subtract(end, normal)])
    assert not (inside(point, above)[0] and inside(point, below)[0])


@pytest.mark.parametrize('offset', [-1e-12, 0, 1e-12])
def test_point_on_a_line_of_tenths(offset):
    """0.1, 0.2, 0.3 are not on one line in binary, and rounded arithmetic would say they are."""
    triangle = np.array([[0.1, 0.1], [0.9, 0.9], [0.9, 0.1]])
    assert inside([(0.3, 0.3 + offset)], triangle) == [offset < 0]


@pytest.mark.parametrize('right', range(4))
@pytest.mark.parametrize('up', range(4))
def test_point_within_rounding_of_a_slanted_edge(right, up):
    """Below the diagonal is inside; the steps vanish when -12 is subtracted from the coordinates."""
    triangle = np.array([[-12.0, -12], [24, 24], [24, -12]])
    step = np.spacing(0.5)
    assert inside([(0.5 + right * step, 0.5 + up * step)], triangle) == [up < right]
