"""Pinhole cameras that stand, pan, travel or are held by hand.

World: x right, y away from the camera's first position, z up, ground z = 0, metres. Camera frame: x right, y down,
z forward. Pixel (0, 0) is the middle of the upper left pixel.
"""

from dataclasses import dataclass

import numpy as np

from .rotations import unit

CAMERA_MOVES = ('static', 'pan', 'dolly', 'handheld')


@dataclass
class CameraPath:
    """A camera at T times."""

    rotations: np.ndarray  # [T, 3, 3] world -> camera
    positions: np.ndarray  # [T, 3] metres
    focal: float  # pixels
    size: tuple[int, int]  # width, height in pixels
    move: str = 'static'

    def at(self, index: np.ndarray) -> 'CameraPath':
        """The camera at some of its times."""
        return CameraPath(self.rotations[index], self.positions[index], self.focal, self.size, self.move)

    @property
    def intrinsics(self) -> np.ndarray:
        """Camera matrix [3, 3]."""
        width, height = self.size
        return np.array([[self.focal, 0, (width - 1) / 2], [0, self.focal, (height - 1) / 2], [0, 0, 1.0]])

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points [T, ..., 3] -> camera frame, each at its own time."""
        lead = (slice(None),) + (None,) * (points.ndim - 2)
        return np.einsum('tij,t...j->t...i', self.rotations, points - self.positions[lead])

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points [T, ..., 3] -> pixels [T, ..., 2] and depths [T, ...] in metres."""
        seen = self.to_camera(points)
        depth = seen[..., 2]
        safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)[..., None]
        return seen[..., :2] / safe * self.focal + self.intrinsics[:2, 2], depth


def look_at(positions: np.ndarray, targets: np.ndarray, roll: np.ndarray | float = 0.0) -> np.ndarray:
    """Rotations [T, 3, 3] (world -> camera) of cameras at `positions` [T, 3] that look at `targets` [T, 3]."""
    forward = unit(targets - positions)
    right = unit(np.cross(forward, [0.0, 0.0, 1.0]))
    down = np.cross(forward, right)
    cosine, sine = np.cos(roll)[..., None], np.sin(roll)[..., None]
    return np.stack([right * cosine + down * sine, down * cosine - right * sine, forward], axis=-2)


def drift(times: np.ndarray, generator: np.random.Generator, slowest: float, axes: int) -> np.ndarray:
    """Smooth random motion [T, axes] of about unit size, made of a few waves; `slowest` in hertz."""
    frequencies = slowest * np.array([1.0, 1.7, 2.9, 4.6])[:, None] * generator.uniform(0.8, 1.2, (4, axes))
    phases = generator.uniform(0, 2 * np.pi, (4, axes))
    sizes = np.array([1.0, 0.6, 0.35, 0.2])[:, None]
    return (sizes * np.sin(2 * np.pi * frequencies * times[:, None, None] + phases)).sum(axis=1)


def film(
    move: str, times: np.ndarray, centre: np.ndarray, distance: float, size: tuple[int, int],
    generator: np.random.Generator, shake: float = 1.0,
) -> CameraPath:  # fmt: skip
    """A camera about `distance` metres in front of `centre` [T, 3], moving as `move` says.

    `shake` scales the tremor of a handheld camera.
    """
    if move not in CAMERA_MOVES:
        raise ValueError(f'Unknown camera move {move!r}; known: {", ".join(CAMERA_MOVES)}')
    azimuth = generator.uniform(-0.3, 0.3)
    height = generator.uniform(1.0, 2.3)
    middle = centre.mean(axis=0)
    position = middle + np.array([distance * np.sin(azimuth), -distance * np.cos(azimuth), 0.0])
    position[2] = height
    positions = np.tile(position, (len(times), 1))
    targets = np.tile(middle, (len(times), 1))
    side = generator.choice([-1.0, 1.0])
    speed = generator.uniform(0.35, 0.8)
    tremor = [drift(times, generator, slowest, axes) for slowest, axes in ((0.45, 3), (0.6, 3), (0.5, 1))]
    roll = np.zeros(len(times))
    # A long shot swings to and fro instead of leaving the scene.
    travel = side * speed * np.sin(times * 0.9) / 0.9
    if move == 'pan':
        targets = 0.4 * targets + 0.6 * centre
        targets[:, 0] += travel
    elif move == 'dolly':
        targets = 0.3 * targets + 0.7 * centre
        positions[:, 0] += 1.3 * travel
        positions[:, 1] += 0.5 * generator.choice([-1.0, 1.0]) * travel
    elif move == 'handheld':
        targets = 0.3 * targets + 0.7 * centre + 0.045 * shake * tremor[1]
        positions = positions + 0.05 * shake * tremor[0]
        roll = 0.012 * shake * tremor[2][:, 0]
    focal = size[0] * generator.uniform(1.05, 1.2)
    return CameraPath(look_at(positions, targets, roll), positions, float(focal), size, move)
