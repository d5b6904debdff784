"""What all data sets of video clips share: people in key frames, and the frames of their videos beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine import fileio
from mmengine.logging import MessageHub, print_log
from mmpose.datasets.datasets.base import BaseCocoStyleDataset

# Reasons to leave out a person or a box, as they are counted in the log.
NO_KEYPOINTS = 'without keypoints'
NO_BOX = 'without a box'
EMPTY_BOX = 'with an empty box'
BOX_OUTSIDE = 'with a box outside the image'
# MMPose's share of a body in its box; COCO-style evaluation needs an area, which PoseTrack does not annotate.
BODY_SHARE_OF_BOX = 0.53


class VideoPoseDataset(BaseCocoStyleDataset):
    """A sample is one person in one key frame; the frames of the video travel beside it, not in it.

    Samples stand in order of video, frame and person, so that an evaluation meets each frame's clips one after the
    other. A subclass fills `_video_frames` and `_ignore_regions` in `load_data_list`. On top of
    MMPose's keys a sample has:

    - video: name of the video (stem of its annotation file)
    - video_frames: paths of all frames of the video, in order of time; shared, not to be changed
    - key_frame_index: index of the key frame into video_frames; `img_path` is that frame's path
    - track_id: number of the person in the video, if known
    - ignore_regions: polygons [n, 2] of the key frame inside which nobody is annotated

    Args:
        ann_file: see the subclass.
        bbox_file: a detector's boxes, used instead of the annotated ones; only with `test_mode=True`.
        data_mode: always 'topdown'.
        metainfo: as in MMPose; by default that of the class.
        data_root: folder that `ann_file` and `data_prefix` are relative to.
        data_prefix: `dict(img=...)` is the folder that file names in the annotations are relative to.
        filter_cfg: `dict(bbox_score_thr=0.4)` leaves out boxes of lower score.
        indices: use the first few samples or those listed.
        serialize_data: keep samples in one shared block of memory.
        pipeline: transforms.
        test_mode: for evaluation.
        lazy_init: do not load annotations yet.
        max_refetch: as in MMEngine.
    """

    def __init__(
        self,
        ann_file: str = '',
        bbox_file: str | None = None,
        data_mode: str = 'topdown',
        metainfo: dict | None = None,
        data_root: str | None = None,
        data_prefix: dict | None = None,
        filter_cfg: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if data_mode != 'topdown':
            raise ValueError(
                f"{type(self).__name__} has one person in each sample: data_mode 'topdown', got {data_mode!r}"
            )
        self._video_frames: dict[str, tuple[str, ...]] = {}
        self._ignore_regions: dict[Any, list] = {}
        super().__init__(
            ann_file=ann_file,
            bbox_file=bbox_file,
            data_mode=data_mode,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix={'img': ''} if data_prefix is None else dict(data_prefix),
            filter_cfg=filter_cfg,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )
        if self.test_mode and not self._annotations_are_coco():
            # MMPose announces the annotations to CocoMetric, which can only read a COCO json. Without the announcement
            # it collects the truth from the samples (raw_ann_info).
            MessageHub.get_current_instance().update_info(f'{self.metainfo["dataset_name"]}_ann_file', None)

    @property
    def video_frames(self) -> dict[str, tuple[str, ...]]:
        """Paths of all frames of each video, in order of time."""
        self.full_init()
        return self._video_frames

    def get_data_info(self, idx: int) -> dict:
        """Return one sample with its video's frames and the ignore regions of its key frame."""
        data_info = super().get_data_info(idx)
        data_info['video_frames'] = self._video_frames[data_info['video']]
        regions = self._ignore_regions.get(data_info['img_id'], [])
        data_info['ignore_regions'] = [np.asarray(polygon, dtype=np.float32) for polygon in regions]
        return data_info

    def _annotations_are_coco(self) -> bool:
        """Whether MMPose's CocoMetric can read `ann_file` itself."""
        return not fileio.isdir(self.ann_file)

    def _image_path(self, file_name: str) -> str:
        """Path of a frame from its name in the annotations."""
        return fileio.join_path(self.data_prefix['img'], file_name)

    def _log_summary(self, found: str, skipped: Counter[str], repaired: Counter[str] | None = None) -> None:
        """Say in one line what was loaded, what was left out and why, and what was put right."""
        line = f'{type(self).__name__}: {found} from {self.ann_file}'
        for label, counter in (('left out', skipped), ('put right', repaired or Counter())):
            listed = ', '.join(f'{number} {reason}' for reason, number in sorted(counter.items()) if number)
            line += f'; {label}: {listed}' if listed else ''
        print_log(line, logger='current')


def clip_box(box_xywh: Sequence[float], image_size: tuple[int, int] | None) -> tuple[np.ndarray | None, str | None]:
    """Turn a box (left, top, width, height) into corners inside the image, or say why it is of no use.

    The image of size (height, width) has pixels from 0 to width - 1; without a size nothing is cut off.

    Returns:
        The corners [4] float32 and None, or None and a reason.
    """
    left, top, width, height = (float(value) for value in box_xywh)
    if not (width > 0 and height > 0):
        return None, EMPTY_BOX
    corners = np.array([left, top, left + width, top + height], dtype=np.float32)
    if image_size is not None:
        image_height, image_width = image_size
        limits = np.array([image_width, image_height, image_width, image_height], dtype=np.float32) - 1
        corners = np.clip(corners, 0, limits)
        if corners[2] <= corners[0] or corners[3] <= corners[1]:
            return None, BOX_OUTSIDE
    return corners, None


def box_around_keypoints(keypoints: np.ndarray, margin: float = 0.15) -> list[float]:
    """Box (left, top, width, height) of present keypoints [n, 2], widened by `margin` of its size on every side.

    With 0.15 this is how the boxes of PoseTrack18 were made.
    """
    low, high = keypoints.min(axis=0), keypoints.max(axis=0)
    border = margin * (high - low)
    return [*(low - border).tolist(), *(high - low + 2 * border).tolist()]


def area_of_body(corners: np.ndarray) -> float:
    """Area in pixels of a body whose box has these corners [4], for COCO-style evaluation; at least one."""
    width, height = (corners[2:] - corners[:2]).tolist()
    return max(width * height * BODY_SHARE_OF_BOX, 1.0)
