"""Each frame through the backbone once: crops that stand still, and the feature maps of the last frames.

The sliding window crops all T frames of a clip anew, around the key frame's box, so that each frame passes the backbone
T times for each person. Here a person's crop stands still while the person keeps its place in it. Then a frame's map is
the same in all clips it belongs to, and only the newest frame is unknown. When the crop has to move, the maps of the
earlier frames are not computed again but moved along: resampled to where the new crop looks. The key frame's own map is
always computed in the crop that stands then. Letting people wander through a crop that stands for long, and computing T
maps when they leave it, was tried first and lost several AP (docs/inference.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmpose.structures import PoseDataSample
from mmpose.structures.bbox import bbox_overlaps
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from ..datasets.transforms import SampleClip
from ..models.estimators import VideoTopdownPoseEstimator
from ..structures import FrameWindow
from .clip_window import KeyFrame, window_frames
from .frame_sources import Frame

MOST_SHIFT = 0.04  # of the crop's size: a person further from where it was when the crop was made gets a new crop
MOST_ZOOM = 1.05  # likewise a person that is larger or smaller by this factor
LONGEST_ABSENCE = 5  # frames after which nobody is recognised; counted in frames, so that batches do not matter
LEAST_OVERLAP = 0.2  # IoU of a person's boxes in two frames that follow each other


class Crop(NamedTuple):
    """A part of the picture, of a fixed size in pixels of the network."""

    box: np.ndarray  # [4], the person's when the crop was made; the pipeline crops around it
    center: np.ndarray  # [2] pixels of the image
    size: np.ndarray  # [2] likewise

    def holds(self, box: np.ndarray) -> bool:
        """Whether a person with this box [4] is still nearly where the crop was made for it."""
        shift = np.abs(box[:2] + box[2:] - self.box[:2] - self.box[2:]) / 2 / self.size
        # The crop has a shape of its own; what fills it more is what decides about its size.
        fill, fill_then = (((corners[2:] - corners[:2]) / self.size).max() for corners in (box, self.box))
        return bool((shift <= MOST_SHIFT).all() and 1 / MOST_ZOOM <= fill / fill_then <= MOST_ZOOM)


@dataclass
class PersonView:
    """A person in one frame: where it was cropped, and what the backbone made of it."""

    crop: Crop
    sample: PoseDataSample  # what the pipeline says about the crop
    image: Tensor | None  # [1, 3, H, W] uint8, until it has passed the backbone
    maps: Tensor | None = None  # [views, C, h, w] then; a frame that cannot be read has neither


@dataclass
class Walker:
    """A person on its way through the video."""

    box: np.ndarray  # [4], the latest
    last_index: int  # of the frame where it was seen last
    crop: Crop | None = None  # the one that stands
    views: dict[int, PersonView] = field(default_factory=dict)  # by frame index


class StreamedClip(NamedTuple):
    """A person in a key frame, as the temporal neck is going to see it."""

    views: list[PersonView]  # T
    crop: Crop  # the key frame's
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
        self.walkers: list[Walker] = []
        self.people: dict[int, list[Walker]] = {}  # of the frames at hand, in the order of their boxes

    @torch.no_grad()
    def __call__(self, keys: Sequence[KeyFrame]) -> list[list[PoseDataSample]]:
        """Poses of the people of some key frames."""
        clips = [self._clips(key) for key in keys]
        self._compute_maps()
        flat = [clip for clips_of_frame in clips for clip in clips_of_frame]
        predicted = iter([sample for batch in _batches(flat, self.batch_size) for sample in self._predict(batch)])
        self._forget(keys[-1].frame.index + 1 + self.frame_offsets[0])
        return [[next(predicted) for _ in clips_of_frame] for clips_of_frame in clips]

    def _clips(self, key: KeyFrame) -> list[StreamedClip]:
        """A clip for each person of a key frame; images that are new wait for the backbone."""
        if key.image is None:
            return []
        for frame in key.frames:  # the last of them is new, and the first key frame's all are
            if frame.index not in self.people:
                self._meet_people(frame, key.image)
        frames, is_real = window_frames(key, self.frame_offsets)
        clips = []
        for person, walker in enumerate(self.people[key.frame.index]):
            view = walker.views[key.frame.index]
            for frame in frames:
                if frame.index not in walker.views:  # nobody has seen this person there
                    walker.views[frame.index] = self._look(view.crop.box, frame.image)
            describe_person(view.sample, key.frame, person, self.frame_offsets, is_real)
            views = [walker.views[frame.index] for frame in frames]
            clips.append(StreamedClip(views, view.crop, is_real, view.sample))
        return clips

    def _meet_people(self, frame: Frame, stand_in: np.ndarray) -> None:
        """Find out who the people of the next frame are, and look at them; `stand_in` is for a broken picture."""
        walkers = self._recognise(frame.people.boxes, frame.index)
        for walker, box in zip(walkers, frame.people.boxes, strict=True):
            is_in_place = walker.crop is not None and walker.crop.holds(box)
            view = self._look(walker.crop.box if is_in_place else box, stand_in if frame.image is None else frame.image)
            if frame.image is None:
                view.image = None
            walker.box, walker.crop, walker.last_index = box, view.crop, frame.index
            walker.views[frame.index] = view
        self.people[frame.index] = walkers

    def _recognise(self, boxes: np.ndarray, frame_index: int) -> list[Walker]:
        """The walker of each box [P, 4]; who overlaps with nobody known is new."""
        owners: dict[int, Walker] = {}
        known = [walker for walker in self.walkers if frame_index - walker.last_index <= LONGEST_ABSENCE]
        if known and len(boxes):
            known_boxes = torch.from_numpy(np.stack([walker.box for walker in known]))
            overlaps = bbox_overlaps(known_boxes, torch.from_numpy(boxes)).numpy()
            for row, person in zip(*linear_sum_assignment(overlaps, maximize=True), strict=True):
                if overlaps[row, person] >= LEAST_OVERLAP:
                    owners[person] = known[row]
        found = [owners.get(person) or Walker(box, frame_index) for person, box in enumerate(boxes)]
        self.walkers += [walker for person, walker in enumerate(found) if person not in owners]
        return found

    def _look(self, box: np.ndarray, image: np.ndarray) -> PersonView:
        """Cut a box out of a picture, by the pipeline."""
        score = np.ones(1, dtype=np.float32)
        result = self.pipeline(
            dict(self.dataset_meta, frames=[image], key_frame_index=0, bbox=box[None], bbox_score=score)
        )
        sample = result['data_samples']
        center, size = (np.asarray(sample.metainfo[key], dtype=float) for key in ('input_center', 'input_scale'))
        return PersonView(Crop(box, center, size), sample, result['inputs'])

    def _compute_maps(self) -> None:
        """Let all images that wait pass the backbone."""
        waiting = [view for walker in self.walkers for view in walker.views.values() if view.image is not None]
        for views in _batches(waiting, self.batch_size):
            for view, maps in zip(views, self._frame_maps([view.image for view in views]), strict=True):
                view.image, view.maps = None, maps

    def _frame_maps(self, images: Sequence[Tensor]) -> Tensor:
        """Maps [N, views, C, h, w] of N cut-out images [1, 3, H, W]; two views for a flip test, else one."""
        data = self.model.data_preprocessor(pseudo_collate([{'inputs': image} for image in images]), False)
        inputs = data['inputs'][:, 0]  # [N, 3, H, W]
        views = [inputs, inputs.flip(-1)] if self.model.test_cfg.get('flip_test', False) else [inputs]
        return torch.stack([self.model.extract_frame_maps(view) for view in views], dim=1)

    def _predict(self, clips: Sequence[StreamedClip]) -> list[PoseDataSample]:
        """Fuse the maps of some clips and read the poses off them."""
        maps = torch.stack(
            [torch.stack([moved_maps(view.maps, view.crop, clip.crop) for view in clip.views]) for clip in clips]
        )  # [B, T, views, C, h, w]
        window = FrameWindow(
            torch.tensor([self.frame_offsets] * len(clips), device=maps.device),
            torch.tensor([clip.is_real for clip in clips], device=maps.device),
            self.frame_offsets.index(0),
        )
        features = [self.model.fuse_frame_maps(maps[:, :, view], window) for view in range(maps.shape[2])]
        samples = [clip.sample for clip in clips]
        return list(self.model.predict_from_features(features if len(features) > 1 else features[0], samples))

    def _forget(self, first_index: int) -> None:
        """Drop what is known of frames before this one, and people whom nobody would recognise any more."""
        self.people = {index: people for index, people in self.people.items() if index >= first_index}
        for walker in self.walkers:
            walker.views = {index: view for index, view in walker.views.items() if index >= first_index}
        self.walkers = [
            walker for walker in self.walkers if walker.views or first_index - walker.last_index <= LONGEST_ABSENCE
        ]


def moved_maps(maps: Tensor, source: Crop, target: Crop) -> Tensor:
    """Maps [views, C, h, w] of one crop as they would look in another; the second view is mirrored.

    What lies outside the source is taken from its border.
    """
    if np.array_equal(source.center, target.center) and np.array_equal(source.size, target.size):
        return maps
    scale = target.size / source.size
    shift = 2 * (target.center - source.center) / source.size  # grid_sample counts from -1 to 1
    signs = [1, -1][: len(maps)]
    transforms = [[[scale[0], 0, sign * shift[0]], [0, scale[1], shift[1]]] for sign in signs]
    theta = torch.tensor(np.array(transforms), dtype=maps.dtype, device=maps.device)
    grid = functional.affine_grid(theta, list(maps.shape), align_corners=False)
    return functional.grid_sample(maps, grid, padding_mode='border', align_corners=False)


def describe_person(
    sample: PoseDataSample, frame: Frame, person: int, frame_offsets: Sequence[int], is_real: Sequence[bool]
) -> None:
    """Let a sample say about a person of a key frame what it would say in evaluation."""
    sample.set_metainfo(
        dict(
            img_path=frame.path,
            img_id=frame.index,
            id=person,
            frame_offsets=tuple(frame_offsets),
            frame_is_real=tuple(is_real),
            clip_key_index=frame_offsets.index(0),
        )
    )
    sample.gt_instances.bboxes = frame.people.boxes[person : person + 1]
    sample.gt_instances.bbox_scores = frame.people.scores[person : person + 1]


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
