"""MPI-INF-3DHP for lifting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from ..evaluation.functional.camera_projection import normalise_points
from .numpy_files import read_npz
from .pose_sequence_dataset import PoseSequence, PoseSequenceDataset, split_people

TRAINING_SIZE = (2048, 2048)
# Of the test sequences: picture (width, height), focal length and principal point in mm, sensor (width, height) in mm.
STUDIO = ((2048, 2048), 7.32506, (-0.0322884, 0.0929296), (10.0, 10.0))
OUTDOORS = ((1920, 1080), 8.770747185, (-0.104908645, 0.104899704), (10.0, 5.625))
TEST_CAMERAS = {**dict.fromkeys(('TS1', 'TS2', 'TS3', 'TS4'), STUDIO), **dict.fromkeys(('TS5', 'TS6'), OUTDOORS)}


@DATASETS.register_module()
class MPIINF3DHPSequenceDataset(PoseSequenceDataset):
    """MPI-INF-3DHP as 17 joints in camera axes, from the npz files that D3DP and FinePOSE use; root is joint 14.

    `ann_file` has the key `data`. For training (`data_train_3dhp_ori.npz`) it maps "S1 Seq1" to a list whose first
    element maps cameras to `data_3d` [N, 17, 3] (millimetres) and `data_2d` [N, 17, 2] (pixels, the annotation); for
    testing (`data_test_3dhp_ori.npz`) "TS1" ... "TS6" to `data_3d`, `data_2d` and `valid` [N]. Test cameras are known;
    those of training are not in the file and stay unknown. There are no action names.

    Args:
        ann_file, kwargs: see `PoseSequenceDataset`; `subjects` are "S1" ... or "TS1" ...
    """

    METAINFO = {'from_file': 'configs/_base_/datasets/mpi_inf_3dhp.py'}
    ROOT_INDEX = 14

    def load_sequences(self) -> list[PoseSequence]:
        """Read whichever of the two files it is."""
        data = read_npz(self.ann_file, ('data',))['data']
        if not isinstance(data, Mapping):
            raise ValueError(
                f'{self.ann_file}: expected a dictionary of sequences under data, got {type(data).__name__}'
            )
        chosen = set(self._selected(list(dict.fromkeys(name.split(' ')[0] for name in data)), self.ann_file))
        return [
            sequence
            for name, content in data.items()
            if name.split(' ')[0] in chosen
            for label, camera_index, arrays in _views(name, content, self.ann_file)
            for sequence in _people(label, name, camera_index, arrays, self.ann_file)
        ]


def _views(name: str, content: Any, path: str) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """What the cameras of one sequence saw: a name, the camera's number, and the arrays."""
    if isinstance(content, Mapping):
        if name not in TEST_CAMERAS:
            raise ValueError(
                f'{path}: the camera of test sequence {name} is not known; known: {", ".join(TEST_CAMERAS)}'
            )
        yield name, 0, content
    elif len(content) and isinstance(content[0], Mapping):
        for camera, arrays in content[0].items():
            number = re.search(r'\d+$', str(camera))
            if number is None:
                raise ValueError(f'{path}: {name} has a camera {camera!r}, without a number at its end')
            yield f'{name}, camera {camera}', int(number.group()), arrays
    else:
        raise ValueError(f'{path}: {name} is neither a dictionary of arrays nor a list that begins with one of cameras')


def _people(label: str, name: str, camera_index: int, arrays: Mapping[str, Any], path: str) -> list[PoseSequence]:
    """The sequences of all people in one view."""
    missing = [key for key in ('data_3d', 'data_2d') if key not in arrays]
    if missing:
        raise ValueError(f'{path}: {label} has no {" and no ".join(missing)}')
    positions = np.asarray(arrays['data_3d'], dtype=np.float64) / 1000
    points = np.asarray(arrays['data_2d'], dtype=np.float64)
    valid = np.asarray(arrays.get('valid', np.ones(len(positions)))).reshape(-1).astype(bool)
    if points.shape[:-1] != positions.shape[:-1] or len(valid) != len(positions):
        raise ValueError(
            f'{path}: {label} has 3D poses {positions.shape}, 2D poses {points.shape} and {len(valid)} marks of '
            'validity'
        )
    camera = intrinsic_of_sensor(*TEST_CAMERAS[name]) if name in TEST_CAMERAS else None
    size = TEST_CAMERAS[name][0] if name in TEST_CAMERAS else TRAINING_SIZE
    drawn = split_people(normalise_points(points, size).astype(np.float32))
    return [
        PoseSequence(
            name=label,
            subject=name.split(' ')[0],
            action=None,
            camera_index=camera_index,
            camera=camera,
            image_size=size,
            keypoints_2d=keypoints_2d,
            positions_3d=positions_3d,
            valid=valid,
            frame_ids=np.arange(len(valid)),
            person=person,
        )
        for person, (keypoints_2d, positions_3d) in enumerate(
            zip(drawn, split_people(positions.astype(np.float32)), strict=True)
        )
    ]


def intrinsic_of_sensor(
    image_size: tuple[int, int], focal: float, centre: tuple[float, float], sensor: tuple[float, float]
) -> np.ndarray:
    """Nine numbers [9] of a camera without distortion from millimetres on its sensor, counted from its middle."""
    pixels_per_mm = np.array(image_size) / np.array(sensor)
    centre_pixels = np.array(centre) * pixels_per_mm + np.array(image_size) / 2
    focal_normalised = focal * pixels_per_mm * 2 / image_size[0]
    return np.concatenate([focal_normalised, normalise_points(centre_pixels, image_size), np.zeros(5)])
