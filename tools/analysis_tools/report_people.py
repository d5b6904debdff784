"""What the report keeps of an evaluation: every joint's error, and the best and the worst people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.structures import PoseDataSample
from tqdm import tqdm

from mmpose_diffusion.evaluation.metrics.annotated_person import annotated_head_size
from mmpose_diffusion.visualization.person_pictures import annotated_keypoints

FEWEST_JOINTS = 8  # a person with fewer annotated joints is no fair example of good or bad
HEADS, BOXES = 'head sizes', 'box diagonals'


class Person(NamedTuple):
    """One evaluated person."""

    sample: PoseDataSample
    errors: np.ndarray  # [K] in units of the keeper, NaN where nothing is annotated

    @property
    def mean_error(self) -> float:
        """Mean over the annotated joints."""
        return float(np.nanmean(self.errors))


class Extremes:
    """The people with the highest value, at most one of each video, in bounded memory."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._best: dict[str, tuple[float, Person]] = {}  # by video

    def offer(self, value: float, person: Person) -> None:
        """Keep this person if it belongs to the highest so far."""
        video = str(person.sample.get('video') or person.sample.img_path)
        if video not in self._best or value > self._best[video][0]:
            self._best[video] = (value, person)
        if len(self._best) > self.number:
            del self._best[min(self._best, key=lambda name: self._best[name][0])]

    def people(self) -> list[Person]:
        """Those kept, the highest first."""
        return [person for _, person in sorted(self._best.values(), key=lambda entry: -entry[0])]


class PeopleKeeper(Hook):
    """Notes the errors of all people and keeps the best and the worst of them.

    Errors are in head sizes of PoseTrack, or in diagonals of the box where a data set has no heads. Without annotation
    in the samples (boxes of a detector) there is nothing to note.
    """

    def __init__(self, number: int = 6) -> None:
        self.best, self.worst = Extremes(number), Extremes(number)
        self.unit: str | None = None
        self._errors: list[np.ndarray] = []
        self.num_people = 0

    @property
    def errors(self) -> np.ndarray:
        """Errors of all people [P, K]."""
        return np.stack(self._errors) if self._errors else np.empty((0, 0))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[PoseDataSample] | None = None
    ) -> None:
        """Note the people of a batch."""
        self.num_people += len(outputs)
        for sample in outputs:
            annotated = annotated_keypoints(sample)
            if annotated is None:
                continue
            annotation = sample.raw_ann_info
            if self.unit is None:
                self.unit = HEADS if annotation.get('bbox_head') else BOXES
            keypoints, is_annotated = annotated
            distances = np.linalg.norm(np.asarray(sample.pred_instances.keypoints)[0, :, :2] - keypoints, axis=-1)
            size = annotated_head_size(annotation) if self.unit == HEADS else box_diagonal(annotation)
            errors = np.where(is_annotated & (size > 0), distances / size, np.nan)
            self._errors.append(errors)
            if np.isfinite(errors).sum() >= FEWEST_JOINTS:
                person = Person(sample, errors)
                self.worst.offer(person.mean_error, person)
                self.best.offer(-person.mean_error, person)


class ProgressBar(Hook):
    """Shows how many people of a test are done."""

    def __init__(self, title: str) -> None:
        self.title = title

    def before_test_epoch(self, runner: Runner) -> None:
        """Start."""
        self.bar = tqdm(total=len(runner.test_dataloader.dataset), desc=self.title, unit='person')

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Count a batch."""
        self.bar.update(len(outputs))

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """End."""
        self.bar.close()


def box_diagonal(annotation: Mapping[str, Any]) -> float:
    """Diagonal of an annotation's box in pixels."""
    return float(np.hypot(*annotation['bbox'][2:4]))
