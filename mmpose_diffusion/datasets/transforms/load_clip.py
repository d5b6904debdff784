"""Load the frames of a clip from image files, arrays or a video file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from mmengine.logging import print_log
from mmpose.registry import TRANSFORMS

from .frame_cache import FrameCache
from .image_files import decode_image
from .video_files import VideoFrameReader

GREY = 128


class UnreadableFrameError(ValueError):
    """A frame that cannot be loaded, met by a LoadClip that was told to be strict."""


@TRANSFORMS.register_module()
class LoadClip(BaseTransform):
    """Load the frames that SampleClip chose, as a list of T arrays [H, W, 3] (uint8, blue first), oldest first.

    Decoded frames are kept in a bounded cache, one per worker process, because the clips of neighbouring frames and of
    several people in one frame share most of their images. Frames from the cache are read-only.

    A frame that cannot be read (missing, cut or not an image) does not end a run of thousands, neither in training nor
    in testing: it is named in the log once, counted in `num_broken_frames` of this transform, and replaced by the
    nearest readable frame of the clip, the earlier one of two equally near; `broken_frames` lists its position and
    `frame_is_real` becomes False for it. If the key frame itself is broken its substitute stands for it:
    `frame_is_real` stays True there, because a clip must have a key frame, and `broken_frames` tells. If no frame of
    the clip can be read, all frames are grey.

    Required Keys:

    - clip_frame_indices, frame_is_real, clip_key_index (from SampleClip)
    - frames, video_path, video_frames, img or img_path (the first of these that is there); None in frames is a frame
      that could not be read

    Added or Modified Keys:

    - img: list of T arrays
    - img_path: path of the key frame, or None
    - img_shape, ori_shape: (H, W) of the key frame
    - frame_is_real: False for replaced frames too, apart from the key frame
    - broken_frames: positions in the clip that had to be replaced
    - num_decoded_frames: how many images this sample took to decode

    Args:
        cache_megabytes: size of the cache in every worker process; 0 turns it off. A full HD frame takes 6 MB.
        strict: raise an error at an unreadable frame instead of replacing it.
        color_type: as in mmcv.imfrombytes.
        imdecode_backend: as in mmcv.imfrombytes.
        backend_args: where files come from, as in mmengine.fileio.get.
    """

    def __init__(
        self,
        cache_megabytes: float = 128,
        strict: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'cv2',
        backend_args: dict | None = None,
    ) -> None:
        self.cache = FrameCache(int(cache_megabytes * 2**20))
        self.strict = strict
        self.color_type = color_type
        self.imdecode_backend = imdecode_backend
        self.backend_args = backend_args
        self.num_decoded_frames = 0
        self._video_reader = VideoFrameReader()
        self._broken_names: set[str] = set()

    @property
    def num_broken_frames(self) -> int:
        """How many different frames this process could not read."""
        return len(self._broken_names)

    def transform(self, results: dict) -> dict:
        """Load the clip."""
        if 'clip_frame_indices' not in results:
            raise ValueError('LoadClip needs clip_frame_indices: put SampleClip before it in the pipeline')
        decoded_before = self.num_decoded_frames
        load_frame, key_path = self._open_source(results)
        indices, key_position = results['clip_frame_indices'], results['clip_key_index']
        frame_of_index = {index: load_frame(index) for index in dict.fromkeys(indices)}
        broken = [position for position, index in enumerate(indices) if frame_of_index[index] is None]
        if broken:
            frame_of_index = replace_broken_frames(frame_of_index, fallback_shape(results))
            results['frame_is_real'] = tuple(
                real and (position == key_position or position not in broken)
                for position, real in enumerate(results['frame_is_real'])
            )
        frames = [frame_of_index[index] for index in indices]
        results['broken_frames'] = tuple(broken)
        results['num_decoded_frames'] = self.num_decoded_frames - decoded_before
        results['img'] = frames
        results['img_path'] = key_path
        results['img_shape'] = results['ori_shape'] = frames[key_position].shape[:2]
        return results

    def _open_source(self, results: dict) -> tuple[Callable[[int], np.ndarray | None], str | None]:
        """Decide where frames come from: a function from frame index to frame, and the path of the key frame."""
        if 'frames' in results:
            return partial(self._take_array, results['frames'], 'frames'), results.get('img_path')
        if 'video_path' in results:
            return partial(self._load_video_frame, results['video_path']), results['video_path']
        if 'video_frames' in results:
            paths = results['video_frames']
            return lambda index: self._load_image_file(paths[index]), paths[results['key_frame_index']]
        if results.get('img') is not None:
            return partial(self._take_array, [results['img']], 'img'), results.get('img_path')
        return lambda _: self._load_image_file(results['img_path']), results['img_path']

    def _take_array(self, arrays: list[np.ndarray | None], key: str, index: int) -> np.ndarray | None:
        """One of the caller's own arrays, as it is."""
        array = arrays[index]
        if array is None and not self.strict:
            return None
        if not isinstance(array, np.ndarray) or array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
            got = f'{array.dtype} {array.shape}' if isinstance(array, np.ndarray) else type(array).__name__
            raise ValueError(f'{key}[{index}] must be a uint8 array of shape (height, width, 3), blue first, got {got}')
        return array

    def _load_image_file(self, path: str) -> np.ndarray | None:
        return self.cache.get(path, partial(self._decode_image_file, path))

    def _load_video_frame(self, path: str, index: int) -> np.ndarray | None:
        return self.cache.get((path, index), partial(self._decode_video_frame, path, index))

    def _decode_image_file(self, path: str) -> np.ndarray | None:
        self.num_decoded_frames += 1
        try:
            return decode_image(fileio.get(path, self.backend_args), self.color_type, self.imdecode_backend)
        except (OSError, ValueError) as error:
            reason = 'the file is missing' if isinstance(error, FileNotFoundError) else str(error)
            return self._report_broken(path, reason, error)

    def _decode_video_frame(self, path: str, index: int) -> np.ndarray | None:
        self.num_decoded_frames += 1
        frame = self._video_reader.read(path, index)
        if frame is None:
            return self._report_broken(f'frame {index} of {path}', 'the video file cannot give it', None)
        return frame

    def _report_broken(self, name: str, reason: str, error: Exception | None) -> None:
        """Name a broken frame in the log the first time it is met, or raise if strict."""
        if self.strict:
            raise UnreadableFrameError(
                f'cannot read {name}: {reason}. LoadClip(strict=False) would replace it'
            ) from error
        if name not in self._broken_names:
            self._broken_names.add(name)
            print_log(
                f'broken frame {len(self._broken_names)} of this process: cannot read {name}: {reason}; '
                'its nearest readable neighbour in the clip takes its place',
                logger='current',
                level=logging.WARNING,
            )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(cache_megabytes={self.cache.max_bytes / 2**20:g}, strict={self.strict}, '
            f"color_type='{self.color_type}', imdecode_backend='{self.imdecode_backend}', "
            f'backend_args={self.backend_args})'
        )


def replace_broken_frames(
    frame_of_index: dict[int, np.ndarray | None], shape: tuple[int, int]
) -> dict[int, np.ndarray]:
    """Put the frame nearest in time, the earlier of two, wherever a frame is None; grey [*shape, 3] if all are."""
    readable = sorted(index for index, frame in frame_of_index.items() if frame is not None)
    if not readable:
        return dict.fromkeys(frame_of_index, np.full((*shape, 3), GREY, dtype=np.uint8))
    return {index: frame_of_index[min(readable, key=lambda other: abs(other - index))] for index in frame_of_index}


def fallback_shape(results: dict) -> tuple[int, int]:
    """Height and width for a clip without any readable frame: what the annotation says, or just enough for the box."""
    if results.get('img_shape') is not None:
        return tuple(results['img_shape'][:2])
    right, bottom = np.max(np.asarray(results.get('bbox', [[0, 0, 1, 1]]), dtype=float)[:, 2:4], axis=0)
    return max(int(np.ceil(bottom)), 1), max(int(np.ceil(right)), 1)
