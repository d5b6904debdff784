"""Who is who from frame to frame: ids for the people of a video, one frame after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmpose.evaluation.functional.nms import oks_iou
from mmpose.structures.bbox import bbox_overlaps
from scipy.optimize import linear_sum_assignment


class PoseTracker:
    """Gives each person an id that stays while the person is seen, and after an absence of a few frames.

    A person's box and pose are expected where constant velocity has carried them. The people of a frame are assigned to
    the known ones such that the sum of similarities (the mean of IoU and OKS) is greatest; whoever is like nobody known
    gets the next free id. MMDetection's trackers look at boxes alone, which hardly tell apart two people who pass each
    other, and most of them need packages that it does not install.

    Tracks one video; make another tracker for the next.

    Args:
        sigmas: [K], how precisely each keypoint is annotated (`sigmas` of the data set's metainfo).
        min_similarity: a person less like a known one than this is somebody else.
        max_missing_frames: people not seen for more frames than this are forgotten.
        min_keypoint_score: keypoints below this score do not count.
    """

    def __init__(
        self,
        sigmas: Sequence[float],
        min_similarity: float = 0.15,
        max_missing_frames: int = 15,
        min_keypoint_score: float = 0.2,
    ) -> None:
        self.sigmas = np.asarray(sigmas, dtype=np.float64)
        self.min_similarity = min_similarity
        self.max_missing_frames = max_missing_frames
        self.min_keypoint_score = min_keypoint_score
        self._tracks: list[Track] = []
        self._next_id = 0

    def update(self, boxes: np.ndarray, keypoints: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Ids [N] (int64, from 0 on) of the N people in the next frame; call it for frames without people too.

        Args:
            boxes: [N, 4], left, top, right, bottom.
            keypoints: [N, K, 2], in pixels of the image like the boxes.
            scores: [N, K], of the keypoints.
        """
        people = self._checked_people(boxes, keypoints, scores)
        for track in self._tracks:
            track.missing_frames += 1
        similarities = self.similarities([track.predicted() for track in self._tracks], people)
        similarities[similarities < self.min_similarity] = 0  # so that an impossible pair does not cost a good one
        ids = np.full(len(people), -1, dtype=np.int64)
        for row, column in zip(*linear_sum_assignment(similarities, maximize=True), strict=True):
            if similarities[row, column] > 0:
                self._tracks[row].see(people[column])
                ids[column] = self._tracks[row].id
        for column in np.flatnonzero(ids < 0):
            ids[column] = self._next_id
            self._tracks.append(Track(self._next_id, people[column]))
            self._next_id += 1
        self._tracks = [track for track in self._tracks if track.missing_frames <= self.max_missing_frames]
        return ids

    def similarities(self, known: Sequence[Person], people: Sequence[Person]) -> np.ndarray:
        """Similarity [M, N] in [0, 1] of M known people and N others: mean of IoU and OKS, 0 if boxes do not touch."""
        if not known or not people:
            return np.zeros((len(known), len(people)))
        known_boxes, boxes = (torch.tensor(np.stack([one.box for one in group])) for group in (known, people))
        ious = bbox_overlaps(known_boxes, boxes).numpy()
        triplets, areas = np.stack([one.triplets.ravel() for one in people]), np.array([one.area for one in people])
        similarities = np.zeros(ious.shape)
        for row, one in enumerate(known):
            near = np.flatnonzero(ious[row])  # whose boxes do not even touch are not compared further
            oks = oks_iou(
                one.triplets.ravel(), triplets[near], one.area, areas[near], self.sigmas, self.min_keypoint_score
            )
            similarities[row, near] = (ious[row, near] + oks) / 2
        return similarities

    def _checked_people(self, boxes: np.ndarray, keypoints: np.ndarray, scores: np.ndarray) -> list[Person]:
        """Put the arrays of a frame together, one person each; refuse what does not fit or is not finite."""
        count, num_keypoints = len(boxes), len(self.sigmas)
        expected = dict(boxes=(count, 4), keypoints=(count, num_keypoints, 2), scores=(count, num_keypoints))
        given = dict(boxes=boxes, keypoints=keypoints, scores=scores)
        arrays = {name: np.asarray(values, dtype=np.float64) for name, values in given.items()}
        for name, shape in expected.items():
            if arrays[name].shape != shape and (count or arrays[name].size):
                raise ValueError(
                    f'PoseTracker: {name} of {count} people with {num_keypoints} keypoints (as many as sigmas) must be '
                    f'{list(shape)}, got {list(arrays[name].shape)}'
                )
            if not np.isfinite(arrays[name]).all():
                raise ValueError(f'PoseTracker: {name} hold NaN or infinity')
        return [
            Person(box, np.hstack([pose, score[:, None]]))
            for box, pose, score in zip(arrays['boxes'], arrays['keypoints'], arrays['scores'], strict=True)
        ]


@dataclass(frozen=True)
class Person:
    """Somebody in a frame."""

    box: np.ndarray  # [4], left, top, right, bottom
    triplets: np.ndarray  # [K, 3]: x, y, score

    @property
    def center(self) -> np.ndarray:
        """Center [2] of the box."""
        return self.box.reshape(2, 2).mean(axis=0)

    @property
    def area(self) -> float:
        """Area of the box, of an empty one too small to matter."""
        return float(np.prod(np.maximum(self.box[2:] - self.box[:2], 1e-6)))

    def moved(self, distance: np.ndarray) -> Person:
        """The same person somewhere else; distance [2]."""
        return Person(self.box + np.tile(distance, 2), self.triplets + np.append(distance, 0))


@dataclass
class Track:
    """A known person: where last seen, how long ago, and how fast."""

    id: int
    last: Person
    missing_frames: int = 0
    velocity: np.ndarray | None = None  # [2], pixels per frame; None until seen twice

    def predicted(self) -> Person:
        """Where the person should be now."""
        return self.last if self.velocity is None else self.last.moved(self.velocity * self.missing_frames)

    def see(self, person: Person) -> None:
        """Note where the person is; velocity is a running mean, as boxes tremble."""
        latest = (person.center - self.last.center) / self.missing_frames
        self.velocity = latest if self.velocity is None else (self.velocity + latest) / 2
        self.last, self.missing_frames = person, 0
