"""A detector's boxes for all labelled frames of a PoseTrack split, as evaluation reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.apis import DetInferencer
from mmengine.registry import DefaultScope

from ..datasets.posetrack_detection import labelled_images
from ..datasets.posetrack_files import read_annotations
from ..datasets.transforms.image_files import decode_image
from ..engine import find_config, load_weights


class LabelledFrame(NamedTuple):
    """A frame in which people are to be found."""

    image_id: Any
    image_name: str  # as in the annotations
    path: Path


def labelled_frames(annotations: str, images: str) -> list[LabelledFrame]:
    """All frames of a split in which people are annotated, or said to be absent; their files must be there.

    Args:
        annotations: folder with one json per video, or one merged json.
        images: folder that image names are relative to.
    """
    frames = [
        LabelledFrame(image['id'], image['file_name'], Path(images) / image['file_name'])
        for video in read_annotations(annotations)
        for image in labelled_images(video)
    ]
    if not frames:
        raise ValueError(f'no frame of {annotations} is labelled')
    missing = [frame.path for frame in frames if not frame.path.is_file()]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(frames)} images are missing, the first is {missing[0]}: names in {annotations} '
            f'start with {Path(frames[0].image_name).parts[0]}/, is {images} the folder that holds it?'
        )
    return frames


class SplitDetector:
    """Finds people with a detector of MMDetection.

    Args:
        config: path of a config, or the bare name of one of this package; one of its classes must be `person`.
        weights: checkpoint that fills the model.
        device: None: a GPU if there is one.
    """

    def __init__(self, config: str, weights: str, device: str | None = None) -> None:
        # The parts are built in mmdet's scope; whoever calls keeps the scope they had.
        with DefaultScope.overwrite_default_scope('mmdet'):
            self.inferencer = DetInferencer(str(find_config(config)), weights, device, show_progress=False)
        load_weights(self.inferencer.model, weights, allow_unexpected=True)  # DetInferencer would only log a misfit
        classes = self.inferencer.model.dataset_meta['classes']
        if 'person' not in classes:
            raise ValueError(f'{weights} detects no class person, but {", ".join(classes[:5])}')
        self.person_label = classes.index('person')

    def detect(self, frames: Sequence[LabelledFrame]) -> tuple[list[dict], list[Path]]:
        """Boxes in some frames, as COCO results with the image's name, and the paths of images that cannot be read."""
        images, broken = {}, []
        for frame in frames:
            try:
                images[frame] = decode_image(frame.path.read_bytes())
            except ValueError:
                broken.append(frame.path)
        if not images:
            return [], broken
        samples = self.inferencer(list(images.values()), batch_size=len(images), return_datasamples=True)['predictions']
        boxes = [
            dict(
                image_id=frame.image_id,
                image_name=frame.image_name,
                category_id=1,
                bbox=[left, top, right - left, bottom - top],
                score=score,
            )
            for frame, sample in zip(images, samples, strict=True)
            for (left, top, right, bottom), score in self._people(sample.pred_instances)
        ]
        return boxes, broken

    def _people(self, instances: Any) -> list[tuple[list[float], float]]:
        """Corners and score of each person, best first, as the detector gives them."""
        people = instances[instances.labels == self.person_label]
        return list(zip(people.bboxes.tolist(), people.scores.tolist(), strict=True))
