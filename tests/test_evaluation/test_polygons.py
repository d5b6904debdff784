from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmpose_diffusion.evaluation.functional.polygons import strictly_inside_any

SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], dtype=float)
# five corners, drawn in one stroke: the middle is covered twice
STAR = np.array([[0, 3], [8, 3], [2, 8], [4, 0], [6, 8]], dtype=float)


def inside(points, *polygons):
    return strictly_inside_any(np.array(points, dtype=float).reshape(-1, 2), polygons).tolist()


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


def test_no_polygons_no_corners_no_points():
    assert inside([(1, 1)]) == [False]
    assert inside([(1, 1)], np.empty((0, 2))) == [False]
    assert inside([(1, 1)], np.empty((0, 2)), SQUARE) == [True]
    assert inside([], SQUARE) == []


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
    in_above, in_below = strictly_inside_any(point, [above])[0], strictly_inside_any(point, [below])[0]
    assert not (in_above and in_below)


@pytest.mark.parametrize('offset', [-1e-12, 0, 1e-12])
def test_point_on_a_line_of_tenths(offset):
    """0.1, 0.2, 0.3 are not on one line in binary, and rounded arithmetic would say they are."""
    triangle = np.array([[0.1, 0.1], [0.9, 0.9], [0.9, 0.1]])
    assert inside([(0.3, 0.3 + offset)], triangle) == [offset < 0]


@pytest.mark.parametrize('y', [0.6, np.nextafter(0.6, 0), np.nextafter(0.6, 1)])
def test_point_within_rounding_of_a_slanted_edge(y):
    """The edge follows y = 3 x up to rounding, and so does the point."""
    triangle = np.array([[0.1, 0.3], [0.7, 2.1], [0.7, 0.3]])
    (x1, y1), (x2, y2), _ = ((Fraction(float(a)), Fraction(float(b))) for a, b in triangle)
    side = (x2 - x1) * (Fraction(float(y)) - y1) - (y2 - y1) * (Fraction(0.2) - x1)
    assert inside([(0.2, y)], triangle) == [side < 0]
