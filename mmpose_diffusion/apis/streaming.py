"""Each frame through the backbone once: crops that stand still, and the feature maps of their last frames.

The sliding window crops all T frames of a clip anew around the key frame's box, so that every frame passes the backbone
T times. But while a person stays inside a crop, the crop can stay where it is; then the map of a frame is the same in
all clips, and only the newest frame is unknown. When a crop has to move, the T frames around the key frame are computed
for the new place. So a crop that stands for L frames costs 1 + (T - 1) / L passes for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmpose.structures import PoseDataSample
from mmpose.structures.bbox import bbox_overlaps
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ..datasets.transforms import SampleClip
from ..models.estimators import VideoTopdownPoseEstimator
from ..structures import ClipFeatures, FrameWindow
from .clip_window import KeyFrame, window_frames
from .frame_sources import Frame

LEAST_FILL = 0.65  # of the crop by its person, along the fuller axis; a fresh crop with padding 1.25 is filled to 0.8
LEAST_OVERLAP = 0.2  # IoU of a person's boxes in two frames that follow each other


@dataclass
class StandingCrop:
    """A crop that stays where it is while its person stays inside."""

    box: np.ndarray  # [4], the person's when the crop was made; the pipeline crops around it
    latest_box: np.ndarray  # [4], where its person was seen last
    sample: PoseDataSample | None = None  # what the pipeline says about the crop
    maps: dict[int, Tensor] = field(default_factory=dict)  # frame index -> [views, C, h, w]

    def holds(self, box: np.ndarray) -> bool:
        """Whether a person with this box [4] is wholly inside the crop, and not too small for it."""
        center, size = (np.asarray(self.sample.metainfo[key]) for key in ('input_center', 'input_scale'))
        is_inside = (box[:2] >= center - size / 2).all() and (box[2:] <= center + size / 2).all()
        return bool(is_inside and ((box[2:] - box[:2]) / size).max() >= LEAST_FILL)


class StreamedClip(NamedTuple):
    """A person in a key frame, as the temporal neck is going to see it."""

    crop: StandingCrop
    frame_indices: list[int]  # T, whose maps it is made of
    is_real: list[bool]  # T
    sample: PoseDataSample


class StreamingEstimator:
    """Estimates the poses of a video's key frames in their order.

    Args:
        model: how frames become maps, maps clips, and clips poses.
        pipeline: the config's test pipeline; it is run on clips of a single frame.
        frame_offsets: T offsets of a clip's frames.
        dataset_meta: what a data set would tell the pipeline.
        batch_size: how many images or clips the network sees at once.
    """

    def __init__(
        self,
        model: VideoTopdownPoseEstimator,
        pipeline: Compose,
        frame_offsets: Sequence[int],
        dataset_meta: Mapping[str, Any],
        batch_size: int,
    ) -> None:
        self.model = model
        self.pipeline = Compose(
            [SampleClip((0,)) if isinstance(step, SampleClip) else step for step in pipeline.transforms]
        )
        self.frame_offsets = tuple(frame_offsets)
        self.dataset_meta = dataset_meta
        self.batch_size = batch_size
        self.crops: list[StandingCrop] = []

    @torch.no_grad()
    def __call__(self, keys: Sequence[KeyFrame]) -> list[list[PoseDataSample]]:
        """Poses of the people of some key frames."""
        new_images: list[tuple[StandingCrop, int, Tensor]] = []
        clips = [self._clips(key, new_images) for key in keys]
        for images in _batches(new_images, self.batch_size):
            maps = self._frame_maps([image for _, _, image in images])
            for (crop, index, _), views in zip(images, maps, strict=True):
                crop.maps[index] = views
        flat = [clip for clips_of_frame in clips for clip in clips_of_frame]
        predicted = iter([sample for batch in _batches(flat, self.batch_size) for sample in self._predict(batch)])
        self._forget(keys[-1].frame.index + 1 + self.frame_offsets[0])
        return [[next(predicted) for _ in clips_of_frame] for clips_of_frame in clips]

    def _clips(self, key: KeyFrame, new_images: list[tuple[StandingCrop, int, Tensor]]) -> list[StreamedClip]:
        """A clip for each person; images whose maps are not known yet are added to `new_images`."""
        if key.image is None:
            return []
        frames, is_real = window_frames(key, self.frame_offsets)
        people = key.frame.people
        clips = []
        for person, crop in enumerate(self._place_crops(key, people.boxes)):
            for frame in frames:
                if frame.index not in crop.maps:
                    crop.maps[frame.index] = torch.empty(0)  # its turn comes with the batch
                    new_images.append((crop, frame.index, self._cut_out(crop.box, frame)['inputs']))
            sample = self._describe(crop, key.frame, person, is_real)
            clips.append(StreamedClip(crop, [frame.index for frame in frames], is_real, sample))
        return clips

    def _place_crops(self, key: KeyFrame, boxes: np.ndarray) -> list[StandingCrop]:
        """The crop of each person [P, 4]: the one that the same person had, if it still holds them."""
        known = self.crops
        owner: dict[int, StandingCrop] = {}
        if known and len(boxes):
            overlaps = bbox_overlaps(
                torch.from_numpy(np.stack([crop.latest_box for crop in known])), torch.from_numpy(boxes)
            ).numpy()
            for row, person in zip(*linear_sum_assignment(overlaps, maximize=True), strict=True):
                if overlaps[row, person] >= LEAST_OVERLAP:
                    owner[person] = known[row]
        placed = []
        for person, box in enumerate(boxes):
            crop = owner.get(person)
            if crop is None or not crop.holds(box):
                new = StandingCrop(box, box)
                new.sample = self._cut_out(box, key.frame._replace(image=key.image))['data_samples']
                self.crops = [new if other is crop else other for other in self.crops] if crop else [*self.crops, new]
                crop = new
            crop.latest_box = box
            placed.append(crop)
        return placed

    def _cut_out(self, box: np.ndarray, frame: Frame) -> dict:
        """Run the pipeline on one frame: inputs [1, 3, H, W] and what it says about the crop."""
        return self.pipeline(
            dict(
                self.dataset_meta,
                frames=[frame.image],
                key_frame_index=0,
                img_path=frame.path,
                bbox=box[None],
                bbox_score=np.ones(1, dtype=np.float32),
            )
        )

    def _describe(self, crop: StandingCrop, frame: Frame, person: int, is_real: Sequence[bool]) -> PoseDataSample:
        """The crop's sample, about a person in a frame."""
        sample = deepcopy(crop.sample)
        sample.set_metainfo(
            dict(
                img_path=frame.path,
                img_id=frame.index,
                id=person,
                frame_offsets=self.frame_offsets,
                frame_is_real=tuple(is_real),
                clip_key_index=self.frame_offsets.index(0),
            )
        )
        sample.gt_instances.bboxes = frame.people.boxes[person : person + 1]
        sample.gt_instances.bbox_scores = frame.people.scores[person : person + 1]
        return sample

    def _frame_maps(self, images: Sequence[Tensor]) -> Tensor:
        """Maps [N, views, C, h, w] of N cut-out images [1, 3, H, W]; two views for a flip test, else one."""
        data = self.model.data_preprocessor(pseudo_collate([{'inputs': image} for image in images]), False)
        inputs = data['inputs'][:, 0]  # [N, 3, H, W]
        views = [inputs, inputs.flip(-1)] if self.model.test_cfg.get('flip_test', False) else [inputs]
        return torch.stack([self.model.extract_frame_maps(view) for view in views], dim=1)

    def _predict(self, clips: Sequence[StreamedClip]) -> list[PoseDataSample]:
        """Fuse the maps of some clips and read the poses off them."""
        maps = torch.stack([torch.stack([clip.crop.maps[index] for index in clip.frame_indices]) for clip in clips])
        window = FrameWindow(
            torch.tensor([self.frame_offsets] * len(clips), device=maps.device),
            torch.tensor([clip.is_real for clip in clips], device=maps.device),
            self.frame_offsets.index(0),
        )
        features: list[ClipFeatures] = [  # maps [B, T, views, C, h, w]
            self.model.fuse_frame_maps(maps[:, :, view], window) for view in range(maps.shape[2])
        ]
        samples = [clip.sample for clip in clips]
        return list(self.model.predict_from_features(features if len(features) > 1 else features[0], samples))

    def _forget(self, first_index: int) -> None:
        """Drop the maps of frames before this one, and crops that have none left: their people are gone."""
        for crop in self.crops:
            crop.maps = {index: views for index, views in crop.maps.items() if index >= first_index}
        self.crops = [crop for crop in self.crops if crop.maps]


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
