"""Which points lie strictly inside polygons: even-odd rule, decided exactly."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

# Bound of the rounding error of a 2x2 orientation determinant, relative to the sum of its two products
# (Shewchuk 1997, "Adaptive precision floating-point arithmetic and fast robust geometric predicates").
ORIENTATION_ERROR = (3.0 + 16.0 * 2.0**-53) * 2.0**-53


def strictly_inside_any(points: np.ndarray, polygons: Sequence[np.ndarray]) -> np.ndarray:
    """Tell which points lie strictly inside at least one polygon; edges and corners are outside.

    Even-odd rule (also for polygons that cross themselves); every polygon is closed from its last to its first corner.

    Args:
        points: [M, 2] float64.
        polygons: arrays [V, 2] of corners; one without corners contains nothing.

    Returns:
        [M] bool.
    """
    polygons = [polygon for polygon in polygons if len(polygon)]
    if not polygons or not len(points):
        return np.zeros(len(points), dtype=bool)
    start = np.concatenate(polygons)  # [E, 2], E edges of all polygons one after the other
    stop = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    first_edges = np.cumsum([0, *(len(polygon) for polygon in polygons[:-1])])

    x, y = points[:, :1], points[:, 1:]  # [M, 1] against [E]
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    in_edge_box = (low[:, 0] <= x) & (x <= high[:, 0]) & (low[:, 1] <= y) & (y <= high[:, 1])
    straddles = (start[:, 1] > y) != (stop[:, 1] > y)
    side = _side_of_edge(points, start, stop, in_edge_box | straddles)  # [M, E]

    on_edge = in_edge_box & (side == 0)
    # an upward edge is crossed by the ray to the right if the point lies to its left, a downward edge if to its right
    crossed = straddles & ((side > 0) == (stop[:, 1] > start[:, 1]))
    is_odd = np.add.reduceat(crossed, first_edges, axis=1, dtype=np.int64) % 2 == 1  # [M, number of polygons]
    is_on_edge = np.logical_or.reduceat(on_edge, first_edges, axis=1)
    return (is_odd & ~is_on_edge).any(axis=1)


def _side_of_edge(points: np.ndarray, start: np.ndarray, stop: np.ndarray, is_relevant: np.ndarray) -> np.ndarray:
    """Sign [M, E] of the orientation (start, stop, point), exact where `is_relevant` [M, E]."""
    edge = stop - start
    left = edge[:, 0] * (points[:, 1:] - start[:, 1])
    right = edge[:, 1] * (points[:, :1] - start[:, 0])
    determinant = left - right
    bound = ORIENTATION_ERROR * (np.abs(left) + np.abs(right))
    is_doubtful = is_relevant & (np.abs(determinant) <= bound) & (bound > 0)
    for point, edge_index in np.argwhere(is_doubtful):
        determinant[point, edge_index] = _exact_orientation(start[edge_index], stop[edge_index], points[point])
    return np.sign(determinant)


def _exact_orientation(start: np.ndarray, stop: np.ndarray, point: np.ndarray) -> int:
    start_x, start_y, stop_x, stop_y, x, y = (Fraction(float(value)) for value in (*start, *stop, *point))
    determinant = (stop_x - start_x) * (y - start_y) - (stop_y - start_y) * (x - start_x)
    return (determinant > 0) - (determinant < 0)
