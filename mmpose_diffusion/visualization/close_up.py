"""The part of an image that shows one person, enlarged."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np


class CloseUp(NamedTuple):
    """An enlarged part of an image, and how coordinates come into it."""

    image: np.ndarray  # uint8 [height, width, 3]
    corner: np.ndarray  # [2] the part's upper left corner in pixels of the whole image
    zoom: float  # pixels of the close-up per pixel of the image

    def to_close_up(self, points: np.ndarray) -> np.ndarray:
        """Pixels of the image [..., 2] -> pixels of the close-up."""
        return (np.asarray(points) - self.corner) * self.zoom

    def to_close_up_covariances(self, covariances: np.ndarray) -> np.ndarray:
        """Square pixels of the image [..., 2, 2] -> square pixels of the close-up."""
        return np.asarray(covariances) * self.zoom**2


def close_up(image: np.ndarray, center: np.ndarray, size: np.ndarray, height: int = 384) -> CloseUp:
    """Cut out and enlarge the part of an image [H, W, 3] with this center and size, both (x, y).

    A sample's `input_center` and `input_scale` give what the network saw. What lies outside the image is grey.
    """
    center, size = np.asarray(center, dtype=np.float64), np.asarray(size, dtype=np.float64)
    if center.shape != (2,) or size.shape != (2,) or not (size > 0).all():
        raise ValueError(f'expected center (x, y) and a positive size (x, y), got {center.tolist()}, {size.tolist()}')
    corner, zoom = center - size / 2, height / size[1]
    matrix = np.array([[zoom, 0, -zoom * corner[0]], [0, zoom, -zoom * corner[1]]])
    width = max(round(float(size[0] * zoom)), 1)
    part = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(96, 96, 96))
    return CloseUp(part, corner, float(zoom))
