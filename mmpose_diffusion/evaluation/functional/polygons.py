"""Which points lie strictly inside polygons: even-odd rule, decided exactly."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

# Bound of the rounding error of a 2x2 orientation determinant, relative to the sum of its two products
# (Shewchuk 1997, "Adaptive precision floating-point arithmetic and fast robust geometric predicates").
ORIENTATION_ERROR = (3.0 + 16.0 * 2.0**-53) * 2.0**-53

EDGES_PER_BLOCK = 100_000  # bounds the memory: so many edges are looked at together, unless one polygon has more


def strictly_inside(
    points: np.ndarray, polygons: Sequence[np.ndarray], point_of_pair: np.ndarray, polygon_of_pair: np.ndarray
) -> np.ndarray:
    """Tell for M pairs whether the point lies strictly inside the polygon; edges and corners are outside.

    Even-odd rule (also for polygons that cross themselves); every polygon is closed from its last to its first corner.

    Args:
        points: [N, 2] float64.
        polygons: arrays [V, 2] of corners, V > 0.
        point_of_pair: [M] indices into points.
        polygon_of_pair: [M] indices into polygons.

    Returns:
        [M] bool.
    """
    is_inside = np.zeros(len(point_of_pair), dtype=bool)
    if not len(is_inside):
        return is_inside
    num_edges = np.array([len(polygon) for polygon in polygons])
    first_edges = np.cumsum(num_edges) - num_edges
    start = np.concatenate(polygons).astype(np.float64)  # [E, 2], the edges of all polygons one after the other
    stop = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons]).astype(np.float64)
    low, high = np.minimum.reduceat(start, first_edges), np.maximum.reduceat(start, first_edges)

    at = points[point_of_pair]  # [M, 2]
    in_box = ((low[polygon_of_pair] < at) & (at < high[polygon_of_pair])).all(axis=1)
    candidates = np.flatnonzero(in_box)
    counts = num_edges[polygon_of_pair[candidates]]
    for block in _blocks(counts):
        pairs = candidates[block]
        owner, edges = expand_ranges(first_edges[polygon_of_pair[pairs]], counts[block])
        is_inside[pairs] = _even_odd(
            at[pairs][owner], start[edges], stop[edges], np.cumsum(counts[block]) - counts[block]
        )
    return is_inside


def expand_ranges(first: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write out ranges first[i] ... first[i] + counts[i] - 1: which range each number comes from, and the number."""
    owner = np.repeat(np.arange(len(first)), counts)
    return owner, np.arange(len(owner)) + np.repeat(first - (np.cumsum(counts) - counts), counts)


def _blocks(counts: np.ndarray) -> Iterator[slice]:
    """Split counts into runs that add up to `EDGES_PER_BLOCK` or little more."""
    block_of = (np.cumsum(counts) - counts) // EDGES_PER_BLOCK
    borders = [0, *(np.flatnonzero(np.diff(block_of)) + 1).tolist(), len(counts)]
    return (slice(first, end) for first, end in zip(borders, borders[1:], strict=False) if end > first)


def _even_odd(points: np.ndarray, start: np.ndarray, stop: np.ndarray, first_rows: np.ndarray) -> np.ndarray:
    """Each row is a point and one edge; the rows of one pair of point and polygon begin at one of `first_rows`."""
    x, y = points.T
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    in_edge_box = ((low <= points) & (points <= high)).all(axis=1)
    straddles = (start[:, 1] > y) != (stop[:, 1] > y)
    side = _side_of_edge(points, start, stop, in_edge_box | straddles)

    on_edge = in_edge_box & (side == 0)
    # an upward edge is crossed by the ray to the right if the point lies to its left, a downward edge if to its right
    crossed = straddles & ((side > 0) == (stop[:, 1] > start[:, 1]))
    is_odd = np.add.reduceat(crossed, first_rows, dtype=np.int64) % 2 == 1
    return is_odd & ~np.logical_or.reduceat(on_edge, first_rows)


def _side_of_edge(points: np.ndarray, start: np.ndarray, stop: np.ndarray, is_relevant: np.ndarray) -> np.ndarray:
    """Sign of the orientation (start, stop, point) of each row, exact where `is_relevant`."""
    edge, offset = stop - start, points - start
    left, right = edge[:, 0] * offset[:, 1], edge[:, 1] * offset[:, 0]
    determinant = left - right
    bound = ORIENTATION_ERROR * (np.abs(left) + np.abs(right))
    is_doubtful = is_relevant & (np.abs(determinant) <= bound) & (bound > 0)
    for row in np.flatnonzero(is_doubtful):
        determinant[row] = _exact_orientation(start[row], stop[row], points[row])
    return np.sign(determinant)


def _exact_orientation(start: np.ndarray, stop: np.ndarray, point: np.ndarray) -> int:
    start_x, start_y, stop_x, stop_y, x, y = (Fraction(float(value)) for value in (*start, *stop, *point))
    determinant = (stop_x - start_x) * (y - start_y) - (stop_y - start_y) * (x - start_x)
    return (determinant > 0) - (determinant < 0)
