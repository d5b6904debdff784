"""The older 2017 layout of PoseTrack files: a list of frames under `annolist`, taken as it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .json_values import get_list, head_sizes_of_corners, no_head_sizes, no_scores, numbers, region_polygon
from .posetrack_ap import NUM_JOINTS, People, VideoPeople


def parse_annolist(annolist: Sequence[Mapping[str, Any]], name: str, is_prediction: bool = False) -> VideoPeople:
    """Turn the frames of a 2017 file into arrays.

    A joint is present if it is listed, even at (0, 0); the numbers of the joints are those of `JOINT_NAMES`. People
    without points are no people, but they keep their frame alive.
    """
    if not isinstance(annolist, list):
        raise ValueError(f'{name}: expected a list of frames under annolist, got {type(annolist).__name__}')
    has_people = np.zeros(len(annolist), dtype=bool)
    frames, entries, persons, labels = [], [], [], []
    polygons: dict[int, tuple[np.ndarray, ...]] = {}
    seen_names: dict[str, int] = {}
    for frame, entry in enumerate(annolist):
        label = f'{name}: annolist[{frame}]'
        if not isinstance(entry, Mapping):
            raise ValueError(f'{label} is no object')
        _check_listed_once(entry, frame, seen_names, label)
        rectangles = get_list(entry, 'annorect', label) if entry.get('annorect') else []
        has_people[frame] = len(rectangles) > 0
        for index, person in enumerate(rectangles):
            if points_of(person, f'{label}.annorect[{index}]') is not None:
                frames.append(frame)
                entries.append(index)
                persons.append(person)
                labels.append(f'{label}.annorect[{index}]')
        if entry.get('ignore_regions') and not is_prediction:
            polygons[frame] = _regions(get_list(entry, 'ignore_regions', label), label)

    keypoints, is_present, scores = _joints(persons, labels)
    people = People(
        frame=np.array(frames, dtype=np.int64),
        keypoints=keypoints,
        is_present=is_present,
        scores=scores,
        head_size=no_head_sizes(len(persons)) if is_prediction else _head_sizes(persons, labels),
        entry=np.array(entries, dtype=np.int64),
    )
    return VideoPeople(name, has_people, people, polygons)


def _check_listed_once(entry: Mapping[str, Any], frame: int, seen_names: dict[str, int], label: str) -> None:
    image = only(entry.get('image'))
    image_name = only(image.get('name')) if isinstance(image, Mapping) else image
    if not isinstance(image_name, str):
        return
    if image_name in seen_names:
        raise ValueError(f'{label} lists the frame of annolist[{seen_names[image_name]}] again: {image_name}')
    seen_names[image_name] = frame


def points_of(person: Any, label: str) -> list | None:
    """The listed points of a person, None for one without `annopoints` or without `point`."""
    if not isinstance(person, Mapping):
        raise ValueError(f'{label} is no object')
    annopoints = only(person.get('annopoints'))
    if not isinstance(annopoints, Mapping) or annopoints.get('point') is None:
        return None
    return get_list(annopoints, 'point', label)


def _joints(persons: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keypoints [P, 15, 2], presence [P, 15] and scores [P, 15]."""
    keypoints = np.zeros((len(persons), NUM_JOINTS, 2))
    is_present = np.zeros((len(persons), NUM_JOINTS), dtype=bool)
    scores = no_scores(len(persons))
    for row, (person, label) in enumerate(zip(persons, labels, strict=True)):
        for index, point in enumerate(points_of(person, label) or []):
            point_label = f'{label}: point {index}'
            if not isinstance(point, Mapping):
                raise ValueError(f'{point_label} is no object')
            joint = only(point.get('id'))
            if isinstance(joint, bool) or joint not in range(NUM_JOINTS):
                raise ValueError(f'{point_label}: id must be a joint number from 0 to {NUM_JOINTS - 1}, got {joint!r}')
            joint = int(joint)
            if is_present[row, joint]:
                raise ValueError(f'{point_label}: joint {joint} is listed twice')
            is_present[row, joint] = True
            keypoints[row, joint] = numbers([only(point.get('x')), only(point.get('y'))], point_label)
            score = only(point.get('score'))
            if score is not None:
                scores[row, joint] = numbers([score], f'{point_label}: score')[0]
    return keypoints, is_present, scores


def _head_sizes(persons: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> np.ndarray:
    """Head sizes [P]; NaN where a corner of the head box is missing."""
    sizes = no_head_sizes(len(persons))
    for row, (person, label) in enumerate(zip(persons, labels, strict=True)):
        corners = [only(person.get(key)) for key in ('x1', 'y1', 'x2', 'y2')]
        if None not in corners:
            sizes[row] = head_sizes_of_corners(numbers(corners, f'{label}: head box'))
    return sizes


def _regions(regions: Sequence[Any], label: str) -> tuple[np.ndarray, ...]:
    polygons = []
    for index, region in enumerate(regions):
        region_label = f'{label}: ignore region {index}'
        if not isinstance(region, Mapping):
            raise ValueError(f'{region_label} is no object')
        corners = get_list(region, 'point', region_label)
        if not all(isinstance(corner, Mapping) for corner in corners):
            raise ValueError(f'{region_label}: a corner is no object')
        polygons.append(
            region_polygon(
                [only(corner.get('x')) for corner in corners],
                [only(corner.get('y')) for corner in corners],
                region_label,
            )
        )
    return tuple(polygons)


def only(value: Any) -> Any:
    """The one element of a one-element list, None of an empty list, the value itself where there is no list."""
    if isinstance(value, list):
        return value[0] if value else None
    return value
