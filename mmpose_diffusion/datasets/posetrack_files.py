"""Read PoseTrack annotations: official folders with one json per video, or one merged COCO-style json.

PoseTrack18 and PoseTrack21 share this layout; PoseTrack17 has it after `tools/dataset_tools/convert_posetrack17.py`.
Nothing here opens an image.
"""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from mmengine import fileio

from ..evaluation.functional.json_values import numbers
from ..evaluation.functional.posetrack_files import parse_json
from ..evaluation.functional.posetrack_results import split_by_video
from .video_pose_dataset import box_around_keypoints

# Ears have a place in the format but are never annotated; files with 15 names leave them out.
OPTIONAL_KEYPOINTS = ('left_ear', 'right_ear')


@dataclass
class VideoAnnotations:
    """What one annotation file (or its part of a merged file) says about one video."""

    name: str  # stem of the annotation file: the name results are written under
    source: str  # the file it comes from, for error messages
    images: list[dict]  # entries as in the file, checked, in order of time, each once
    annotations: list[dict]  # entries as in the file, only those that belong to one of the images
    categories: list[dict]
    num_repeated_images: int = 0
    num_stray_annotations: int = 0  # they belong to no image


def load_json(path: str) -> Any:
    """Load a json file; if it is cut or not json, say which file and where."""
    return parse_json(fileio.get(path), path)


def is_folder(path: str) -> bool:
    """Whether annotations lie in a folder with one file per video, rather than in one merged file."""
    return fileio.isdir(path)


def read_annotations(path: str) -> list[VideoAnnotations]:
    """Read a folder with one json per video, in order of file names, or a merged json."""
    if not fileio.exists(path):
        raise FileNotFoundError(f'there are no annotations at {path}: no folder and no json file. See docs/data.md')
    if not is_folder(path):
        return read_merged(load_json(path), path)
    names = sorted(fileio.list_dir_or_file(path, list_dir=False, suffix='.json'))
    if not names:
        raise ValueError(f'the annotation folder {path} contains no json file')
    videos = []
    for name in names:
        source = fileio.join_path(path, name)
        content = checked_content(load_json(source), source)
        videos.append(as_video(osp.splitext(osp.basename(name))[0], source, content))
    refuse_shared_image_ids(videos)
    return videos


def checked_content(content: Any, source: str) -> dict:
    """Check that a file is in the PoseTrack18 layout."""
    if isinstance(content, dict) and 'annolist' in content:
        raise ValueError(
            f'{source} is in the layout of PoseTrack17 (annolist): convert the folder with '
            'tools/dataset_tools/convert_posetrack17.py first'
        )
    wrong = [
        key
        for key in ('images', 'annotations', 'categories')
        if not isinstance(content, dict)
        or not isinstance(content.get(key), list)
        or not all(isinstance(entry, dict) for entry in content[key])
    ]
    if wrong:
        raise ValueError(f'{source} is not a PoseTrack annotation file: it has no list of entries {", ".join(wrong)}')
    for position, image in enumerate(content['images']):
        if not isinstance(image.get('id'), int | float | str) or not isinstance(image.get('file_name'), str):
            raise ValueError(f'{source}: images[{position}] needs an id and a file_name, it has {sorted(image)}')
    for position, annotation in enumerate(content['annotations']):
        if not isinstance(annotation.get('image_id'), int | float | str):
            raise ValueError(f'{source}: annotations[{position}] has no image_id, it has {sorted(annotation)}')
    return content


def read_merged(content: Any, source: str) -> list[VideoAnnotations]:
    """Sort the entries of a merged file into videos, in order of the names their files would have."""
    content = checked_content(content, source)
    parts = split_by_video(content, source)
    videos = [as_video(name, source, parts[name]) for name in sorted(parts, key='{}.json'.format)]
    if videos:
        videos[0].num_stray_annotations += len(content['annotations']) - sum(
            len(part['annotations']) for part in parts.values()
        )
    refuse_shared_image_ids(videos)
    return videos


def as_video(name: str, source: str, content: dict) -> VideoAnnotations:
    """Bring the frames of one video into order and keep each once, with the annotations that belong to them."""
    images, num_repeated = unique_images(content['images'], source)
    known_ids = {image['id'] for image in images}
    annotations = [annotation for annotation in content['annotations'] if annotation['image_id'] in known_ids]
    return VideoAnnotations(
        name=name,
        source=source,
        images=sorted(images, key=frame_order),
        annotations=annotations,
        categories=content['categories'],
        num_repeated_images=num_repeated,
        num_stray_annotations=len(content['annotations']) - len(annotations),
    )


def unique_images(images: Iterable[dict], source: str) -> tuple[list[dict], int]:
    """Drop exact repeats of a frame; refuse two frames with one id or one frame with two ids."""
    file_by_id: dict[Any, str] = {}
    id_by_file: dict[str, Any] = {}
    unique, num_repeated = [], 0
    for image in images:
        image_id, file_name = image['id'], image['file_name']
        if image_id in file_by_id and file_by_id[image_id] == file_name:
            num_repeated += 1
            continue
        if image_id in file_by_id:
            raise ValueError(f'{source}: image id {image_id} stands for {file_by_id[image_id]} and for {file_name}')
        if file_name in id_by_file:
            raise ValueError(f'{source}: the frame {file_name} is listed as {id_by_file[file_name]} and as {image_id}')
        file_by_id[image_id] = file_name
        id_by_file[file_name] = image_id
        unique.append(image)
    return unique, num_repeated


def refuse_shared_image_ids(videos: Sequence[VideoAnnotations]) -> None:
    """Two files with one image id would exchange their people."""
    owner: dict[Any, VideoAnnotations] = {}
    for video in videos:
        for image in video.images:
            other = owner.setdefault(image['id'], video)
            if other is not video:
                raise ValueError(f'image id {image["id"]} occurs in {other.source} and in {video.source}')


def frame_number(file_name: str) -> int | None:
    """Number of a frame file such as 000017.jpg, or None if its name is not a number."""
    stem = osp.splitext(osp.basename(file_name))[0]
    return int(stem) if stem.isascii() and stem.isdigit() else None


def frame_order(image: dict) -> tuple[int, str]:
    """Sort key of frames: by number, names that are not numbers by name."""
    number = frame_number(image['file_name'])
    return (-1 if number is None else number, image['file_name'])


def frame_files(images: Sequence[dict], fill_gaps: bool = True) -> list[str]:
    """File names of all frames of a video, in order of time.

    Some merged files list only the labelled frames, while the frames between them lie on the disk. With `fill_gaps`
    the numbers missing between the first and the last listed frame are filled in, as long as the entries' `nframes`
    says that the video has room for them.
    """
    names = [image['file_name'] for image in images]
    numbers = [frame_number(name) for name in names]
    span = None if None in numbers or not numbers else numbers[-1] - numbers[0] + 1
    num_frames = max((int(image.get('nframes') or 0) for image in images), default=0)
    if not fill_gaps or span is None or span == len(names) or span > num_frames:
        return names
    folder, (stem, extension) = osp.dirname(names[0]), osp.splitext(osp.basename(names[0]))
    listed = dict(zip(numbers, names, strict=True))
    return [
        listed.get(number, osp.join(folder, f'{number:0{len(stem)}d}{extension}'))
        for number in range(numbers[0], numbers[-1] + 1)
    ]


def size_of_image(image: dict, source: str) -> tuple[int, int] | None:
    """Height and width as an image entry states them, or None."""
    if not (image.get('height') and image.get('width')):
        return None
    height, width = numbers([image['height'], image['width']], f'{source}: image {image["id"]}: height and width')
    return int(height), int(width)


def keypoint_triplets(annotation: dict, entry: str, num_keypoints: int | None = None) -> np.ndarray:
    """Keypoints (x, y, v) of a person, [num_keypoints, 3]; [0, 3] of a person without."""
    flat = annotation.get('keypoints') or []
    values = numbers(flat, f'{entry}: keypoints', count=3 * num_keypoints if flat and num_keypoints else None)
    if len(values) % 3:
        raise ValueError(f'{entry}: keypoints: expected x, y, v for each, got {len(values)} numbers')
    return values.reshape(-1, 3)


def box_of_person(annotation: dict, triplets: np.ndarray, entry: str) -> list[float] | None:
    """Box (left, top, width, height) of a person; if it is missing or null, that around the present keypoints."""
    if annotation.get('bbox') is not None:
        return numbers(annotation['bbox'], f'{entry}: bbox (left, top, width, height)', count=4).tolist()
    present = triplets[triplets[:, 2] > 0, :2]
    return box_around_keypoints(present) if len(present) else None


class KeypointPlaces(NamedTuple):
    """Where keypoints stand in the annotations of a file."""

    places: list[int]  # for each of our keypoints its position in the file's own list, or -1 for a missing ear
    num_listed: int  # length of the file's list


def keypoint_places(categories: Sequence[dict], names: Sequence[str], source: str) -> KeypointPlaces:
    """Find keypoints by name in a file's category `person`, whatever their order there."""
    people = [category for category in categories if category.get('name') == 'person']
    if len(people) != 1 or not isinstance(people[0].get('keypoints'), list):
        found = [category.get('name') for category in categories]
        raise ValueError(f'{source} must have exactly one category person with a list of keypoints, it has {found}')
    available = people[0]['keypoints']
    missing = [name for name in names if name not in available and name not in OPTIONAL_KEYPOINTS]
    if missing:
        raise ValueError(f'{source}: the category person lacks the keypoints {missing}, it has {available}')
    places = [available.index(name) if name in available else -1 for name in names]
    return KeypointPlaces(places, len(available))


def ignore_regions(image: dict) -> list[list[list[float]]]:
    """Polygons of a frame inside which nobody is annotated: a list of corners [x, y] for each."""
    columns = zip(image.get('ignore_regions_x') or [], image.get('ignore_regions_y') or [], strict=False)
    return [[[x, y] for x, y in zip(xs, ys, strict=False)] for xs, ys in columns]
