"""Where the people of a frame are: said by the caller, by a file or by a detector, or the whole image."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import mmengine
import numpy as np
from mmengine.logging import print_log
from mmpose.evaluation.functional import nms

from ..evaluation.functional.json_values import numbers

if TYPE_CHECKING:
    from .frame_sources import Frame


class PersonBoxes(NamedTuple):
    """Boxes of the P people of a frame."""

    boxes: np.ndarray  # [P, 4] float32, left, top, right, bottom
    scores: np.ndarray  # [P] float32
    track_ids: Sequence[int] | None = None  # who they are, if that is known

    @classmethod
    def from_array(cls, array: Any, label: str) -> PersonBoxes:
        """From [P, 4], or [P, 5] with scores; `label` names them in errors."""
        rows = np.asarray(array, dtype=np.float32)
        rows = rows.reshape(0, 4) if rows.size == 0 else rows
        if rows.ndim != 2 or rows.shape[1] not in (4, 5):
            raise ValueError(
                f'{label}: boxes must be [people, 4] (left, top, right, bottom) or [people, 5] with scores, got shape '
                f'{list(rows.shape)}'
            )
        if not np.isfinite(rows).all():
            raise ValueError(f'{label}: boxes hold NaN or infinity')
        empty = np.flatnonzero((rows[:, 2:4] <= rows[:, :2]).any(axis=1))
        if len(empty):
            raise ValueError(f'{label}: box {rows[empty[0], :4].tolist()} is empty (left, top, right, bottom)')
        scores = rows[:, 4] if rows.shape[1] == 5 else np.ones(len(rows), dtype=np.float32)
        return cls(rows[:, :4], scores)


class PersonFinder(Protocol):
    """Finds the people of some frames."""

    looks_at_images: bool  # and so knows nothing about frames that cannot be read

    def __call__(self, frames: Sequence[Frame]) -> list[PersonBoxes]:
        """Boxes for each frame."""


class WholeImage:
    """One person, who fills the image."""

    looks_at_images = True

    def __call__(self, frames: Sequence[Frame]) -> list[PersonBoxes]:
        """The borders of each frame."""
        return [PersonBoxes.from_array([[0, 0, *frame.image.shape[1::-1]]], f'frame {frame.index}') for frame in frames]


class GivenBoxes:
    """The caller's boxes.

    Args:
        boxes: for each frame, in order, [P, 4] or [P, 5] with scores.
        num_frames: how many frames there are, if that is certain.
    """

    looks_at_images = False

    def __init__(self, boxes: Sequence[Any], num_frames: int | None = None) -> None:
        if num_frames is not None and len(boxes) != num_frames:
            raise ValueError(
                f'bboxes has {len(boxes)} entries for {num_frames} frames: give an entry for each frame (an empty list '
                'where nobody is)'
            )
        self.people = [PersonBoxes.from_array(entry, f'bboxes[{index}]') for index, entry in enumerate(boxes)]

    def __call__(self, frames: Sequence[Frame]) -> list[PersonBoxes]:
        """The entries of the frames."""
        beyond = [frame.index for frame in frames if frame.index >= len(self.people)]
        if beyond:
            raise ValueError(
                f'bboxes has entries for {len(self.people)} frames, and there is a frame {beyond[0]}: give an entry '
                'for each frame (an empty list where nobody is)'
            )
        return [self.people[frame.index] for frame in frames]


class BoxFile:
    """A json list of boxes, as COCO detections are: `bbox` (left, top, width, height), `score`, perhaps `track_id`.

    The frame is named by `image_name` (its path, or the end of it: file names repeat from video to video), or counted
    from 0 by `frame_id` or `image_id`. Track ids are kept if all boxes have one: the ids of a tracker beside
    them could be the same by chance.
    """

    looks_at_images = False

    def __init__(self, path: str, min_score: float) -> None:
        self.path = path
        entries = mmengine.load(path)
        if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
            raise ValueError(f'{path} must be a list of boxes (one dict each), as COCO results are')
        self._rows: dict[int | str, list[tuple[list[float], int | None]]] = defaultdict(list)
        for position, entry in enumerate(entries):
            self._add(entry, f'{path}: box {position}', min_score)
        self._has_track_ids = all(track_id is not None for rows in self._rows.values() for _, track_id in rows)
        self._fits = False  # whether a frame was there that the file knows

    def _add(self, entry: Mapping[str, Any], label: str, min_score: float) -> None:
        """Keep a box of a person under the number or the file name of its frame."""
        if entry.get('category_id', 1) != 1:
            return
        key = next((entry[name] for name in ('image_name', 'frame_id', 'image_id') if name in entry), None)
        if not isinstance(key, int | str):
            raise ValueError(f'{label} needs an image_name, a frame_id or an image_id, it has {sorted(entry)}')
        left, top, width, height = numbers(entry.get('bbox'), f'{label}: bbox', count=4).tolist()
        (score,) = numbers([entry.get('score', 1.0)], f'{label}: score', count=1).tolist()
        track_id = entry.get('track_id')
        if track_id is not None and type(track_id) is not int:
            raise ValueError(f'{label}: track_id must be a whole number, or missing, got {track_id!r}')
        rows = self._rows[key]  # also where none of them is kept: the file knows the frame
        if score >= min_score and width > 0 and height > 0:
            rows.append(([left, top, left + width, top + height, score], track_id))

    def __call__(self, frames: Sequence[Frame]) -> list[PersonBoxes]:
        """The entries of the frames; nobody where there is none."""
        return [self._find(frame) for frame in frames]

    def _find(self, frame: Frame) -> PersonBoxes:
        parts = Path(frame.path).absolute().parts
        names = [str(Path(*parts[start:])) for start in range(len(parts))]
        key = next((key for key in (*names, frame.path, frame.index) if key in self._rows), None)
        rows = [] if key is None else self._rows[key]
        self._fits = self._fits or key is not None
        boxes = PersonBoxes.from_array([row for row, _ in rows], f'{self.path}, frame {frame.index}')
        return boxes._replace(track_ids=[track_id for _, track_id in rows]) if self._has_track_ids else boxes

    def warn_if_unused(self) -> None:
        """At the end of the video: say so if no frame was one of the file's."""
        if self._rows and not self._fits:
            print_log(
                f'nobody was found, because no frame is named in {self.path}, where the first one is '
                f'{next(iter(self._rows))!r}: name frames by the end of their path (image_name) or count them from 0 '
                '(frame_id)',
                logger='current',
                level=logging.WARNING,
            )


class DetectedBoxes:
    """People found by a detector of MMDetection.

    Args:
        detector: mmdet's `DetInferencer`.
        category_ids: which of its classes are people.
        min_score: detections below it are dropped.
        nms_threshold: of two boxes that overlap more than this (IoU), the better one stays.
    """

    looks_at_images = True

    def __init__(
        self, detector: Any, category_ids: Sequence[int], min_score: float = 0.3, nms_threshold: float = 0.3
    ) -> None:
        self.detector = detector
        self.category_ids = list(category_ids)
        self.min_score = min_score
        self.nms_threshold = nms_threshold

    def __call__(self, frames: Sequence[Frame]) -> list[PersonBoxes]:
        """Detect in all frames together."""
        if not frames:
            return []
        images = [frame.image for frame in frames]
        detected = self.detector(images, batch_size=len(images), return_datasamples=True)['predictions']
        return [
            self._select(sample.pred_instances, f'frame {frame.index}')
            for sample, frame in zip(detected, frames, strict=True)
        ]

    def _select(self, instances: Any, label: str) -> PersonBoxes:
        """Keep people with a score and an area."""
        instances = instances.cpu().numpy()
        rows = np.concatenate([instances.bboxes, instances.scores[:, None]], axis=1)  # [P, 5]
        rows = rows[np.isin(instances.labels, self.category_ids) & (instances.scores > self.min_score)]
        rows = rows[(rows[:, 2:4] > rows[:, :2]).all(axis=1)]
        return PersonBoxes.from_array(rows[nms(rows, self.nms_threshold)], label)


def find_people(frames: Sequence[Frame], finder: PersonFinder, before: PersonBoxes | None) -> list[PersonBoxes]:
    """Boxes for each frame. Where a frame cannot be read and the finder has to look, those of the frame before it.

    Args:
        frames: in order.
        finder: who finds them.
        before: the boxes of the frame before the first one; None where there is none.
    """
    is_visible = [frame.image is not None or not finder.looks_at_images for frame in frames]
    found = iter(finder([frame for frame, visible in zip(frames, is_visible, strict=True) if visible]))
    latest = before or PersonBoxes.from_array([], 'nobody')
    people = []
    for visible in is_visible:
        latest = next(found) if visible else latest
        people.append(latest)
    return people
