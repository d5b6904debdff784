"""Uncertainty as ellipses: where a keypoint is with a stated probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

SUBPIXEL_BITS = 4  # OpenCV's drawing takes sixteenths of a pixel
SMALLEST_AXIS = 1.0  # pixels; a thinner ellipse would be drawn as nothing


class Ellipse(NamedTuple):
    """Shape of one or many ellipses around their centers."""

    axes: np.ndarray  # [..., 2] half lengths, the longer first
    angle: np.ndarray  # [...] radians from the x axis to the longer one, in (-pi/2, pi/2]; y points down in images


def ellipse_of(covariance: np.ndarray, share: float = 0.9) -> Ellipse:
    """The ellipse that holds a share of a Gaussian with this covariance [..., 2, 2].

    The squared Mahalanobis distance of two coordinates is chi-squared with two degrees of freedom, whose quantile is
    -2 log(1 - share). A covariance estimated from few hypotheses is itself uncertain, which widens the true region;
    that is left to the measured calibration.
    """
    if not 0 < share < 1:
        raise ValueError(f'an ellipse holds a share between 0 and 1 of the probability, got {share}')
    covariance = np.asarray(covariance, dtype=np.float64)
    if covariance.shape[-2:] != (2, 2) or not np.isfinite(covariance).all():
        raise ValueError(f'expected finite covariances [..., 2, 2], got {covariance.shape}: {covariance.tolist()}')
    variances, directions = np.linalg.eigh(covariance)  # ascending; directions are columns
    axes = np.sqrt(np.maximum(variances[..., ::-1], 0) * -2 * np.log1p(-share))
    x, y = directions[..., 0, 1], directions[..., 1, 1]
    # An axis has no sense of direction: keep the half in which the angle is unique.
    flip = (x < 0) | ((x == 0) & (y < 0))
    return Ellipse(axes, np.arctan2(np.where(flip, -y, y), np.where(flip, -x, x)))


def draw_ellipses(
    image: np.ndarray,
    centers: np.ndarray,
    covariances: np.ndarray,
    colors: Sequence[Sequence[float]],
    share: float = 0.9,
    line_width: int = 1,
    opacity: float = 0.3,
) -> np.ndarray:
    """Return a copy of the image [height, width, 3] with tinted, outlined ellipses on it, the largest at the bottom.

    Args:
        image: uint8, channels in the order of `colors`.
        centers: [P, 2] pixels.
        covariances: [P, 2, 2] square pixels.
        colors: one for each ellipse.
        share: of the probability that an ellipse holds.
        line_width: of the outline, in pixels. A dark rim keeps it apart from clothes of the same colour.
        opacity: of the tint inside.
    """
    drawn = np.ascontiguousarray(image).copy()
    ellipses = ellipse_of(covariances, share)
    # No larger than the picture: a keypoint that may be anywhere needs no coordinates beyond what OpenCV can draw.
    axes = np.clip(ellipses.axes, SMALLEST_AXIS, 2 * max(image.shape[:2]))
    for index in np.argsort(-axes.prod(axis=-1), kind='stable'):
        if not np.isfinite(centers[index]).all() or (np.abs(centers[index]) > 1e6).any():
            continue
        color = [float(value) for value in colors[index]]
        tint = drawn.copy()
        _ellipse(tint, centers[index], axes[index], ellipses.angle[index], color, cv2.FILLED)
        drawn = cv2.addWeighted(tint, opacity, drawn, 1 - opacity, 0)
        _ellipse(drawn, centers[index], axes[index], ellipses.angle[index], [20, 20, 20], line_width + 2)
        _ellipse(drawn, centers[index], axes[index], ellipses.angle[index], color, line_width)
    return drawn


def _ellipse(
    image: np.ndarray, center: np.ndarray, axes: np.ndarray, angle: float, color: Sequence[float], thickness: int
) -> None:
    fine = 2**SUBPIXEL_BITS
    cv2.ellipse(
        image,
        tuple(np.round(center * fine).astype(int).tolist()),
        tuple(np.round(axes * fine).astype(int).tolist()),
        float(np.degrees(angle)),
        0,
        360,
        color,
        thickness,
        cv2.LINE_AA,
        SUBPIXEL_BITS,
    )
