"""The cameras in the `metadata.xml` of Human3.6M."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

from .cameras import camera_entry
from .human36m_layout import CAMERA_SIZES

SUBJECTS, CAMERAS = 11, 4
EXTRINSIC, INTRINSIC = 6, 9  # numbers of each camera of each subject, then of each camera


def read_metadata_cameras(path: str) -> dict[str, list[dict[str, Any]]]:
    """Cameras of S1 ... S11 as dictionaries with VideoPose3D's keys.

    The element `w0` holds, for each camera and then each subject, three Euler angles and a place in millimetres, and
    after these, for each camera, focal length, centre, three radial and two tangential coefficients in pixels. With
    angles (a, b, c) the matrix Rx(a) Ry(b) Rz(c) turns world into camera axes.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no file {path}')
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f'{path} is not a readable xml file: {error}') from error
    names = [element.text for element in root.findall('dbcameras/index2id/*')]
    text = root.findtext('w0')
    try:
        numbers = np.array((text or '').strip('[] \n').split(), dtype=np.float64)
    except ValueError as error:
        raise ValueError(f'{path}: w0 must hold the calibration numbers: {error}') from error
    boundary = SUBJECTS * CAMERAS * EXTRINSIC
    if len(names) != CAMERAS or len(numbers) < boundary + CAMERAS * INTRINSIC:
        raise ValueError(
            f'{path} is not the metadata.xml of Human3.6M: it names {len(names)} cameras (index2id) and has '
            f'{len(numbers)} calibration numbers (w0)'
        )
    unknown = [name for name in names if name not in CAMERA_SIZES]
    if unknown:
        raise ValueError(f'{path}: the size of the pictures of camera {", ".join(map(str, unknown))} is not known')
    extrinsic = numbers[:boundary].reshape(CAMERAS, SUBJECTS, EXTRINSIC)
    intrinsic = numbers[boundary : boundary + CAMERAS * INTRINSIC].reshape(CAMERAS, INTRINSIC)
    return {
        f'S{subject + 1}': [
            camera_entry(
                name,
                CAMERA_SIZES[name],
                Rotation.from_euler('XYZ', extrinsic[index, subject, :3]).inv(),
                extrinsic[index, subject, 3:] / 1000,
                centre=intrinsic[index, 2:4],
                focal=intrinsic[index, :2],
                radial=intrinsic[index, 4:7],
                tangential_opencv=intrinsic[index, 7:9],
            )
            for index, name in sorted(enumerate(names), key=lambda item: item[1])
        ]
        for subject in range(SUBJECTS)
    }
