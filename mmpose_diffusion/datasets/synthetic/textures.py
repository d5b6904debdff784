"""Pictures for the ground and the backdrop, painted from random numbers."""

import cv2
import numpy as np

WALLS = ('bricks', 'foliage', 'houses', 'panels', 'posters')
GROUNDS = ('grass', 'tiles', 'asphalt', 'boards', 'court')


def clouds(height: int, width: int, cells: int, generator: np.random.Generator, octaves: int = 4) -> np.ndarray:
    """Smooth random field [height, width] float32 of about unit size; the coarsest blobs are `cells` pixels wide."""
    field = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cell = max(cells >> octave, 1)
        grid = generator.standard_normal((height // cell + 2, width // cell + 2), dtype=np.float32)
        field += cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR) * 0.6**octave
    return field


def random_colour(generator: np.random.Generator, low: float = 60, high: float = 200) -> np.ndarray:
    """A muted BGR colour, [3]."""
    grey = generator.uniform(low, high)
    return np.clip(grey + generator.uniform(-32, 32, 3), 15, 240)


def plain(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """Almost one colour, with a faint gradient; uint8 [height, width, 3]."""
    colour = random_colour(generator, 110, 205)
    slope = np.linspace(1.05, 0.95, height, dtype=np.float32)[:, None, None]
    return _to_picture(np.ones((height, width, 1), np.float32) * slope * colour)


def wall(kind: str, height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    """A backdrop, uint8 [height, width, 3], row 0 on top; `scale` is pixels per metre."""
    painters = {'bricks': _bricks, 'foliage': _foliage, 'houses': _houses, 'panels': _panels, 'posters': _posters}
    return painters[kind](height, width, scale, generator)


def ground(kind: str, height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    """A floor, uint8 [height, width, 3]; row 0 is the far end, which is blurred as distance would."""
    painters = {'grass': _grass, 'tiles': _tiles, 'asphalt': _asphalt, 'boards': _boards, 'court': _court}
    sharp = painters[kind](height, width, scale, generator)
    soft = cv2.blur(sharp, (5, 15))
    weight = np.linspace(1.0, 0.0, height, dtype=np.float32)[:, None, None] ** 0.7
    return _to_picture(sharp * (1 - weight) + soft * weight)


def _to_picture(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


def _tint(field: np.ndarray, colour: np.ndarray, contrast: float) -> np.ndarray:
    return (1 + contrast * field)[..., None] * colour.astype(np.float32)


def _grid_cells(height: int, width: int, cell: tuple[int, int], shift_rows: bool) -> tuple[np.ndarray, np.ndarray]:
    """For every pixel the number of its cell and whether it lies on a joint between cells (width 2)."""
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    row = rows // cell[0]
    moved = columns + (row % 2) * (cell[1] // 2 if shift_rows else 0)
    number = row * (width // cell[1] + 2) + moved // cell[1]
    return number, (rows % cell[0] < 2) | (moved % cell[1] < 2)


def _cells(
    height: int, width: int, cell: tuple[int, int], colour: np.ndarray, spread: float,
    generator: np.random.Generator, shift_rows: bool = False,
) -> np.ndarray:  # fmt: skip
    number, joint = _grid_cells(height, width, cell, shift_rows)
    shades = 1 + spread * generator.standard_normal(int(number.max()) + 1, dtype=np.float32)
    picture = _tint(shades[number] - 1, colour, 1.0)
    picture[joint] = colour * 0.72
    return picture


def _bricks(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    cell = (max(int(0.22 * scale), 5), max(int(0.55 * scale), 10))
    picture = _cells(height, width, cell, random_colour(generator, 90, 170), 0.11, generator, shift_rows=True)
    return _to_picture(picture * (1 + 0.06 * clouds(height, width, 64, generator))[..., None])


def _foliage(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    sky = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] * np.array([20.0, 30.0, 40.0]) + [215, 190, 160]
    green = np.array([45.0, 95.0, 60.0]) * generator.uniform(0.7, 1.3)
    leaves = _tint(clouds(height, width, int(0.45 * scale), generator, 4), green, 0.24)
    edge = height - scale * (4.5 + 1.2 * clouds(1, width, int(3 * scale), generator)[0])
    is_tree = np.arange(height)[:, None] > edge
    return _to_picture(np.where(is_tree[..., None], leaves, sky))


def _houses(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    picture = np.full((height, width, 3), (225, 205, 180), np.uint8)
    left = 0
    while left < width:
        wide = int(scale * generator.uniform(4, 9))
        top = height - int(scale * generator.uniform(5, 12))
        colour = random_colour(generator, 90, 210)
        cv2.rectangle(picture, (left, top), (left + wide, height), colour.tolist(), -1)
        glass = random_colour(generator, 40, 120).tolist()
        for x in range(left + int(0.6 * scale), left + wide - int(scale), int(1.7 * scale)):
            for y in range(top + int(0.6 * scale), height - int(0.8 * scale), int(2.1 * scale)):
                cv2.rectangle(picture, (x, y), (x + int(0.9 * scale), y + int(1.2 * scale)), glass, -1)
                cv2.rectangle(picture, (x, y), (x + int(0.9 * scale), y + int(1.2 * scale)), (colour * 0.6).tolist(), 2)
        left += wide
    return _to_picture(picture * (1 + 0.05 * clouds(height, width, 48, generator))[..., None])


def _panels(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    cell = (max(int(2.6 * scale), 8), max(int(1.1 * scale), 8))
    picture = _cells(height, width, cell, random_colour(generator, 110, 215), 0.09, generator)
    return _to_picture(picture + 5 * clouds(height, width, 32, generator)[..., None])


def _posters(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    """A wall covered with coloured rectangles and ellipses, some of the colour of skin and clothes."""
    picture = np.full((height, width, 3), random_colour(generator), np.uint8)
    for _ in range(160):
        x, y = (int(value) for value in generator.uniform(0, 1, 2) * (width, height))
        wide, high = (int(value) for value in generator.uniform(0.3, 1.6, 2) * scale)
        colour = random_colour(generator, 40, 220).tolist()
        if generator.uniform() < 0.6:
            cv2.rectangle(picture, (x, y), (x + wide, y + high), colour, -1)
        else:
            cv2.ellipse(picture, (x, y), (wide // 2, high), generator.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
    return _to_picture(picture + 6 * clouds(height, width, 32, generator)[..., None])


def _grass(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    green = np.array([50.0, 125.0, 85.0]) * generator.uniform(0.7, 1.25)
    return _to_picture(_tint(clouds(height, width, int(0.3 * scale), generator, 4), green, 0.12))


def _tiles(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    size = int(scale * generator.uniform(0.4, 1.0))
    return _to_picture(_cells(height, width, (size, size), random_colour(generator, 100, 190), 0.09, generator))


def _asphalt(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    grey = np.full(3, generator.uniform(80, 150)) + generator.uniform(-6, 6, 3)
    return _to_picture(_tint(clouds(height, width, int(2 * scale), generator, 6), grey, 0.08))


def _boards(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    brown = np.array([75.0, 115.0, 160.0]) * generator.uniform(0.7, 1.25)
    picture = _cells(height, width, (int(2.4 * scale), int(0.3 * scale)), brown, 0.1, generator, shift_rows=True)
    return _to_picture(picture + 4 * clouds(height, width, 16, generator)[..., None])


def _court(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    field = clouds(height, width, int(3 * scale), generator)
    picture = _to_picture(_tint(field, random_colour(generator, 80, 150), 0.04))
    line = (235, 235, 235)
    for x in np.arange(0.3, 1.0, 0.2) * width:
        cv2.line(picture, (int(x), 0), (int(x), height), line, 3, cv2.LINE_AA)
    for y in np.arange(0.15, 1.0, 0.25) * height:
        cv2.line(picture, (0, int(y)), (width, int(y)), line, 3, cv2.LINE_AA)
    cv2.circle(picture, (width // 2, int(0.6 * height)), int(2.2 * scale), line, 3, cv2.LINE_AA)
    return picture
