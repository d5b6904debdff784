"""Pictures to look at: frames with their annotations, and a row of moments for each action."""

import json
from pathlib import Path

import cv2
import numpy as np

from .actions import ACTIONS
from .dataset_writer import WorldSettings, video_name
from .skeleton import POSETRACK_KEYPOINTS
from .video import generate_video

LIMBS = [
    (f'{side}_{first}', f'{side}_{second}')
    for side in ('left', 'right')
    for first, second in (('shoulder', 'elbow'), ('elbow', 'wrist'), ('hip', 'knee'), ('knee', 'ankle'))
] + [
    ('left_shoulder', 'right_shoulder'), ('left_hip', 'right_hip'), ('left_shoulder', 'left_hip'),
    ('right_shoulder', 'right_hip'), ('head_bottom', 'nose'), ('nose', 'head_top'),
]  # fmt: skip
LEFT_COLOUR, RIGHT_COLOUR, MIDDLE_COLOUR = (60, 220, 60), (40, 120, 255), (255, 220, 60)  # BGR


def draw_annotations(picture: np.ndarray, image: dict, annotations: list[dict]) -> np.ndarray:
    """A copy of `picture` with keypoints, limbs, boxes, track ids and ignore regions of one official image entry."""
    drawn = picture.copy()
    for xs, ys in zip(image['ignore_regions_x'], image['ignore_regions_y'], strict=True):
        cv2.polylines(drawn, [np.array([xs, ys], np.int32).T], True, (160, 160, 160), 1, cv2.LINE_AA)
    for annotation in annotations:
        points = dict(zip(POSETRACK_KEYPOINTS, np.reshape(annotation['keypoints'], (-1, 3)), strict=True))
        for key in ('bbox', 'bbox_head'):
            x, y, width, height = np.round(annotation[key]).astype(int)
            cv2.rectangle(drawn, (x, y), (x + width, y + height), (230, 230, 230), 1)
        x, y = np.round(annotation['bbox'][:2]).astype(int)
        cv2.putText(drawn, str(annotation['track_id']), (x + 2, y + 10), 0, 0.35, (255, 255, 255), 1, cv2.LINE_AA)
        for first, second in LIMBS:
            if points[first][2] and points[second][2]:
                ends = [_subpixel(points[name]) for name in (first, second)]
                cv2.line(drawn, *ends, _side_colour(second if 'hip' in first else first), 1, cv2.LINE_AA, 4)
        for name, point in points.items():
            if point[2]:
                cv2.circle(drawn, _subpixel(point), 28, _side_colour(name), -1, cv2.LINE_AA, 4)
    return drawn


def write_contact_sheet(path: Path, root: Path, settings: WorldSettings, rows: int = 2, columns: int = 3) -> None:
    """Labelled frames of the first videos of a written data set, one video a row, with their annotations drawn."""
    lines = []
    for index in range(min(rows, settings.videos)):
        name = video_name(settings, index)
        official = json.loads((root / 'annotations' / settings.split / f'{name}.json').read_text())
        labelled = [image for image in official['images'] if image['is_labeled']]
        chosen = [labelled[k] for k in np.linspace(0, len(labelled) - 1, columns).astype(int)]
        line = []
        for image in chosen:
            people = [entry for entry in official['annotations'] if entry['image_id'] == image['id']]
            line.append(draw_annotations(cv2.imread(str(root / image['file_name'])), image, people))
        lines.append(np.hstack(line))
    _write(path, np.vstack(lines))


def write_action_sheet(path: Path, seed: int, columns: int = 6, cell: tuple[int, int] = (128, 168)) -> None:
    """Two actions a row, moments a quarter of a second apart; cells are (width, height) pixels."""
    strips = []
    for number, action in enumerate(ACTIONS):
        video = generate_video(seed + number, 'easy', 7 * columns, 1, (480, 400), (action,))
        cells = []
        for frame in range(0, 7 * columns, 7):
            x1, y1, x2, y2 = video.people[0].boxes[frame]
            cells.append(_window(video.frames[frame], (x1 + x2) / 2, (y1 + y2) / 2, cell))
        strip = np.hstack(cells)
        cv2.putText(strip, action, (4, 14), 0, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
        strips.append(strip)
    rows = [np.hstack(strips[k : k + 2]) for k in range(0, len(strips) - 1, 2)]
    _write(path, np.vstack(rows))


def _window(picture: np.ndarray, x: float, y: float, cell: tuple[int, int], zoom: float = 0.62) -> np.ndarray:
    """The surroundings of a point, scaled by `zoom`, as a picture of `cell` = (width, height)."""
    matrix = np.array([[zoom, 0, cell[0] / 2 - zoom * x], [0, zoom, cell[1] / 2 - zoom * y]])
    return cv2.warpAffine(picture, matrix, cell, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)


def _subpixel(point: np.ndarray) -> tuple[int, int]:
    return int(round(16 * float(point[0]))), int(round(16 * float(point[1])))


def _side_colour(name: str) -> tuple[int, int, int]:
    if name.startswith('left'):
        return LEFT_COLOUR
    return RIGHT_COLOUR if name.startswith('right') else MIDDLE_COLOUR


def _write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parameters = [cv2.IMWRITE_JPEG_QUALITY, 75] if path.suffix.lower() in ('.jpg', '.jpeg') else []
    if not cv2.imwrite(str(path), picture, parameters):
        raise OSError(f'Could not write {path}')
