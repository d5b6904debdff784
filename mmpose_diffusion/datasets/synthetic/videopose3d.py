"""Motions in the npz files of VideoPose3D: 3D poses, four fixed cameras, 2D projections and noisy detections.

3D poses have the 32 joints of Human3.6M (the usual readers drop 15 of them), metres, world coordinates; 2D poses the
17 joints that remain, pixels.
"""

import io
from collections.abc import Callable
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from ..human36m_layout import H36M_KEPT, H36M_LEFT, H36M_RIGHT
from .actions import ACTIONS, perform
from .camera import look_at
from .dataset_writer import WorldSettings, claim_folder, write_aside
from .detector_noise import noisy_detections
from .kinematics import PosedSkeleton
from .rotations import rotate
from .skeleton import BONE, Body, random_body
from .style import random_style
from .video import video_generator

FRAMES_PER_SECOND = 50
CAMERA_SIZES = ((1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002))
SUBJECTS = {'train': (1, 5, 6, 7, 8), 'val': (9, 11), 'test': (9, 11)}  # as Human3.6M is divided
TAKES = (*ACTIONS, 'Walking 1')  # what each subject performs
_FIRST_FREE_SUBJECT = {'train': 12, 'val': 13, 'test': 13}


def subject_names(split: str, number: int) -> list[str]:
    """Names of the people of a split: those of Human3.6M first, then even (train) or odd numbers."""
    known = SUBJECTS[split]
    return [f'S{k}' for k in (*known, *islice(count(_FIRST_FREE_SUBJECT[split], 2), number))][:number]


def h36m_joints(pose: PosedSkeleton, body: Body) -> np.ndarray:
    """The 32 joints of Human3.6M of a moving body, [T, 32, 3] metres."""
    at = {name: pose.origins[:, index] for name, index in BONE.items()}
    joints = np.zeros((len(pose.origins), 32, 3))
    joints[:, [0, 11]] = at['pelvis'][:, None]
    for first, side in ((1, 'right'), (6, 'left')):
        foot, turn = at[f'{side}_foot'], pose.rotations[:, BONE[f'{side}_foot']]
        ball, toe = body.ball_offset, body.ball_offset + [0.2 * body.foot, 0, 0]
        chain = (at[f'{side}_thigh'], at[f'{side}_shin'], foot, foot + rotate(turn, ball), foot + rotate(turn, toe))
        joints[:, first : first + 5] = np.stack(chain, axis=1)
    joints[:, 12] = at['chest']
    joints[:, [13, 16, 24]] = at['neck'][:, None]
    joints[:, 14] = at['head']
    joints[:, 15] = pose.keypoints[:, 2]  # top of the head
    for first, side in ((17, 'left'), (25, 'right')):
        wrist, turn = at[f'{side}_hand'], pose.rotations[:, BONE[f'{side}_hand']]
        thumb = wrist + rotate(turn, np.array([0.05, 0.0, -0.06]) * body.height / 1.75)
        tip = wrist + rotate(turn, np.array([0.0, 0.0, -0.17]) * body.height / 1.75)
        chain = (at[f'{side}_upper_arm'], at[f'{side}_forearm'], wrist, wrist, thumb, tip, tip)
        joints[:, first : first + 7] = np.stack(chain, axis=1)
    return joints


def make_cameras(generator: np.random.Generator) -> list[dict[str, Any]]:
    """Four cameras around the origin, as dictionaries with the keys of VideoPose3D.

    `orientation` is the unit quaternion (w, x, y, z) that turns camera into world axes, `translation` the camera's
    place in metres; `center` and `focal_length` are pixels; `intrinsic` holds the nine normalised numbers.
    """
    cameras = []
    for index, (width, height) in enumerate(CAMERA_SIZES):
        azimuth = np.pi / 4 + index * np.pi / 2 + generator.uniform(-0.25, 0.25)
        distance = generator.uniform(4.8, 5.8)
        position = np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), generator.uniform(1.4, 1.8)])
        target = np.array([*generator.uniform(-0.2, 0.2, 2), 0.95])
        rotation = look_at(position[None], target[None], np.zeros(1))[0]
        focal = generator.uniform(1135, 1155, 2)
        centre = np.array([width, height]) / 2 + generator.uniform(-12, 12, 2)
        radial = np.array([-0.2, 0.24, -0.002]) * generator.uniform(0.9, 1.1, 3)
        tangential = generator.uniform(-0.0015, 0.0015, 2)
        cameras.append({
            'id': f'synthetic_{index}', 'res_w': width, 'res_h': height, 'azimuth': float(np.degrees(azimuth)),
            'orientation': quaternion(rotation.T), 'translation': position,
            'center': centre, 'focal_length': focal, 'radial_distortion': radial, 'tangential_distortion': tangential,
            'intrinsic': np.concatenate(
                [focal / width * 2, centre / width * 2 - [1, height / width], radial, tangential]
            ),
        })  # fmt: skip
    return cameras


def project_to_pixels(points: np.ndarray, camera: dict[str, Any]) -> np.ndarray:
    """World points [..., 3] -> pixels [..., 2], with the lens distortion of Human3.6M."""
    rotation = quaternion_matrix(camera['orientation'])
    seen = (points - camera['translation']) @ rotation  # the inverse rotation, applied to rows
    plane = np.clip(seen[..., :2] / seen[..., 2:], -1, 1)
    radius = np.sum(plane**2, axis=-1, keepdims=True)
    k1, k2, k3 = camera['radial_distortion']
    tangential = camera['tangential_distortion']
    gain = 1 + k1 * radius + k2 * radius**2 + k3 * radius**3 + plane @ tangential[:, None]
    return (plane * gain + tangential * radius) * camera['focal_length'] + camera['center']


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """Rotation matrix [3, 3] -> unit quaternion (w, x, y, z) with w >= 0."""
    # The eigenvector of Bar-Itzhack's matrix: stable for every rotation.
    r = rotation
    matrix = np.array([
        [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
        [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
        [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
        [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1]],
    ])  # fmt: skip
    vector = np.linalg.eigh(matrix)[1][:, -1]
    return vector * (1.0 if vector[0] >= 0 else -1.0)


def quaternion_matrix(q: np.ndarray) -> np.ndarray:
    """Unit quaternion (w, x, y, z) -> rotation matrix [3, 3]."""
    w, x, y, z = q
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def make_motions(
    seed: int, split: str, subjects: int, frames: int, on_take: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """All arrays of a split, as nested dictionaries subject -> action (-> list of cameras).

    Every subject performs every action once, Walking twice ("Walking" and "Walking 1"), in `frames` frames at 50 a
    second. `on_take` is called with the name of each of these takes before it is made.
    """
    motions: dict[str, Any] = {key: {} for key in ('positions_3d', 'cameras', 'positions_2d', 'positions_2d_detected')}
    motions['detection_errors'] = {}
    for index, subject in enumerate(subject_names(split, subjects)):
        generator = video_generator(seed, f'motions {split}', index)
        body, cameras = random_body(generator), make_cameras(generator)
        for store in motions.values():
            store[subject] = {}
        motions['cameras'][subject] = cameras
        for action in TAKES:
            if on_take:
                on_take(f'{subject} {action}')
            joints = _perform(action.split(' ')[0], frames, body, generator)
            exact = [project_to_pixels(joints[:, H36M_KEPT], camera).astype(np.float32) for camera in cameras]
            noisy = [noisy_detections(view, H36M_LEFT, H36M_RIGHT, generator) for view in exact]
            motions['positions_3d'][subject][action] = joints
            motions['positions_2d'][subject][action] = exact
            motions['positions_2d_detected'][subject][action] = [points for points, _ in noisy]
            motions['detection_errors'][subject][action] = [errors for _, errors in noisy]
    motions['metadata'] = {
        'layout_name': 'h36m', 'num_joints': 17, 'keypoints_symmetry': [H36M_LEFT, H36M_RIGHT],
    }  # fmt: skip
    return motions


def write_motions(
    root: str | Path, settings: WorldSettings, report: Callable[[str, int, int], None] | None = None
) -> list[Path]:
    """Write videopose3d_<split>.npz (all) and videopose3d_<split>_detected.npz (the noisy 2D as `positions_2d`).

    Files that are already there are left alone. `report` is called before each take and each file with what comes
    next, the number of steps done and the number of all steps, and once at the end.
    """
    root, split = Path(root), settings.split
    claim_folder(root, settings)
    paths = [root / f'videopose3d_{split}.npz', root / f'videopose3d_{split}_detected.npz']
    if all(path.exists() for path in paths):
        return paths
    subjects = settings.motion_subjects or len(SUBJECTS[split])
    total, steps = subjects * len(TAKES) + len(paths), count()

    def step(what: str) -> None:
        if report:
            report(what, next(steps), total)

    motions = make_motions(settings.seed, split, subjects, settings.motion_frames, step)
    detected = {'positions_2d': motions['positions_2d_detected'], 'metadata': motions['metadata']}
    for path, arrays in zip(paths, (motions, detected), strict=True):
        step(path.name)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        write_aside(path, buffer.getvalue())
    step('done')
    return paths


def _perform(action: str, frames: int, body: Body, generator: np.random.Generator) -> np.ndarray:
    """One take of `action` near the origin, [frames, 32, 3] float32."""
    style = random_style(generator)
    curvature = float(generator.choice([-1.0, 1.0]) * generator.uniform(0.6, 0.95))
    style = replace(style, curvature=curvature)
    yaw = float(generator.uniform(-np.pi, np.pi))
    times = np.arange(frames) / FRAMES_PER_SECOND
    position = generator.uniform(-0.3, 0.3, 2)
    if action in ('Walking', 'Running'):
        # The path is a circle around the middle of the room.
        position = position + np.array([np.sin(yaw), -np.cos(yaw)]) / curvature
    return h36m_joints(perform(action, times, body, style, position, yaw), body).astype(np.float32)
