"""Bring PoseTrack17's original annotations (`annolist`) into the layout of PoseTrack18.

What differs: 15 joints in another order, every value in a list of its own, frames named with eight digits from
00000001, the head given by two corners, no boxes of whole people and no ids of images. File names stay as they are, so
that no image has to be renamed.
"""

from __future__ import annotations

import os.path as osp
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..evaluation.functional.json_values import numbers
from ..evaluation.functional.posetrack17_layout import only, parse_annolist, points_of
from ..evaluation.functional.posetrack_ap import JOINT_NAMES
from .posetrack_files import frame_number
from .video_pose_dataset import box_around_keypoints

KEYPOINT_NAMES = (
    'nose', 'head_bottom', 'head_top', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle',
    'right_ankle',
)  # fmt: skip
PLACE_OF_JOINT_17 = tuple(KEYPOINT_NAMES.index(name) for name in JOINT_NAMES)  # of joint ids 0 to 14
ImageSize = Callable[[str], tuple[int, int] | None]


def official_image_id(video_number: int, frame: int) -> int:
    """Image id as in PoseTrack18: 1, six digits of the video, four of the frame.

    >>> official_image_id(3418, 7)
    10034180007
    """
    if not (0 <= video_number < 10**6 and 0 <= frame < 10**4):
        raise ValueError(f'no image id for video {video_number}, frame {frame}: they have six and four digits')
    return 10**10 + video_number * 10**4 + frame


def convert_video(content: Any, source: str, video_number: int, image_size: ImageSize | None = None) -> dict:
    """Convert the content of one annolist file.

    Args:
        content: what json.load gave.
        source: path of the file, for error messages.
        video_number: the number image ids are made of; it must be the video's own among those used together.
        image_size: function from image name to (height, width); sizes are left out without it.
    """
    if not isinstance(content, dict) or not isinstance(content.get('annolist'), list):
        raise ValueError(f'{source} is not in the layout of PoseTrack17: it has no list annolist')
    frames = content['annolist']
    parse_annolist(frames, source)  # refuses what is no annolist, for one that means the same to the evaluation
    images, annotations = [], []
    for position, entry in enumerate(frames):
        where = f'{source}: annolist[{position}]'
        image = convert_image(entry, where, video_number)
        image['nframes'] = len(frames)
        size = image_size(image['file_name']) if image_size else None
        if size:
            image['height'], image['width'] = size
        images.append(image)
        for index, person in enumerate(entry.get('annorect') or []):
            annotation = convert_person(person, f'{where}.annorect[{index}]')
            annotation['image_id'] = image['id']
            annotation['id'] = image['id'] * 10**4 + annotation['track_id']  # track ids lie below 10000
            annotations.append(annotation)
    category = {'id': 1, 'name': 'person', 'supercategory': 'person', 'keypoints': list(KEYPOINT_NAMES)}
    return {'images': images, 'annotations': annotations, 'categories': [category]}


def number_of_video(source: str) -> int:
    """Number a file name starts with: 24621 for 24621_mpii_relpath_5sec_testsub.json."""
    digits = re.match(r'\d+', osp.basename(source))
    if digits is None:
        raise ValueError(f'{source}: the file name must start with the number of the video, as the official ones do')
    return int(digits.group())


def numbers_of_videos(sources: Sequence[str]) -> list[int]:
    """A number of its own for each file: that of its name, or one from 900000 on where two names share it."""
    numbers, free = [], 900000
    for source in sources:
        number = number_of_video(source)
        if number in numbers:
            number, free = free, free + 1
        numbers.append(number)
    return numbers


def convert_image(entry: dict, where: str, video_number: int) -> dict:
    """Convert what an annolist entry says about its image."""
    image = only(entry.get('image'))
    name = only(image.get('name')) if isinstance(image, dict) else None
    if not isinstance(name, str):
        raise ValueError(f'{where} names no image (image[0].name)')
    frame = frame_number(name)
    if frame is None:
        raise ValueError(f'{where}: the image {name} has no number for a name')
    image_id = official_image_id(video_number, frame)
    flag = only(entry.get('is_labeled'))
    polygons = [region.get('point') or [] for region in entry.get('ignore_regions') or []]
    return {
        'id': image_id,
        'frame_id': image_id,
        'vid_id': f'{video_number:06d}',
        'file_name': name,
        'is_labeled': bool(entry.get('annorect') if flag is None else flag),
        'ignore_regions_x': [[scalar(corner, 'x', where) for corner in polygon] for polygon in polygons],
        'ignore_regions_y': [[scalar(corner, 'y', where) for corner in polygon] for polygon in polygons],
    }


def convert_person(person: dict, where: str) -> dict:
    """Convert one person; a joint that is not listed becomes 0, 0, 0."""
    track_id = int(scalar(person, 'track_id', where))
    points = points_of(person, where) or []
    keypoints = np.zeros((len(KEYPOINT_NAMES), 3))
    for point in points:
        place = PLACE_OF_JOINT_17[int(scalar(point, 'id', where))]
        keypoints[place] = scalar(point, 'x', where), scalar(point, 'y', where), 1
    present = keypoints[:, 2] > 0
    annotation = {
        'track_id': track_id,
        'category_id': 1,
        'iscrowd': False,
        'num_keypoints': int(present.sum()),
        'keypoints': keypoints.flatten().tolist(),
        'scores': [],
    }
    if None not in [only(person.get(key)) for key in ('x1', 'y1', 'x2', 'y2')]:
        left, top, right, bottom = (scalar(person, key, where) for key in ('x1', 'y1', 'x2', 'y2'))
        annotation['bbox_head'] = [left, top, right - left, bottom - top]
    elif not points:
        annotation['bbox_head'] = [0.0] * 4  # nobody's distances, but the evaluation asks everybody for a head box
    if present.any():
        annotation['bbox'] = box_around_keypoints(keypoints[present, :2])
    return annotation


def scalar(entry: dict, key: str, where: str) -> float:
    """Take a finite number out of the one-element list it is wrapped in."""
    return numbers([only(entry.get(key))], f'{where}: {key}', count=1).tolist()[0]
