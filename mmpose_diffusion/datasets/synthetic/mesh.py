"""Surfaces made of rings: lofts, and a mesh that follows one or two bones at every vertex."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .rotations import rotate

PARTS = (
    'torso', 'neck', 'head', 'left_upper_arm', 'left_forearm', 'left_hand', 'right_upper_arm', 'right_forearm',
    'right_hand', 'left_thigh', 'left_shin', 'left_foot', 'right_thigh', 'right_shin', 'right_foot', 'face',
)  # fmt: skip
PART = {name: index for index, name in enumerate(PARTS)}


@dataclass
class Surface:
    """A piece of mesh in the rest pose.

    Faces are quadrilaterals, corners counterclockwise seen from outside; a triangle repeats a corner.
    `height` runs from 0 at the first ring to 1 at the last, `angle` is 0 in front and 90 degrees on the left.
    """

    name: str
    vertices: np.ndarray  # [V, 3] metres, rest pose
    bones: np.ndarray  # [V, 2] the two bones of each vertex
    weights: np.ndarray  # [V] weight of the second bone
    faces: np.ndarray  # [F, 4]
    parts: np.ndarray  # [F] index into PARTS
    height: np.ndarray  # [F]
    angle: np.ndarray  # [F] radians
    nearness: float = 0.0  # metres by which the faces are drawn nearer than they are: details on a surface


@dataclass
class SkinnedMesh:
    """All surfaces of one person, coloured."""

    local: np.ndarray  # [V, 2, 3] every vertex in the frames of its two bones
    bones: np.ndarray  # [V, 2]
    weights: np.ndarray  # [V]
    faces: np.ndarray  # [F, 4]
    parts: np.ndarray  # [F]
    colours: np.ndarray  # [F, 3] BGR albedo, 0..255
    nearness: np.ndarray  # [F]
    skull: np.ndarray  # [S] vertices of the skull: neither hair nor the brim of a cap nor ears and nose

    def pose(self, rotations: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Bone rotations [T, 16, 3, 3] and origins [T, 16, 3] -> vertices in the world [T, V, 3]."""
        posed = [
            rotate(rotations[:, self.bones[:, k]], self.local[:, k]) + origins[:, self.bones[:, k]] for k in (0, 1)
        ]
        return posed[0] + (posed[1] - posed[0]) * self.weights[:, None]


def loft(
    name: str,
    rings: Sequence[Sequence[float]],
    sides: int,
    bones: tuple[int, int],
    part: str | Sequence[str],
    centre: np.ndarray | None = None,
    along: int = 2,
    steps: int = 2,
) -> Surface:
    """A closed surface through elliptic rings.

    Each ring is (position along the axis, shift of its centre, half width across the first and the second direction,
    weight of the second bone). `along` is the axis: 2 for upright parts (first direction forward, second sideways) or
    0 for feet (first direction up). `part` may be two names: the second is for the faces that follow the second bone.
    """
    rings = _refine(np.asarray(rings, dtype=float), steps)
    angles = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    first = rings[:, 1:2] + rings[:, 2:3] * np.cos(angles)  # [R, sides]
    second = rings[:, 3:4] * np.sin(angles)
    position = np.broadcast_to(rings[:, :1], first.shape)
    vertices = np.stack((first, second, position) if along == 2 else (position, second, first), axis=-1)
    if centre is not None:
        vertices = vertices + centre
    count = len(rings)
    ring, side = np.meshgrid(np.arange(count - 1), np.arange(sides), indexing='ij')
    after = (side + 1) % sides
    low, high = ring * sides, (ring + 1) * sides
    faces = np.stack([low + side, low + after, high + after, high + side])
    caps = [_fan(0, sides)[:, ::-1], _fan((count - 1) * sides, sides)]
    height = np.concatenate([((ring + 0.5) / (count - 1)).ravel(), np.zeros(len(caps[0])), np.ones(len(caps[1]))])
    angle = np.concatenate([(angles[side] + np.pi / sides).ravel()] + [np.zeros(len(cap)) for cap in caps])
    faces = np.concatenate([faces.reshape(4, -1).T, *caps])
    if (rings[-1, 0] > rings[0, 0]) != (along == 2):
        faces = faces[:, ::-1]
    weights = np.repeat(rings[:, 4], sides)
    names = (part, part) if isinstance(part, str) else part
    parts = np.where(weights[faces].mean(axis=1) > 0.5, PART[names[1]], PART[names[0]])
    return Surface(
        name, vertices.reshape(-1, 3), np.tile(bones, (count * sides, 1)), weights, faces, parts, height, angle
    )


def patch(name: str, corners: np.ndarray, bone: int, part: str, nearness: float = 0.0) -> Surface:
    """Separate quadrilaterals [Q, 4, 3] fixed to one bone."""
    count = len(corners)
    return Surface(
        name, corners.reshape(-1, 3), np.full((4 * count, 2), bone), np.zeros(4 * count),
        np.arange(4 * count).reshape(count, 4), np.full(count, PART[part]), np.zeros(count), np.zeros(count), nearness,
    )  # fmt: skip


def join(surfaces: Sequence[Surface], colours: Sequence[np.ndarray], bone_origins: np.ndarray) -> SkinnedMesh:
    """One mesh of all surfaces; `colours` [F, 3] of each, `bone_origins` [16, 3] of the rest pose."""
    starts = np.cumsum([0] + [len(surface.vertices) for surface in surfaces])[:-1]
    vertices = np.concatenate([surface.vertices for surface in surfaces])
    names = np.repeat([surface.name for surface in surfaces], [len(surface.vertices) for surface in surfaces])
    bones = np.concatenate([surface.bones for surface in surfaces])
    return SkinnedMesh(
        local=vertices[:, None] - bone_origins[bones],
        bones=bones,
        weights=np.concatenate([surface.weights for surface in surfaces]),
        faces=np.concatenate([surface.faces + start for surface, start in zip(surfaces, starts, strict=True)]),
        parts=np.concatenate([surface.parts for surface in surfaces]),
        colours=np.concatenate(colours),
        nearness=np.concatenate([np.full(len(surface.faces), surface.nearness) for surface in surfaces]),
        skull=np.flatnonzero(names == 'head'),
    )


def _refine(rings: np.ndarray, steps: int) -> np.ndarray:
    """Put `steps - 1` further rings between each two by Catmull-Rom curves; widths stay positive."""
    padded = np.concatenate([2 * rings[:1] - rings[1:2], rings, 2 * rings[-1:] - rings[-2:-1]])
    shares = (np.arange(steps) / steps)[:, None, None]
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    curve = 0.5 * (
        2 * start
        + (end - before) * shares
        + (2 * before - 5 * start + 4 * end - after) * shares**2
        + (3 * start - before - 3 * end + after) * shares**3
    )  # [steps, R - 1, 5]
    fine = np.concatenate([curve.transpose(1, 0, 2).reshape(-1, rings.shape[1]), rings[-1:]])
    fine[:, 2:4] = np.maximum(fine[:, 2:4], 1e-3)
    fine[:, 4] = np.clip(fine[:, 4], 0, 1)
    return fine


def _fan(start: int, sides: int) -> np.ndarray:
    """Close the ring that begins at vertex `start` with quadrilaterals."""
    across = np.arange(1, sides - 2, 2)
    last = np.minimum(across + 2, sides - 1)
    return np.stack([np.full_like(across, start), start + across, start + across + 1, start + last], axis=1)
