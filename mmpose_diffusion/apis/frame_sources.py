"""Frames of a video file, a folder, a list, an array or a camera, one after the other and never all at once."""

from __future__ import annotations

import logging
import mimetypes
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from mmengine import fileio
from mmengine.logging import print_log

from ..datasets.transforms.image_files import decode_image
from .person_boxes import PersonBoxes

ASSUMED_FPS = 25.0  # where nobody says how fast the frames follow each other
MOST_FPS = 1000
MAX_LOST_FRAMES = 25  # in a row; a video file that cannot give more than these is at its end

Image = str | Path | np.ndarray


class Frame(NamedTuple):
    """A frame on its way through the inferencer."""

    index: int
    image: np.ndarray | None  # [height, width, 3] uint8, blue first; None if it cannot be read
    path: str  # of its file; of arrays and videos the number, as MMPose names them
    people: PersonBoxes | None = None  # None until somebody has looked


@dataclass
class FrameSource:
    """Where frames come from; each iteration reads them anew.

    Attributes:
        name: of the results: stem of the video file, name of the folder, 'webcam'.
        read: starts reading.
        is_video: whether the frames follow each other; otherwise each is an image of its own.
        fps: frames per second of a video.
        num_frames: how many there should be; None if nobody knows.
        paths: files that are read, which no result may overwrite.
        image_names: of images, whose number is certain: paths, and what arrays are called.
        is_live: whether a camera gives them, without end.
    """

    name: str
    read: Callable[[], Iterator[Frame]]
    is_video: bool
    fps: float = ASSUMED_FPS
    num_frames: int | None = None
    paths: Sequence[str] = ()
    image_names: Sequence[str] = ()
    is_live: bool = False

    def __iter__(self) -> Iterator[Frame]:
        num_read, num_readable = 0, 0
        for frame in self.read():
            num_read, num_readable = num_read + 1, num_readable + (frame.image is not None)
            yield frame
        if not num_readable:
            raise ValueError(f'{self.name}: none of {num_read} frames could be read')
        if self.num_frames is not None and num_read < self.num_frames:
            print_log(
                f'{self.name} ends after {num_read} of the {self.num_frames} frames that it announces',
                logger='current',
                level=logging.WARNING,
            )


def open_frames(
    inputs: Image | Sequence[Image], images_are_video: bool = False, fps: float | None = None
) -> FrameSource:
    """Find out what `inputs` is, and open it.

    Args:
        inputs: path of a video file, of an image or of a folder of images; 'webcam' or 'webcam:1'; an image
            [height, width, 3] (uint8, blue first); a list of images and paths of images.
        images_are_video: the images of a folder or list are the frames of a video. Those of a folder come in the order
            of the numbers in their names.
        fps: frames per second, where the video does not say or says wrong.
    """
    if fps is not None and not is_possible(fps):
        raise ValueError(f'fps must be a positive number of frames per second, at most {MOST_FPS}, got {fps}')
    if isinstance(inputs, np.ndarray):
        return image_source([inputs], 'image', images_are_video, fps)
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        return image_source(inputs, 'images', images_are_video, fps)
    if not isinstance(inputs, str | Path):
        raise TypeError(f'inputs must be a path, an image or a list of images, got {type(inputs).__name__}')
    if re.fullmatch(r'webcam(:\d+)?', str(inputs)):
        return camera_source(str(inputs), fps)
    path = Path(inputs)
    if path.is_dir():
        return image_source(images_in_folder(path), path.resolve().name, images_are_video, fps)
    if not path.is_file() and '://' not in str(inputs):
        raise FileNotFoundError(f'there is no file or folder {inputs}')
    if is_a(str(path), 'image'):
        return image_source([str(inputs)], path.stem, images_are_video, fps)
    return video_source(path, fps)


def is_a(path: str, kind: str) -> bool:
    """Whether the name of a file says that it is a 'video' or an 'image'."""
    return (mimetypes.guess_type(path)[0] or '').startswith(f'{kind}/')


def images_in_folder(folder: Path) -> list[str]:
    """Image files of a folder; numbers in their names count as numbers, so that 10.jpg follows 9.jpg."""
    paths = [str(path) for path in folder.iterdir() if path.is_file() and is_a(path.name, 'image')]
    if not paths:
        raise ValueError(f'there are no image files in the folder {folder}')
    return sorted(paths, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r'(\d+)', path)])


def image_source(images: Sequence[Image], name: str, is_video: bool, fps: float | None) -> FrameSource:
    """Arrays [height, width, 3] and image files."""
    if not len(images):
        raise ValueError('inputs is an empty list')
    paths = [str(image) for image in images if isinstance(image, str | Path)]
    missing = [path for path in paths if '://' not in path and not Path(path).is_file()]
    if missing:
        raise FileNotFoundError(f'{len(missing)} of {len(images)} images do not exist, for example {missing[0]}')
    videos = [path for path in paths if is_a(path, 'video')]
    if videos:
        raise ValueError(f'a list holds images, and {videos[0]} is a video: give videos one by one')
    names = [str(image) if isinstance(image, str | Path) else f'{index:06d}.jpg' for index, image in enumerate(images)]
    read = partial(_read_images, images, names)
    return FrameSource(name, read, is_video, fps or ASSUMED_FPS, len(images), paths, names)


def _read_images(images: Sequence[Image], names: Sequence[str]) -> Iterator[Frame]:
    for index, (image, name) in enumerate(zip(images, names, strict=True)):
        if isinstance(image, str | Path):
            yield Frame(index, _read_image_file(name), name)
        else:
            yield Frame(index, check_image(image, f'image {index}'), name)


def check_image(image: np.ndarray, label: str) -> np.ndarray:
    """Give back an image, or say what is wrong with it."""
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        got = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f'{label} must be a uint8 array of shape (height, width, 3), blue first, got {got}')
    return image


def _read_image_file(path: str) -> np.ndarray | None:
    try:
        return decode_image(fileio.get(path))
    except (OSError, ValueError) as error:
        print_log(f'cannot read {path}: {error}', logger='current', level=logging.WARNING)
        return None


def video_source(path: Path, fps: float | None) -> FrameSource:
    """A video file. A decoder conceals most damage; frames that it refuses are read as None."""
    capture = cv2.VideoCapture(str(path))
    count, stated_fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    is_readable = capture.isOpened() and any(capture.grab() for _ in range(MAX_LOST_FRAMES))
    capture.release()
    if not is_readable:
        raise ValueError(
            f'{path} is not a video with frames that can be read (OpenCV, FFmpeg): is it empty, cut off, or of '
            'another kind? An .mp4 that was not closed has no index and cannot be opened'
        )
    return FrameSource(
        path.stem,
        lambda: _read_capture(cv2.VideoCapture(str(path)), MAX_LOST_FRAMES),
        is_video=True,
        fps=fps or checked_fps(stated_fps, str(path)),
        num_frames=int(count) if count > 0 else None,
        paths=[str(path)],
    )


def checked_fps(fps: float, name: str) -> float:
    """The frame rate a video states, or the assumed one if that cannot be."""
    if is_possible(fps):
        return float(fps)
    print_log(
        f'{name} states {fps} frames per second; {ASSUMED_FPS:g} are assumed', logger='current', level=logging.WARNING
    )
    return ASSUMED_FPS


def is_possible(fps: float) -> bool:
    """Whether a video can have so many frames per second."""
    return bool(np.isfinite(fps) and 0 < fps <= MOST_FPS)


def camera_source(inputs: str, fps: float | None) -> FrameSource:
    """'webcam' or 'webcam:<number>', until it ends or the reader stops."""
    number = int(inputs.partition(':')[2] or 0)
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise OSError(f'camera {number} ({inputs}) cannot be opened')
    stated_fps = capture.get(cv2.CAP_PROP_FPS)
    read = partial(_read_capture, capture)
    return FrameSource('webcam', read, True, fps or checked_fps(stated_fps, inputs), is_live=True)


def _read_capture(capture: cv2.VideoCapture, max_lost_frames: int = 0) -> Iterator[Frame]:
    """All frames until the end; frames that are lost before others follow are None."""
    try:
        index = num_lost = 0
        while num_lost <= max_lost_frames:
            is_there, image = capture.read()
            if not is_there:
                num_lost += 1
                continue
            for picture in [None] * num_lost + [image]:
                yield Frame(index, picture, f'{index:06d}.jpg')
                index += 1
            num_lost = 0
    finally:
        capture.release()
