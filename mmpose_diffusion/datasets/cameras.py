"""Calibrated cameras of motion capture data, and the files that hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from ..evaluation.functional.camera_projection import normalise_points
from .numpy_files import read_npz, read_pickle

ENTRY_KEYS = (
    'res_w', 'res_h', 'orientation', 'translation', 'center', 'focal_length', 'radial_distortion',
    'tangential_distortion',
)  # fmt: skip


class Camera(NamedTuple):
    """A camera with its place in the world.

    Attributes:
        name: of the camera.
        image_size: (width, height) in pixels.
        rotation: [3, 3], turns camera axes into world axes.
        position: [3] metres, in the world.
        intrinsic: [9], see `evaluation.functional.camera_projection`.
    """

    name: str
    image_size: tuple[int, int]
    rotation: np.ndarray
    position: np.ndarray
    intrinsic: np.ndarray

    def world_to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points [..., 3] -> camera axes [..., 3]."""
        return (points - self.position) @ self.rotation  # the inverse rotation, applied to rows


def camera_from_entry(entry: Mapping[str, Any], label: str) -> Camera:
    """A camera from a dictionary with VideoPose3D's keys.

    `orientation` is a unit quaternion (w, x, y, z) from camera to world axes, `translation` in metres (millimetres, as
    in the constants of VideoPose3D, are recognised by their size: no camera stands a hundred metres away), `center`
    and `focal_length` are in pixels.
    """
    if not isinstance(entry, Mapping):
        raise ValueError(f"{label}: expected a dictionary with VideoPose3D's keys, got {entry!r}")
    missing = [key for key in ENTRY_KEYS if key not in entry]
    if missing:
        raise ValueError(f'{label}: a camera without {", ".join(missing)}')
    vectors = {}
    for key, count in zip(ENTRY_KEYS, (1, 1, 4, 3, 2, 2, 3, 2), strict=True):
        try:
            vectors[key] = np.asarray(entry[key], dtype=np.float64).reshape(-1)
        except (TypeError, ValueError):
            vectors[key] = np.empty(0)
        if vectors[key].shape != (count,) or not np.isfinite(vectors[key]).all():
            raise ValueError(f'{label}: {key} must be {count} finite numbers, got {entry[key]}')
    size = int(vectors['res_w'][0]), int(vectors['res_h'][0])
    w, x, y, z = vectors['orientation']
    if min(size) < 1 or not vectors['orientation'].any():
        raise ValueError(f'{label}: res_w and res_h must be at least 1 and orientation no zero, got {dict(entry)}')
    position = vectors['translation']
    intrinsic = np.concatenate([
        vectors['focal_length'] * 2 / size[0],
        normalise_points(vectors['center'], size),
        vectors['radial_distortion'],
        vectors['tangential_distortion'],
    ])  # fmt: skip
    return Camera(
        name=str(entry.get('id', label)),
        image_size=size,
        rotation=Rotation.from_quat([x, y, z, w]).as_matrix(),
        position=position / 1000 if np.abs(position).max() > 100 else position,
        intrinsic=intrinsic,
    )


def read_camera_file(path: str) -> dict[str, list[Camera]]:
    """Read the cameras of each subject, in order.

    The file is the json of `tools/dataset_tools/make_human36m_cameras.py`, MMPose's `cameras.pkl`, or an npz with
    VideoPose3D's dictionaries under the key `cameras`.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'there is no camera file {path}. tools/dataset_tools/make_human36m_cameras.py makes it from the '
            "metadata.xml of Human3.6M or from MMPose's cameras.pkl"
        )
    if path.endswith('.npz'):
        entries = read_npz(path, ('cameras',))['cameras']
    elif path.endswith('.pkl'):
        entries = entries_from_mmpose(read_pickle(path), path)
    else:
        try:
            entries = json.loads(Path(path).read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f'{path} is not a readable json file: {error}') from error
    return cameras_from_entries(entries, path)


def cameras_from_entries(entries: Mapping[str, Sequence[Mapping[str, Any]]], label: str) -> dict[str, list[Camera]]:
    """Cameras of each subject from dictionaries with VideoPose3D's keys."""
    if not isinstance(entries, Mapping):
        raise ValueError(f'{label}: expected a dictionary of subjects, got {type(entries).__name__}')
    for subject, listed in entries.items():
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            raise ValueError(f'{label}, {subject}: expected a list of cameras, got {listed!r}')
    return {
        subject: [camera_from_entry(entry, f'{label}, {subject}, camera {index}') for index, entry in enumerate(listed)]
        for subject, listed in entries.items()
    }


def entries_from_mmpose(cameras: Mapping[tuple[str, str], Mapping[str, Any]], label: str) -> dict[str, list[dict]]:
    """MMPose's dictionary (subject, camera) -> parameters, as lists of dictionaries with VideoPose3D's keys.

    MMPose keeps the tangential coefficients in the order of OpenCV, which is the reverse of the order here.
    """
    if not isinstance(cameras, Mapping):
        raise ValueError(f"{label}: expected MMPose's dictionary of cameras, got {type(cameras).__name__}")
    for key, parameters in cameras.items():
        if not (isinstance(key, tuple) and len(key) == 2 and isinstance(parameters, Mapping)):
            raise ValueError(f"{label}: MMPose's dictionary maps (subject, camera) to parameters, this one has {key!r}")
    entries: dict[str, list[dict]] = {}
    for subject, name in sorted(cameras):
        parameters = cameras[subject, name]
        missing = [key for key in ('R', 'T', 'c', 'f', 'k', 'p', 'w', 'h') if key not in parameters]
        if missing:
            raise ValueError(f'{label}, {subject}, {name}: a camera without {", ".join(missing)}')
        try:
            entry = camera_entry(
                name,
                (parameters['w'], parameters['h']),
                Rotation.from_matrix(parameters['R']),
                np.ravel(parameters['T']),
                *(np.ravel(parameters[key]) for key in 'cfkp'),
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f'{label}, {subject}, {name}: its parameters are no camera: {error}') from error
        entries.setdefault(subject, []).append(entry)
    return entries


def camera_entry(
    name: str,
    image_size: tuple[int, int],
    rotation: Rotation,
    position: np.ndarray,
    centre: np.ndarray,
    focal: np.ndarray,
    radial: np.ndarray,
    tangential_opencv: np.ndarray,
) -> dict[str, Any]:
    """A dictionary with VideoPose3D's keys, of numbers that json can hold; `rotation` turns camera into world axes."""
    x, y, z, w = rotation.as_quat()
    return {
        'id': name,
        'res_w': int(image_size[0]),
        'res_h': int(image_size[1]),
        'orientation': [float(value) for value in (w, x, y, z)],
        'translation': np.asarray(position, dtype=float).tolist(),
        'center': np.asarray(centre, dtype=float).tolist(),
        'focal_length': np.asarray(focal, dtype=float).tolist(),
        'radial_distortion': np.asarray(radial, dtype=float).tolist(),
        'tangential_distortion': np.asarray(tangential_opencv, dtype=float)[::-1].tolist(),
    }
