"""What a camera with lens distortion sees, in normalised screen coordinates.

A camera is nine numbers: fx fy cx cy k1 k2 k3 p1 p2. Coordinates of the screen run from -1 to 1 along the width and, so
that the aspect is kept, from -h/w to h/w along the height. The formula is that of Human3.6M as VideoPose3D writes it:
its tangential gain is half of OpenCV's, and p1 belongs to x.
"""

import numpy as np


def normalise_points(points: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Pixels [..., 2] of an image of (width, height) -> normalised screen coordinates [..., 2]."""
    width, height = image_size
    return points * (2 / width) - np.array([1, height / width])


def denormalise_points(points: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Normalised screen coordinates [..., 2] -> pixels [..., 2] of an image of (width, height)."""
    width, height = image_size
    return (points + np.array([1, height / width])) * (width / 2)


def project(points: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Points in camera axes [..., 3], in any unit -> the screen [..., 2].

    `camera` [..., 9] is broadcast against the points without their last axis.
    """
    focal, centre, radial, tangential = np.split(camera, [2, 4, 7], axis=-1)
    plane = np.clip(points[..., :2] / points[..., 2:], -1, 1)
    return focal * _distort(plane, radial, tangential) + centre


def undistort(screen: np.ndarray, camera: np.ndarray, iterations: int = 25) -> np.ndarray:
    """The screen [..., 2] -> x/z and y/z [..., 2] of the points seen there: the inverse of `project`.

    The distortion has no inverse in closed form; it is mild, so that a fixed-point iteration converges quickly.
    """
    focal, centre, radial, tangential = np.split(camera, [2, 4, 7], axis=-1)
    distorted = (screen - centre) / focal
    plane = np.clip(distorted, -1, 1)
    for _ in range(iterations):
        plane = np.clip(plane + distorted - _distort(plane, radial, tangential), -1, 1)
    return plane


def mirror_camera(camera: np.ndarray) -> np.ndarray:
    """The camera [..., 9] that sees mirrored points (x negated) where this one sees them, mirrored."""
    return camera * np.array([1, 1, -1, 1, 1, 1, 1, -1, 1], dtype=camera.dtype)


def _distort(plane: np.ndarray, radial: np.ndarray, tangential: np.ndarray) -> np.ndarray:
    """Apply the lens to x/z and y/z [..., 2]."""
    squared = np.sum(plane**2, axis=-1, keepdims=True)
    powers = np.concatenate([squared, squared**2, squared**3], axis=-1)
    gain = 1 + np.sum(radial * powers, axis=-1, keepdims=True) + np.sum(tangential * plane, axis=-1, keepdims=True)
    return plane * gain + tangential * squared
