"""How heatmaps come out of noise: an image strip with a column for each denoising step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from .tile_layout import font, lay_out

JOINTS = ('head_top', 'left_wrist', 'right_ankle')  # an easy joint, and two that move fast


def denoising_strip(
    image: np.ndarray,
    estimates: np.ndarray,
    steps: Sequence[int],
    rows: Mapping[str, Sequence[int]],
    colors: np.ndarray,
    truth: np.ndarray | None = None,
    height: int = 192,
) -> np.ndarray:
    """Draw each step's estimate of the clean heatmaps over the person's crop; returns RGB [H, W, 3] uint8.

    The first column is the crop, the next ones are the steps from noise to clean. In a row with one joint a cross marks
    the maximum and its value is written. Brightness is relative to the row's highest value, so growing certainty shows.

    Args:
        image: the crop that the network saw, RGB uint8 [h, w, 3] of any size.
        estimates: [S * K, h', w'] of S steps, noisiest first (`heatmap_estimates`, see `DiffusionHeatmapHead`).
        steps: the S steps, noisiest first.
        rows: keypoint numbers of each row by title.
        colors: RGB in 0..255 of all keypoints [K, 3].
        truth: annotated keypoints [K, 2] in parts of the crop's width and height, NaN where there is none. They are
            dots in the first column.
        height: of a tile, in pixels.
    """
    colors = np.asarray(colors, dtype=np.float64)
    maps = as_steps(estimates, len(steps), len(colors))  # [S, K, h', w']
    width = max(round(height * image.shape[1] / image.shape[0]), 1)
    photo = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    strip = []
    for indices in rows.values():
        indices = list(indices)
        highest = max(float(maps[:, indices].max()), 1e-6)
        tiles = [mark_points(photo, None if truth is None else truth[indices] * (width, height), colors[indices])]
        for estimate in maps:
            tile = blend_heatmaps(photo, estimate[indices] / highest, colors[indices])
            tiles.append(mark_maximum(tile, estimate[indices[0]]) if len(indices) == 1 else tile)
        strip.append(tiles)
    titles = ['image', *(f'step {step}' for step in steps)]
    return lay_out(strip, titles, [title.replace('_', ' ') for title in rows], 'noise to clean')


def as_steps(estimates: np.ndarray, num_steps: int, num_keypoints: int) -> np.ndarray:
    """Unfold estimates [S * K, h, w] into [S, K, h, w]."""
    estimates = np.asarray(estimates, dtype=np.float64)
    if estimates.ndim != 3 or len(estimates) != num_steps * num_keypoints:
        raise ValueError(
            f'{num_steps} steps of {num_keypoints} keypoints need estimates [{num_steps * num_keypoints}, h, w], '
            f'got {list(estimates.shape)}: are these the steps that the head has made?'
        )
    return estimates.reshape(num_steps, num_keypoints, *estimates.shape[1:])


def enlarge_heatmap(heatmap: np.ndarray, width: int, height: int) -> np.ndarray:
    """Enlarge a heatmap [h, w] to the crop's size; cell i lies at pixel i * stride, as MMPose's codecs have it."""
    matrix = np.array([[width / heatmap.shape[1], 0, 0], [0, height / heatmap.shape[0], 0]], dtype=np.float64)
    return cv2.warpAffine(heatmap.astype(np.float32), matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def blend_heatmaps(image: np.ndarray, heatmaps: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Lay M heatmaps [M, h, w] in their colours [M, 3] over a darkened grey image [H, W, 3]; 1 covers it wholly."""
    height, width = image.shape[:2]
    canvas = np.repeat(image.mean(axis=-1, keepdims=True) * 0.45, 3, axis=-1)
    for heatmap, color in zip(heatmaps, colors, strict=True):
        weight = enlarge_heatmap(np.clip(heatmap, 0, 1), width, height)[..., None]
        canvas = canvas * (1 - weight) + np.asarray(color) * weight
    return np.clip(np.round(canvas), 0, 255).astype(np.uint8)


def mark_maximum(tile: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Mark where a heatmap [h, w] is highest with a cross, and write the value into the corner of a copy."""
    height, width = tile.shape[:2]
    row, column = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    x, y = column * width / heatmap.shape[1], row * height / heatmap.shape[0]
    picture = Image.fromarray(tile)
    draw = ImageDraw.Draw(picture)
    for reach, line_width, color in ((6, 3, (0, 0, 0)), (5, 1, (255, 255, 255))):
        draw.line([(x - reach, y), (x + reach, y)], fill=color, width=line_width)
        draw.line([(x, y - reach), (x, y + reach)], fill=color, width=line_width)
    text = f'{heatmap.max():.2f}'
    draw.text((width - 5, height - 4), text, font=font(12), anchor='rs', fill=(255, 255, 255))
    return np.array(picture)


def mark_points(image: np.ndarray, points: np.ndarray | None, colors: np.ndarray) -> np.ndarray:
    """Dot points [M, 2] in their colours on a copy of the image; those that are NaN are left out."""
    marked = image.copy()
    for point, color in zip(points if points is not None else (), colors, strict=False):
        if np.isfinite(point).all():
            place = tuple(np.round(np.asarray(point) * 16).astype(int).tolist())
            cv2.circle(marked, place, 5 * 16, (20, 20, 20), cv2.FILLED, cv2.LINE_AA, 4)
            cv2.circle(marked, place, 4 * 16, [float(value) for value in color], cv2.FILLED, cv2.LINE_AA, 4)
    return marked


def choose_rows(names: Sequence[str], joints: Sequence[str] = JOINTS) -> dict[str, list[int]]:
    """Rows of a strip: all keypoints together, then each of the joints alone that the data set has."""
    rows = {'all joints': list(range(len(names)))}
    rows.update({joint: [names.index(joint)] for joint in joints if joint in names})
    return rows
