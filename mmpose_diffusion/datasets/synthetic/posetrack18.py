"""The annotations of a synthetic video in the official PoseTrack18 format.

`bbox` is the tight box of the drawn person inside the picture, hidden parts included; `bbox_head` the tight box of the
skull, whatever the hair style, not cut at the border, since its size is the unit of evaluation. A keypoint that is
outside the picture or hidden by another person or a thing is not annotated: (0, 0, 0), as in the real data. One that is
hidden by the own body is annotated. Whatever else is known stands under the key `synthetic` of each annotation.
"""

from typing import Any

import numpy as np

from .skeleton import POSETRACK_KEYPOINTS
from .video import SyntheticPerson, SyntheticVideo

POSETRACK_SKELETON = [
    [16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7], [6, 8], [7, 9], [8, 10], [9, 11],
    [2, 3], [1, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7],
]  # fmt: skip


def labelled_frames(count: int, unlabeled_share: float) -> np.ndarray:
    """Which of `count` frames are annotated, bool [count].

    As in PoseTrack18: all frames around the middle, and every fourth one before and after.
    """
    labelled = np.ones(count, dtype=bool)
    wanted = int(round(unlabeled_share * count))
    outermost = sorted(range(count), key=lambda index: min(index, count - 1 - index))
    candidates = [index for index in outermost if index % 4 != 0]
    labelled[candidates[:wanted]] = False
    return labelled


def posetrack_annotations(video: SyntheticVideo, name: str, split: str, unlabeled_share: float) -> dict[str, Any]:
    """The official dictionary of one video; `name` begins with its six-digit number."""
    number = name.split('_')[0]
    labelled = labelled_frames(len(video.frames), unlabeled_share)
    images, annotations = [], []
    for frame in range(len(video.frames)):
        image_id = 10**10 + int(number) * 10**4 + frame
        images.append(_image(video, name, split, frame, bool(labelled[frame]), image_id))
        if labelled[frame]:
            seen = [person for person in video.people if person.annotated[frame].any()]
            exposure = video.difficulty.shutter
            annotations += [_annotation(person, frame, image_id, exposure) for person in seen]
    category = {
        'supercategory': 'person', 'id': 1, 'name': 'person', 'keypoints': list(POSETRACK_KEYPOINTS),
        'skeleton': POSETRACK_SKELETON,
    }  # fmt: skip
    return {'categories': [category], 'images': images, 'annotations': annotations}


def _image(video: SyntheticVideo, name: str, split: str, frame: int, labelled: bool, image_id: int) -> dict[str, Any]:
    width, height = video.camera.size
    polygons = video.ignore_regions[frame]
    return {
        'has_no_densepose': True,
        'is_labeled': labelled,
        'file_name': f'images/{split}/{name}/{frame:06d}.jpg',
        'nframes': len(video.frames),
        'frame_id': image_id,
        'vid_id': name.split('_')[0],
        'ignore_regions_x': [polygon[:, 0].tolist() for polygon in polygons],
        'ignore_regions_y': [polygon[:, 1].tolist() for polygon in polygons],
        'id': image_id,
        'width': width,
        'height': height,
        'mask_file': f'mask/{split}/{name}/{frame:06d}.jpg',  # named as in the real data, not written
    }


def _annotation(person: SyntheticPerson, frame: int, image_id: int, exposure: float) -> dict[str, Any]:
    annotated = person.annotated[frame]
    exact = np.round(person.keypoints[frame], 3)
    keypoints: list[float] = []
    for (x, y), known in zip(exact.tolist(), annotated, strict=True):
        keypoints += [x, y, 1] if known else [0, 0, 0]
    return {
        'bbox_head': _xywh(person.head_boxes[frame]),
        'keypoints': keypoints,
        'track_id': person.track_id,
        'image_id': image_id,
        'bbox': _xywh(person.boxes[frame]),
        'scores': [],
        'category_id': 1,
        'id': image_id * 100 + person.track_id,
        'iscrowd': False,
        'num_keypoints': int(annotated.sum()),
        'synthetic': {
            'action': person.action,
            'keypoints_exact': exact.tolist(),
            'occlusion': person.occlusion[frame].tolist(),
            'motion': np.round(person.motion[frame], 2).tolist(),
            'exposure': exposure,
        },
    }


def _xywh(box: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = (round(float(value), 3) for value in box)
    return [x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)]
