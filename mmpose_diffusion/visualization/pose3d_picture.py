"""3D skeletons as a picture, beside the frame they belong to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

PAPER, FLOOR, INK = (255, 255, 255), (215, 215, 215), (60, 60, 60)
REACH = 1.15  # metres from the root joint, in the middle of a cell, to the cell's edge
AZIMUTH, ELEVATION = math.radians(35), math.radians(15)  # the view, from the camera's place to the right and upwards


class SkeletonPainter:
    """Draws each person on a floor of their own, seen from a place to the right of the camera and above it.

    The projection is parallel, so that lengths at all depths compare. MMPose's visualizer draws with a method that
    matplotlib has since removed, and takes z as height, which camera axes do not have.

    Args:
        metainfo: of the data set that names the 3D joints: links and colours.
    """

    def __init__(self, metainfo: Mapping[str, Any]) -> None:
        self.links = [tuple(link) for link in metainfo['skeleton_links']]
        self.colors = np.asarray(metainfo['skeleton_link_colors'], dtype=int)[:, ::-1].tolist()  # blue first

    def beside(self, picture: np.ndarray, poses: np.ndarray, labels: Sequence[str], corners: np.ndarray) -> np.ndarray:
        """A picture [height, width, 3] with a square panel of its height on the right.

        The labels also appear in the picture, at corners [P, 2], so that one sees whose skeleton is whose.
        """
        picture = np.ascontiguousarray(picture)
        for label, corner in zip(labels, corners, strict=True):
            place = tuple(np.maximum(np.round(corner), (0, 12)).astype(int).tolist())
            for color, thickness in ((PAPER, 3), (INK, 1)):
                write(picture, label, place, picture.shape[0] / 1000, color, thickness)
        return np.concatenate([picture, self.panel(poses, labels, picture.shape[0])], axis=1)

    def panel(self, poses: np.ndarray, labels: Sequence[str], size: int) -> np.ndarray:
        """A square picture [size, size, 3], blue first, of P people.

        Args:
            poses: [P, J, 3] metres in camera axes, root-relative.
            labels: P texts.
            size: in pixels.
        """
        canvas = np.full((size, size, 3), PAPER, dtype=np.uint8)
        columns = math.ceil(math.sqrt(len(poses))) or 1
        rows = math.ceil(len(poses) / columns) or 1
        width, height = size // columns, size // rows
        for index, (pose, label) in enumerate(zip(poses, labels, strict=True)):
            row, column = divmod(index, columns)
            cell = canvas[row * height : (row + 1) * height, column * width : (column + 1) * width]
            self._draw(cell, pose, label)
        return canvas

    def _draw(self, cell: np.ndarray, pose: np.ndarray, label: str) -> None:
        """Draw one person [J, 3] into its part of the picture."""
        height, width = cell.shape[:2]
        scale = min(height, width) / (2 * REACH)
        thickness = max(round(min(height, width) / 100), 1)

        def place(points: np.ndarray) -> np.ndarray:
            return np.round(seen_from_the_side(points)[..., :2] * scale + (width / 2, height / 2)).astype(int)

        ground = pose[:, 1].max()
        corners = np.array([[x, ground, z] for x, z in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))])
        cv2.fillPoly(cell, [place(corners)], FLOOR, cv2.LINE_AA)
        joints = place(pose)
        depths = seen_from_the_side(pose)[:, 2]
        far_to_near = sorted(range(len(self.links)), key=lambda link: -depths[list(self.links[link])].mean())
        for link in far_to_near:
            start, end = (tuple(map(int, joints[joint])) for joint in self.links[link])
            cv2.line(cell, start, end, self.colors[link], 2 * thickness, cv2.LINE_AA)
        for joint in joints:
            cv2.circle(cell, tuple(map(int, joint)), thickness + 1, INK, -1, cv2.LINE_AA)
        font_scale = min(height, width) / 500
        write(cell, label, (4, max(round(34 * font_scale), 12)), font_scale, INK, 1)


def write(
    picture: np.ndarray, text: str, place: tuple[int, int], scale: float, color: tuple[int, ...], thickness: int
) -> None:
    """Write into a picture, large enough to be read; `place` is the lower left corner."""
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, max(scale, 0.35), color, thickness, cv2.LINE_AA)


def seen_from_the_side(points: np.ndarray, azimuth: float = AZIMUTH, elevation: float = ELEVATION) -> np.ndarray:
    """Points [..., 3] in camera axes (x right, y down, z away) -> in the axes of a view turned to the right and up."""
    cosine, sine = math.cos(azimuth), math.sin(azimuth)
    turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])  # the near side goes left
    cosine, sine = math.cos(elevation), math.sin(elevation)
    tilt = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])  # the far side goes up
    return points @ (tilt @ turn).T
