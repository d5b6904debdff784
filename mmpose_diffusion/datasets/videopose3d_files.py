"""Sequences of poses from the npz files of VideoPose3D."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..evaluation.functional.camera_projection import normalise_points
from .cameras import Camera, cameras_from_entries, read_camera_file
from .human36m_layout import H36M_KEPT
from .numpy_files import read_npz
from .pose_sequence_dataset import PoseSequence, split_people


def read_videopose3d(
    path: str,
    keypoints_2d_path: str,
    camera_path: str | None,
    select: Callable[[Mapping[str, Any], str], Sequence[str]],
) -> list[PoseSequence]:
    """Read all sequences: subjects x actions x cameras (x people).

    Args:
        path: npz with `positions_3d`: subject -> action -> [N, 32, 3] (of Human3.6M; 17 are kept) or [N, 17, 3], in
            metres, in the world; with a person axis [N, P, ...] for several people.
        keypoints_2d_path: npz with `positions_2d`: subject -> action -> a list of [N', 17, 2] pixels, one per camera.
            N' >= N; frames beyond N have no 3D pose and are cut.
        camera_path: see `read_camera_file`; None: `path` has `cameras` itself, as a synthetic world has.
        select: subjects to be taken of those of a file, as `PoseSequenceDataset._selected`.
    """
    content = read_npz(path, ('positions_3d',), () if camera_path else ('cameras',))
    positions_3d, positions_2d = content['positions_3d'], read_npz(keypoints_2d_path, ('positions_2d',))['positions_2d']
    for file, key, value in ((path, 'positions_3d', positions_3d), (keypoints_2d_path, 'positions_2d', positions_2d)):
        if not isinstance(value, Mapping):
            raise ValueError(f'{file}: expected a dictionary of subjects under {key}, got {type(value).__name__}')
    if camera_path:
        cameras = read_camera_file(camera_path)
    elif 'cameras' in content:
        cameras, camera_path = cameras_from_entries(content['cameras'], path), path
    else:
        raise ValueError(
            f'{path} holds poses in the world and no cameras: give camera_file, which '
            'tools/dataset_tools/make_human36m_cameras.py makes'
        )
    sequences = []
    for subject in select(positions_3d, path):
        if subject not in cameras:
            raise ValueError(f'{camera_path} has no cameras of subject {subject}; it has {", ".join(cameras)}')
        for action, world in positions_3d[subject].items():
            views = positions_2d.get(subject, {}).get(action)
            if views is None:
                raise ValueError(f'{keypoints_2d_path} has no 2D poses of {subject} {action}, {path} has 3D poses')
            if len(views) > len(cameras[subject]):
                raise ValueError(
                    f'{keypoints_2d_path} shows {subject} {action} from {len(views)} cameras, {camera_path} has '
                    f'{len(cameras[subject])} of this subject'
                )
            world = np.asarray(world, dtype=np.float64)
            if world.shape[-2] == 32:
                world = world[..., H36M_KEPT, :]
            for index, view in enumerate(views):
                label = f'{subject} {action}, camera {index}'
                sequences.extend(_people(label, subject, action, index, cameras[subject][index], world, view))
    return sequences


def _people(
    name: str, subject: str, action: str, camera_index: int, camera: Camera, world: np.ndarray, view: Any
) -> list[PoseSequence]:
    """The sequences of all people that one camera saw."""
    total, view = len(world), np.asarray(view)
    if len(view) < total or view.shape[1:-1] != world.shape[1:-1]:
        raise ValueError(f'{name}: 2D poses {view.shape} do not fit 3D poses {world.shape}')
    seen = split_people(camera.world_to_camera(world).astype(np.float32))
    drawn = split_people(normalise_points(view[:total], camera.image_size).astype(np.float32))
    return [
        PoseSequence(
            name=name,
            subject=subject,
            action=action.split(' ')[0],
            camera_index=camera_index,
            camera=camera.intrinsic,
            image_size=camera.image_size,
            keypoints_2d=keypoints_2d,
            positions_3d=positions_3d,
            valid=np.ones(total, dtype=bool),
            frame_ids=np.arange(total),
            person=person,
        )
        for person, (keypoints_2d, positions_3d) in enumerate(zip(drawn, seen, strict=True))
    ]
