"""Things that stand in the scene: stools for those who sit down, and occluders in front of the people."""

from dataclasses import dataclass

import numpy as np

OCCLUDERS = ('pole', 'crate', 'hedge', 'fence')


@dataclass
class Prop:
    """Fixed quadrilaterals in the world with their albedo (BGR)."""

    corners: np.ndarray  # [F, 4, 3] metres
    colours: np.ndarray  # [F, 3]


def box(centre: np.ndarray, size: np.ndarray, yaw: float, colour: np.ndarray, cell: float = 0.22) -> Prop:
    """A box standing on z = centre[2]; its sides are cut into cells so that sorting by depth works."""
    faces = []
    half = np.asarray(size, dtype=float) / 2
    for axis in range(3):
        first, second = [other for other in range(3) if other != axis]
        counts = [max(int(np.ceil(2 * half[other] / cell)), 1) for other in (first, second)]
        edges = [
            np.linspace(-half[other], half[other], count + 1)
            for other, count in zip((first, second), counts, strict=True)
        ]
        for sign in (-1, 1):
            grid = np.zeros((counts[0], counts[1], 4, 3))
            for corner, (i, j) in enumerate(((0, 0), (1, 0), (1, 1), (0, 1))):
                grid[:, :, corner, first] = edges[0][i : i + counts[0], None]
                grid[:, :, corner, second] = edges[1][None, j : j + counts[1]]
            grid[..., axis] = sign * half[axis]
            cells = grid.reshape(-1, 4, 3)
            # Corners turn the same way seen from outside on all six sides.
            faces.append(cells if (sign > 0) == (axis != 1) else cells[:, ::-1])
    corners = np.concatenate(faces) + [0, 0, half[2]]
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turned = corners @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    return Prop(turned + centre, np.tile(np.asarray(colour, dtype=float), (len(corners), 1)))


def stool(seat: np.ndarray, height: float, yaw: float, colour: np.ndarray) -> Prop:
    """A seat of `height` metres below the point `seat` [2], with a leg in the middle."""
    top = box(np.array([seat[0], seat[1], height - 0.05]), np.array([0.38, 0.38, 0.05]), yaw, colour)
    leg = box(np.array([seat[0], seat[1], 0.0]), np.array([0.09, 0.09, height - 0.05]), yaw, colour * 0.7)
    return merge([top, leg])


def occluder(kind: str, place: np.ndarray, generator: np.random.Generator) -> Prop:
    """Something of random size and colour at `place` [2] on the ground that hides what is behind it."""
    centre = np.array([place[0], place[1], 0.0])
    colour = generator.uniform(40, 210, 3)
    yaw = generator.uniform(-0.4, 0.4)
    if kind == 'pole':
        width = generator.uniform(0.08, 0.18)
        return box(centre, np.array([width, width, 3.4]), yaw, colour, cell=0.4)
    if kind == 'crate':
        return box(centre, generator.uniform((0.5, 0.3, 0.4), (1.1, 0.6, 1.0)), yaw, colour)
    if kind == 'fence':
        high = generator.uniform(0.7, 1.1)
        rails = [box(centre + [0, 0, z * high], np.array([2.2, 0.04, 0.09]), yaw, colour, 0.3) for z in (0.35, 0.85)]
        along = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        places = (-1, -0.5, 0, 0.5, 1)
        posts = [box(centre + along * x, np.array([0.08, 0.06, high]), yaw, colour * 0.9, 0.3) for x in places]
        return merge(rails + posts)
    return _hedge(centre, generator)


def merge(props: list[Prop]) -> Prop:
    """Several things as one."""
    return Prop(np.concatenate([prop.corners for prop in props]), np.concatenate([prop.colours for prop in props]))


def _hedge(centre: np.ndarray, generator: np.random.Generator) -> Prop:
    """A cloud of leaves, each a small square facing the camera side."""
    count = 800
    size = np.array([generator.uniform(0.7, 1.5), 0.35, generator.uniform(0.5, 0.95)])
    middle = centre + generator.uniform(-0.5, 0.5, (count, 3)) * size + [0, 0, size[2] / 2]
    first = generator.normal(size=(count, 3)) * 0.05
    second = generator.normal(size=(count, 3)) * 0.05
    corners = middle[:, None] + np.stack([-first - second, first - second, first + second, second - first], axis=1)
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    away = normal[:, 1] > 0
    corners[away] = corners[away, ::-1]
    green = np.array([40.0, 110.0, 60.0]) * generator.uniform(0.7, 1.3, (count, 1))
    return Prop(corners, green)
