"""Take values out of loaded json; every error names the place they come from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .posetrack_ap import NUM_JOINTS

MISSING_SCORE = -9999.0
"""Score of every joint of a predicted person without scores."""

HEAD_SIZE_OF_DIAGONAL = 0.6


def get_list(content: Mapping[str, Any], key: str, label: str) -> list:
    """The list stored under `key`, or an error naming `label`."""
    value = content.get(key)
    if not isinstance(value, list):
        raise ValueError(
            f'{label}: expected a list under {key!r}, got {"nothing" if value is None else shorten(value)}'
        )
    return value


def numbers(values: Any, label: str, count: int | None = None) -> np.ndarray:
    """A flat list of finite numbers as float64, or an error naming `label`."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{label}: expected a list of numbers, got {shorten(values)}') from error
    if array.ndim != 1 or (count is not None and len(array) != count):
        received = f'{len(array)}: {shorten(values)}' if array.ndim == 1 else shorten(values)
        raise ValueError(f'{label}: expected {count or "a flat list of"} numbers, got {received}')
    # NumPy alone would also turn texts and truth values into numbers.
    if array.dtype.kind not in 'iuf' or not np.isfinite(array).all():
        raise ValueError(f'{label}: not a finite number in {shorten(values)}')
    return array.astype(np.float64)


def region_polygon(xs: Any, ys: Any, label: str) -> np.ndarray:
    """Corners [V, 2] of an ignore region; the longer of the two lists is cut."""
    x, y = numbers(xs, f'{label} (x)'), numbers(ys, f'{label} (y)')
    count = min(len(x), len(y))
    return np.stack([x[:count], y[:count]], axis=-1)


def head_sizes_of_corners(corners: np.ndarray) -> np.ndarray:
    """Head size [...] in pixels of head boxes [..., 4] given by the corners x1, y1, x2, y2."""
    width, height = corners[..., 2] - corners[..., 0], corners[..., 3] - corners[..., 1]
    return HEAD_SIZE_OF_DIAGONAL * np.sqrt(width * width + height * height)


def no_scores(count: int) -> np.ndarray:
    """Scores [count, 15] of people that have none."""
    return np.full((count, NUM_JOINTS), MISSING_SCORE)


def no_head_sizes(count: int) -> np.ndarray:
    """Head sizes [count] of people without a head box."""
    return np.full(count, np.nan)


def shorten(value: Any, limit: int = 80) -> str:
    """A value as text for an error message."""
    text = repr(value)
    return text if len(text) <= limit else f'{text[:limit]}...'


def to_numpy(values: Any) -> np.ndarray:
    """Arrays, lists and tensors of any device as float64."""
    if hasattr(values, 'detach'):
        values = values.detach().cpu()
    return np.asarray(values, dtype=np.float64)
