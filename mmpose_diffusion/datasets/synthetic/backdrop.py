"""The room of a scene: a textured ground and a textured wall, seen in perspective."""

from dataclasses import dataclass

import cv2
import numpy as np

from .camera import CameraPath
from .difficulty import Difficulty
from .textures import GROUNDS, WALLS, ground, plain, wall

WALL_WIDTH, WALL_HEIGHT = 56.0, 12.0
GROUND_WIDTH = 40.0
SCALE = 36  # pixels of texture per metre


@dataclass
class Backdrop:
    """Two pictures, and where they hang in the world."""

    wall: np.ndarray  # [., ., 3]
    ground: np.ndarray
    wall_distance: float  # the wall is the plane y = wall_distance
    near: float  # the ground begins at y = near
    scale: float  # pixels per metre of both pictures

    def draw(self, camera: CameraPath, index: int) -> np.ndarray:
        """The empty scene at time `index`, uint8 [H, W, 3]."""
        size = camera.size
        left, top = -WALL_WIDTH / 2, WALL_HEIGHT
        # Texture columns run along x; wall rows downwards, ground rows towards the camera.
        to_wall = _texture_to_pixels(
            camera, index, np.array([left, self.wall_distance, top]), np.array([0, 0, -1.0]), self.scale
        )
        picture = cv2.warpPerspective(self.wall, to_wall, size, borderMode=cv2.BORDER_REPLICATE)
        left = -GROUND_WIDTH / 2
        to_ground = _texture_to_pixels(
            camera, index, np.array([left, self.wall_distance, 0.0]), np.array([0, -1.0, 0]), self.scale
        )
        first = self._first_ground_row(camera, index)
        if first < size[1]:
            shift = np.array([[1, 0, 0], [0, 1, -first], [0, 0, 1.0]])
            rows = np.ascontiguousarray(picture[first:])
            cv2.warpPerspective(
                self.ground, shift @ to_ground, (size[0], size[1] - first), dst=rows, borderMode=cv2.BORDER_TRANSPARENT
            )
            picture[first:] = rows
        return picture

    def _first_ground_row(self, camera: CameraPath, index: int) -> int:
        """The highest picture row on which the ground meets the wall."""
        across = np.linspace(-GROUND_WIDTH / 2, GROUND_WIDTH / 2, 81)
        line = np.stack([across, np.full(81, self.wall_distance), np.zeros(81)], axis=-1)
        pixels, depth = camera.at(np.array([index])).project(line[None])
        seen = (depth[0] > 0.5) & (pixels[0, :, 0] > -60) & (pixels[0, :, 0] < camera.size[0] + 60)
        if not seen.any():
            return camera.size[1]
        return int(np.clip(np.floor(pixels[0, seen, 1].min()) - 1, 0, camera.size[1]))


def paint_backdrop(difficulty: Difficulty, furthest: float, nearest: float, generator: np.random.Generator) -> Backdrop:
    """A backdrop behind y = `furthest`, whose ground begins at y = `nearest` (metres)."""
    distance = furthest + generator.uniform(2.0, 5.0)
    wall_size = (int(WALL_HEIGHT * SCALE), int(WALL_WIDTH * SCALE))
    ground_size = (int((distance - nearest) * SCALE), int(GROUND_WIDTH * SCALE))
    if not difficulty.textured:
        return Backdrop(plain(*wall_size, generator), plain(*ground_size, generator), distance, nearest, SCALE)
    wall_picture = wall(str(generator.choice(WALLS)), *wall_size, SCALE, generator)
    ground_picture = ground(str(generator.choice(GROUNDS)), *ground_size, SCALE, generator)
    return Backdrop(wall_picture, ground_picture, distance, nearest, SCALE)


def _texture_to_pixels(
    camera: CameraPath, index: int, origin: np.ndarray, down: np.ndarray, scale: float
) -> np.ndarray:
    """Homography from texture pixels (columns along x from `origin`, rows along `down`) to picture pixels."""
    rotation = camera.rotations[index]
    plane = np.stack(
        [rotation[:, 0] / scale, rotation @ down / scale, rotation @ (origin - camera.positions[index])], axis=-1
    )
    return camera.intrinsics @ plane
