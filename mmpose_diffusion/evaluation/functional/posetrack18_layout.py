"""The layout of PoseTrack18 files: images, annotations and categories as in COCO."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .json_values import get_list, head_sizes_of_corners, no_head_sizes, no_scores, numbers, region_polygon, shorten
from .posetrack_ap import JOINT_NAMES, People, VideoPeople

MAX_TRACK_ID = 9999
MAX_FRAME_NUMBER = 9999
VIDEO_FOLDER = re.compile(r'\d+_(mpii|bonn)')


def parse_posetrack18(content: Mapping[str, Any], name: str, is_prediction: bool = False) -> VideoPeople:
    """Turn the content of a 2018 file into arrays; see `parse_posetrack_video`."""
    joint_columns, num_names = _joint_columns(get_list(content, 'categories', name), name)
    images = images_of_first_video(get_list(content, 'images', name), name)
    annotations = get_list(content, 'annotations', name)
    frames, entries = _sort_by_frame(annotations, images, name)
    listed = [annotations[entry] for entry in entries]
    labels = [f'{name}: annotations[{entry}] (id {annotations[entry].get("id")})' for entry in entries]

    _check_track_ids(listed, frames, labels, is_prediction)
    triplets = _keypoint_triplets(listed, labels, num_names, is_prediction)[:, joint_columns]  # [P, 15, 3]
    people = People(
        frame=frames,
        keypoints=triplets[..., :2],
        is_present=(triplets != 0).any(axis=-1),
        scores=_joint_scores(listed, labels, joint_columns, num_names) if is_prediction else no_scores(len(listed)),
        head_size=no_head_sizes(len(listed)) if is_prediction else _head_sizes(listed, labels),
        entry=entries,
    )
    has_people = np.zeros(len(images), dtype=bool)
    has_people[frames] = True
    polygons = {} if is_prediction else _ignore_polygons(images, name)
    return VideoPeople(name, has_people, people, polygons)


def images_of_first_video(images: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """Check the image entries of a file; keep those of the same video as the first one, as the official reader does."""
    videos, seen_ids, seen_files, kept = [], {}, {}, []
    for index, image in enumerate(images):
        label = f'{name}: images[{index}]'
        if not isinstance(image, Mapping) or not isinstance(image.get('id'), int | float | str):
            raise ValueError(f'{label} has no id')
        videos.append(_video_token(image.get('file_name'), label))
        if videos[index] != videos[0]:
            continue
        for value, seen, key in ((image['id'], seen_ids, 'id'), (image['file_name'], seen_files, 'file_name')):
            if value in seen:
                raise ValueError(f'{label} lists the frame of images[{seen[value]}] again: both have the {key} {value}')
            seen[value] = index
        kept.append(image)
    return kept


def _joint_columns(categories: Sequence[Any], name: str) -> tuple[list[int], int]:
    """Where in a person's keypoints each of the 15 joints stands, and how many keypoints a person has."""
    if len(categories) != 1 or not isinstance(categories[0], Mapping) or categories[0].get('name') != 'person':
        raise ValueError(f'{name}: expected exactly one category, named person, got {shorten(categories)}')
    names = get_list(categories[0], 'keypoints', f'{name}: categories[0]')
    missing = [joint for joint in JOINT_NAMES if joint not in names]
    if len(names) not in (15, 17) or missing:
        raise ValueError(
            f'{name}: expected 15 or 17 keypoint names with all PoseTrack joints among them, got {len(names)}'
            f'{" without " + ", ".join(missing) if missing else ""}'
        )
    return [names.index(joint) for joint in JOINT_NAMES], len(names)


def _video_token(file_name: Any, label: str) -> str:
    """The part of the parent folder's name that tells videos apart; refuses what the official reader refuses."""
    parts = file_name.split('/') if isinstance(file_name, str) else []
    if len(parts) < 2 or not VIDEO_FOLDER.match(parts[-2]):
        raise ValueError(
            f'{label}: file_name {file_name!r} needs a parent folder like 000001_mpii_test (digits, then mpii or bonn)'
        )
    number = parts[-1].split('.')[0]
    if not (number.isascii() and number.isdigit()) or int(number) > MAX_FRAME_NUMBER:
        raise ValueError(
            f'{label}: file_name {file_name!r} must begin with a frame number from 0 to {MAX_FRAME_NUMBER}'
        )
    return parts[-2].split('_')[0]


def _sort_by_frame(
    annotations: Sequence[Any], images: Sequence[Mapping[str, Any]], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Frame [P] and position [P] in the file of the annotations that belong to an image, in the order of the frames."""
    frame_of_id = {image['id']: frame for frame, image in enumerate(images)}
    for index, annotation in enumerate(annotations):
        if not isinstance(annotation, Mapping) or not isinstance(annotation.get('image_id'), int | float | str):
            raise ValueError(f'{name}: annotations[{index}] has no image_id')
    frames = np.array([frame_of_id.get(annotation['image_id'], -1) for annotation in annotations], dtype=np.int64)
    entries = np.argsort(frames, kind='stable')
    entries = entries[frames[entries] >= 0]
    return frames[entries], entries


def _check_track_ids(
    listed: Sequence[Mapping[str, Any]], frames: np.ndarray, labels: Sequence[str], is_prediction: bool
) -> None:
    """The official reader asks for track ids although they have no influence on AP."""
    seen: dict[tuple[int, float], str] = {}
    for annotation, frame, label in zip(listed, frames.tolist(), labels, strict=True):
        track_id = annotation.get('track_id')
        if not isinstance(track_id, int | float) or isinstance(track_id, bool) or not track_id <= MAX_TRACK_ID:
            raise ValueError(f'{label}: track_id must be a number up to {MAX_TRACK_ID}, got {track_id!r}')
        if is_prediction:
            if (frame, track_id) in seen:
                raise ValueError(f'{label}: track_id {track_id} was given to {seen[frame, track_id]} in the same frame')
            seen[frame, track_id] = label


def _keypoint_triplets(
    listed: Sequence[Mapping[str, Any]], labels: Sequence[str], num_names: int, is_prediction: bool
) -> np.ndarray:
    """Triplets (x, y, v) of all people, [P, num_names, 3]."""
    rows = []
    for annotation, label in zip(listed, labels, strict=True):
        keypoints = annotation.get('keypoints')
        if not keypoints and not is_prediction:  # somebody annotated by boxes only: a person without joints
            keypoints = [0.0] * (3 * num_names)
        if not isinstance(keypoints, list) or len(keypoints) != 3 * num_names:
            received = f'{len(keypoints)} numbers' if isinstance(keypoints, list) else shorten(keypoints)
            raise ValueError(
                f'{label}: keypoints must hold {3 * num_names} numbers (x, y, v for each of the {num_names} names '
                f'of the category), got {received}'
            )
        rows.append(keypoints)
    return _float_rows(rows, labels, 'keypoints').reshape(len(rows), num_names, 3)


def _joint_scores(
    listed: Sequence[Mapping[str, Any]], labels: Sequence[str], joint_columns: Sequence[int], num_names: int
) -> np.ndarray:
    """Scores [P, 15]; people without scores get `MISSING_SCORE`."""
    scores = no_scores(len(listed))
    with_scores, rows = [], []
    for index, (annotation, label) in enumerate(zip(listed, labels, strict=True)):
        values = annotation.get('scores')
        if values is None or values == []:
            continue
        if not isinstance(values, list) or len(values) < num_names:
            raise ValueError(
                f'{label}: scores must be a list with a score for each of the {num_names} keypoint names, '
                f'got {shorten(values)}'
            )
        with_scores.append(index)
        rows.append([values[column] for column in joint_columns])
    if rows:
        scores[with_scores] = _float_rows(rows, [labels[index] for index in with_scores], 'scores')
    return scores


def _float_rows(rows: Sequence[list], labels: Sequence[str], key: str) -> np.ndarray:
    """Lists of equal length as one finite float64 array [P, length]; the culprit is searched for only on failure."""
    try:
        array = np.array(rows)
        if array.dtype.kind in 'iuf' and np.isfinite(array).all():
            return array.astype(np.float64)
    except ValueError:  # of different shapes
        pass
    return np.stack([numbers(row, f'{label}: {key}') for row, label in zip(rows, labels, strict=True)])


def _head_sizes(listed: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> np.ndarray:
    """Head sizes [P]; NaN where there is no head box."""
    sizes = no_head_sizes(len(listed))
    for index, (annotation, label) in enumerate(zip(listed, labels, strict=True)):
        box = annotation.get('bbox_head')
        if box is None or box == []:
            continue
        x, y, width, height = numbers(box, f'{label}: bbox_head', count=4)
        sizes[index] = head_sizes_of_corners(np.array([x, y, x + width, y + height]))
    return sizes


def _ignore_polygons(images: Sequence[Mapping[str, Any]], name: str) -> dict[int, tuple[np.ndarray, ...]]:
    polygons = {}
    for frame, image in enumerate(images):
        if not image.get('ignore_regions_x') or not image.get('ignore_regions_y'):
            continue
        label = f'{name}: image {image["id"]}'
        regions = zip(
            get_list(image, 'ignore_regions_x', label), get_list(image, 'ignore_regions_y', label), strict=False
        )
        polygons[frame] = tuple(
            region_polygon(xs, ys, f'{label}: ignore region {index}') for index, (xs, ys) in enumerate(regions)
        )
    return polygons
