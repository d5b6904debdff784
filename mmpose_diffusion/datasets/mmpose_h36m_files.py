"""Sequences of poses from MMPose's npz files of Human3.6M (`h36m_train.npz`, `h36m_test.npz`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..evaluation.functional.camera_projection import normalise_points
from .cameras import Camera, read_camera_file
from .human36m_layout import CAMERA_SIZES
from .numpy_files import read_npy, read_npz
from .pose_sequence_dataset import PoseSequence

IMAGE_NAME = re.compile(r'(?:.*/)?((S\d+)_(.+)\.(\w+))_(\d+)\.\w+')  # S1_Directions_1.54138969_000001.jpg
OTHER_NAMES = {'TakingPhoto': 'Photo', 'WalkingDog': 'WalkDog'}  # of the same action, in Human3.6M's own files


def read_mmpose_h36m(
    path: str,
    keypoints_2d_path: str | None,
    camera_path: str | None,
    select: Callable[[Sequence[str], str], Sequence[str]],
) -> list[PoseSequence]:
    """Read all sequences, told apart by the names of their images; frames in order of their numbers.

    Args:
        path: npz with `imgname` [n], `S` [n, 17, 4] (metres, camera axes) and `part` [n, 17, 3] (pixels).
        keypoints_2d_path: npy [n, 17, 2 or 3] of detections in pixels; None: `part`.
        camera_path: see `read_camera_file`; None: unknown cameras, whose picture sizes are known by their names.
        select: subjects to be taken, as `PoseSequenceDataset._selected`.
    """
    content = read_npz(path, ('imgname', 'S') if keypoints_2d_path else ('imgname', 'S', 'part'))
    names, positions = content['imgname'], content['S'][..., :3].astype(np.float32)
    points = read_npy(keypoints_2d_path) if keypoints_2d_path else content['part']
    if not len(names) == len(positions) == len(points):
        raise ValueError(
            f'{path}: {len(names)} images, {len(positions)} 3D poses and {len(points)} 2D poses'
            + (f' ({keypoints_2d_path})' if keypoints_2d_path else '')
        )
    cameras = _cameras_by_name(camera_path) if camera_path else None
    rows: dict[str, list[tuple[int, int]]] = {}
    parts: dict[str, tuple[str, str, str]] = {}
    for row, name in enumerate(names.tolist()):
        match = IMAGE_NAME.fullmatch(name)
        if match is None:
            raise ValueError(f'{path}: image {name} is not called like S1_Directions_1.54138969_000001.jpg')
        sequence, subject, action, camera, frame = match.groups()
        rows.setdefault(sequence, []).append((int(frame), row))
        parts[sequence] = subject, action, camera
    subjects = sorted({subject for subject, _, _ in parts.values()}, key=lambda subject: int(subject[1:]))
    chosen = set(select(subjects, path))
    sequences = []
    for sequence, (subject, action, camera_name) in parts.items():
        if subject not in chosen:
            continue
        camera, size = _camera_of(cameras, subject, camera_name, camera_path or path)
        frames, order = np.array(sorted(rows[sequence])).T
        text = action.split('_')[0]
        sequences.append(
            PoseSequence(
                name=sequence,
                subject=subject,
                action=OTHER_NAMES.get(text, text),
                camera_index=list(CAMERA_SIZES).index(camera_name) if camera_name in CAMERA_SIZES else 0,
                camera=None if camera is None else camera.intrinsic,
                image_size=size,
                keypoints_2d=normalise_points(points[order, :, :2], size).astype(np.float32),
                positions_3d=positions[order],
                valid=np.ones(len(order), dtype=bool),
                frame_ids=frames,
            )
        )
    return sequences


def _cameras_by_name(path: str) -> dict[str, dict[str, Camera]]:
    return {subject: {camera.name: camera for camera in cameras} for subject, cameras in read_camera_file(path).items()}


def _camera_of(
    cameras: Mapping[str, Mapping[str, Camera]] | None, subject: str, name: str, path: str
) -> tuple[Any, tuple[int, int]]:
    """The camera, if cameras are known, and the size of its pictures."""
    if cameras is None:
        if name not in CAMERA_SIZES:
            raise ValueError(f'{path}: the size of the pictures of camera {name} is not known: give camera_file')
        return None, CAMERA_SIZES[name]
    camera = cameras.get(subject, {}).get(name)
    if camera is None:
        raise ValueError(f'{path} has no camera {name} of subject {subject}')
    return camera, camera.image_size
