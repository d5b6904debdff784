"""Read the official Matlab files of JHMDB as entries like those of MMPose's COCO-style json (counted from 1)."""

from __future__ import annotations

import os.path as osp
import zlib
from collections.abc import Sequence
from glob import glob

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from .posetrack_files import VideoAnnotations
from .video_pose_dataset import box_around_keypoints

NUM_KEYPOINTS = 15
FRAME_SIZE = (240, 320)  # (height, width) of all videos of JHMDB
SPLIT_MARKS = {'train': 1, 'test': 2}


def read_split(split_dir: str, split: int, subset: str) -> list[tuple[str, str]]:
    """Videos of one subset of an official split, as (action, video) pairs in order of names.

    The folder has a file <action>_test_split<number>.txt for each action, with lines such as `name.avi 1`, where 1
    means training, 2 testing and 0 neither.
    """
    if subset not in SPLIT_MARKS:
        raise ValueError(f"subset must be 'train' or 'test', got {subset!r}")
    files = sorted(
        {*glob(osp.join(split_dir, f'*_split{split}.txt')), *glob(osp.join(split_dir, f'*_split_{split}.txt'))}
    )
    if not files:
        raise FileNotFoundError(f'there are no files *_test_split{split}.txt in {split_dir}')
    videos = []
    for path in files:
        action = osp.basename(path).split('_test_split')[0]
        with open(path) as file:
            rows = [line.split() for line in file if line.strip()]
        for number, row in enumerate(rows, start=1):
            if len(row) != 2 or row[1] not in ('0', '1', '2'):
                raise ValueError(f'{path}: entry {number} must be a video and 0, 1 or 2, got {" ".join(row)!r}')
            if int(row[1]) == SPLIT_MARKS[subset]:
                videos.append((action, osp.splitext(row[0])[0]))
    return sorted(videos)


def load_matrix(path: str, name: str) -> np.ndarray:
    """Load one matrix of a Matlab file; if that fails, say which file."""
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no Matlab file {path}')
    try:
        content = loadmat(path, variable_names=[name])
    except (ValueError, TypeError, OSError, NotImplementedError, MatReadError, zlib.error) as error:
        raise ValueError(f'{path} cannot be read as a Matlab file: {error}') from error
    if name not in content:
        raise ValueError(f'{path} has no matrix {name}')
    return content[name]


def read_mat_videos(
    positions_dir: str, videos: Sequence[tuple[str, str]], mask_dir: str | None
) -> list[VideoAnnotations]:
    """Read joint positions (and puppet masks, for the boxes) of some videos.

    There are no official image ids; frame f (counted from 1) of the n-th video gets n * 1000 + f.
    """
    read = []
    for number, (action, name) in enumerate(videos, start=1):
        source = osp.join(positions_dir, action, name, 'joint_positions.mat')
        positions = load_matrix(source, 'pos_img')
        if positions.ndim != 3 or positions.shape[:2] != (2, NUM_KEYPOINTS):
            raise ValueError(f'{source}: pos_img must be 2 x {NUM_KEYPOINTS} x frames, got {positions.shape}')
        keypoints = positions.transpose(2, 1, 0)  # [frames, 15, 2]
        boxes = [box_around_keypoints(points) for points in keypoints]
        size = FRAME_SIZE
        if mask_dir is not None:
            mask_file = osp.join(mask_dir, action, name, 'puppet_mask.mat')
            masks = load_matrix(mask_file, 'part_mask')
            if masks.ndim != 3 or masks.shape[2] < len(keypoints):
                raise ValueError(
                    f'{mask_file}: part_mask {masks.shape} has no mask for each of {len(keypoints)} frames'
                )
            size = masks.shape[:2]
            boxes = [mask_box(masks[..., frame]) or box for frame, box in enumerate(boxes)]
        read.append(as_annotations(number, f'{action}/{name}', source, keypoints, boxes, size))
    return read


def mask_box(mask: np.ndarray) -> list[float] | None:
    """Box (left, top, width, height) around the marked pixels of a mask [H, W], counted from 1; None without any."""
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return None
    left, top = columns.min() + 1, rows.min() + 1
    return [float(left), float(top), float(columns.max() + 1 - left), float(rows.max() + 1 - top)]


def as_annotations(
    number: int, folder: str, source: str, keypoints: np.ndarray, boxes: Sequence[Sequence[float]], size: Sequence[int]
) -> VideoAnnotations:
    """Write keypoints [frames, 15, 2] and boxes of one video as image and annotation entries."""
    images, annotations = [], []
    for frame, (points, box) in enumerate(zip(keypoints, boxes, strict=True), start=1):
        image_id = number * 1000 + frame
        images.append(
            {
                'id': image_id,
                'file_name': f'{folder}/{frame:05d}.png',
                'height': int(size[0]),
                'width': int(size[1]),
                'nframes': len(keypoints),
            }
        )
        triplets = np.concatenate([points, np.ones((NUM_KEYPOINTS, 1))], axis=1)
        annotations.append(
            {
                'id': image_id,
                'image_id': image_id,
                'category_id': 1,
                'track_id': 0,
                'bbox': list(box),
                'keypoints': triplets.flatten().tolist(),
            }
        )
    return VideoAnnotations(osp.basename(folder), source, images, annotations, [{'id': 1, 'name': 'person'}])
