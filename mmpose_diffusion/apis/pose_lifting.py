"""From the tracked 2D poses of a video to 3D poses: tracks to sequences, sequences to clips, and back."""

from __future__ import annotations

import logging
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from mmpose.apis import convert_keypoint_definition
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from ..datasets.human36m_sequence import Human36mSequenceDataset
from ..datasets.pose_chunks import chunk_frames, evaluation_starts, first_occurrences
from ..engine import load_config, load_weights
from ..evaluation.functional.camera_projection import normalise_points
from ..models.denoisers.part_aware_prompts import ACTION
from ..models.estimators import DiffusionPoseLifter

MAX_GAP = 15  # frames; as long as PoseTracker remembers somebody it does not see


class Sighting(NamedTuple):
    """A person in a frame."""

    frame: int
    keypoints: np.ndarray  # [J, 2] pixels, the joints of Human3.6M
    image_size: tuple[int, int]  # width, height


class TrackSequence(NamedTuple):
    """A person through consecutive frames of one size."""

    track_id: int
    first_frame: int
    keypoints: np.ndarray  # [N, J, 2] pixels, without gaps
    is_seen: np.ndarray  # [N] bool; the other frames are interpolated
    image_size: tuple[int, int]  # width, height


def to_human36m_joints(keypoints: np.ndarray, metainfo: Mapping[str, Any]) -> np.ndarray:
    """Keypoints [N, K, 2] of a data set -> the 17 joints of Human3.6M [N, 17, 2], as MMPose makes them.

    COCO and PoseTrack lack four of them: hips' and shoulders' middles stand for pelvis and thorax, the middle of these
    for the spine, and for the head that of the eyes (COCO) or of neck and crown (PoseTrack).
    """
    name = str(metainfo['dataset_name'])
    try:
        joints = convert_keypoint_definition(keypoints, name, 'h36m')
    except NotImplementedError:
        joints = None
    if joints is None or joints.shape[1:] != (17, 2):
        raise ValueError(
            f'the {keypoints.shape[1]} keypoints of {name} cannot be made the 17 joints of Human3.6M, which the lifter '
            'reads: use a 2D model with the keypoints of COCO, PoseTrack or Human3.6M'
        )
    return joints


class PoseTracks:
    """Who was where, frame after frame: all that lifting has to remember of a video."""

    def __init__(self) -> None:
        self._sightings: dict[int, list[Sighting]] = {}

    def add(self, frame: int, track_ids: Sequence[int], joints: np.ndarray, image_size: tuple[int, int]) -> None:
        """Note the people of the next frame: ids [P], joints [P, J, 2] in pixels."""
        if len(set(map(int, track_ids))) < len(track_ids):
            raise ValueError(f'frame {frame} has two people of one track id {list(map(int, track_ids))}: who is who?')
        for track_id, pose in zip(track_ids, joints, strict=True):
            sighting = Sighting(frame, np.array(pose, dtype=np.float32), image_size)
            self._sightings.setdefault(int(track_id), []).append(sighting)

    def sequences(self, max_gap: int = MAX_GAP) -> Iterator[TrackSequence]:
        """Each track as sequences without gaps.

        Where somebody is missing for at most `max_gap` frames, the poses between are interpolated linearly. After a
        longer absence, or where the picture changes its size, another sequence begins.
        """
        for track_id, sightings in sorted(self._sightings.items()):
            start = 0
            for index in range(1, len(sightings) + 1):
                if index == len(sightings) or _are_apart(sightings[index - 1], sightings[index], max_gap):
                    yield filled_sequence(track_id, sightings[start:index])
                    start = index


def _are_apart(one: Sighting, other: Sighting, max_gap: int) -> bool:
    return other.frame - one.frame - 1 > max_gap or other.image_size != one.image_size


def filled_sequence(track_id: int, sightings: Sequence[Sighting]) -> TrackSequence:
    """A sequence from the first to the last sighting; gaps are filled along straight lines."""
    seen = np.array([sighting.frame for sighting in sightings])
    poses = np.stack([sighting.keypoints for sighting in sightings])
    frames = np.arange(seen[0], seen[-1] + 1)
    after = np.searchsorted(seen, frames)  # the sighting in each frame, or the next one
    before = np.where(seen[after] == frames, after, after - 1)
    share = (frames - seen[before]) / np.maximum(seen[after] - seen[before], 1)  # [N], of the way to the next one
    keypoints = poses[before] + (share[:, None, None] * (poses[after] - poses[before])).astype(np.float32)
    return TrackSequence(track_id, int(frames[0]), keypoints, np.isin(frames, seen), sightings[0].image_size)


def clips_of(poses: np.ndarray, length: int) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Cut a sequence [N, ...] as in testing.

    Yields the first frame of each clip, the clip [length, ...], the frames [length] it is made of, and a mask [length]
    of those that belong to it alone: each of the N frames once. A short sequence is padded with its last pose.
    """
    starts = evaluation_starts(len(poses), length)
    for start, own in zip(starts.tolist(), first_occurrences(starts, length, len(poses)), strict=True):
        frames = chunk_frames(start, length, len(poses))
        yield start, poses[frames], frames, own


class WaitingSamples:
    """Data samples that wait on disk for being lifted, so that they take no memory; a context."""

    def __enter__(self) -> WaitingSamples:
        self._file = tempfile.TemporaryFile()
        self._count = 0
        return self

    def append(self, sample: PoseDataSample) -> None:
        """Put one more at the end."""
        pickle.dump(sample, self._file, pickle.HIGHEST_PROTOCOL)
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[PoseDataSample]:
        self._file.seek(0)
        for _ in range(self._count):
            yield pickle.load(self._file)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


class TrackLifter:
    """Lifts sequences with a `DiffusionPoseLifter` (D3DP, FinePOSE, regression) that knows the joints of Human3.6M.

    Args:
        config: path, name or config of the lifter.
        weights: its checkpoint.
        device: where it computes.
    """

    def __init__(self, config: str | Config | ConfigDict, weights: str | None, device: torch.device | str) -> None:
        name = config if isinstance(config, str) else 'the config'
        config = load_config(config) if isinstance(config, str) else config
        with DefaultScope.overwrite_default_scope('mmpose'):
            type_name = config.get('model', {}).get('type')
            kind = MODELS.get(type_name) if type_name else None
            if kind is None or not issubclass(kind, DiffusionPoseLifter):
                raise ValueError(
                    f'pose3d={name}: its model is {kind.__name__ if kind else "missing"}, not a DiffusionPoseLifter; '
                    "use a config of configs/body_3d_video, or MMPose's Pose3DInferencer for MMPose's lifters"
                )
            self.metainfo = parse_pose_metainfo(dict(Human36mSequenceDataset.METAINFO))
            skeleton = dataset_meta_from_config(config, 'test') or self.metainfo
            if skeleton['dataset_name'] != self.metainfo['dataset_name']:
                raise ValueError(
                    f'pose3d={name} lifts the joints of {skeleton["dataset_name"]}; 2D poses can be made those of '
                    'Human3.6M only: use a lifter that was trained on Human3.6M'
                )
            if weights is None:
                raise ValueError('pose3d_weights is missing: the checkpoint of the lifter')
            self.model = MODELS.build(config.model)
        load_weights(self.model, weights)
        self.model.to(device).eval()
        self._test_cfg = dict(self.model.test_cfg or {})  # the config's; `lift` puts a caller's in its place
        trunk = getattr(self.model.head, 'trunk', None) or self.model.head.denoiser.trunk
        self.num_frames, self.num_joints = trunk.num_frames, trunk.num_joints
        if self.num_joints != self.metainfo['num_keypoints']:
            raise ValueError(
                f'pose3d={name} lifts {self.num_joints} joints; 2D poses can be made the '
                f'{self.metainfo["num_keypoints"]} of Human3.6M only'
            )

    @property
    def samples(self) -> bool:
        """Whether it generates poses by diffusion."""
        return hasattr(self.model.head, 'sample_poses')

    @property
    def meta(self) -> dict[str, Any]:
        """What readers of the 3D poses have to know."""
        names = self.metainfo['keypoint_id2name']
        return {
            'keypoint_3d_names': [names[index] for index in range(self.num_joints)],
            'skeleton_3d_links': [list(link) for link in self.metainfo['skeleton_links']],
            'keypoints_3d': 'metres relative to the root joint, in camera axes (x right, y down, z away from it)',
            'root_joint': names[Human36mSequenceDataset.ROOT_INDEX],
        }

    @torch.no_grad()
    def check(self, action: str | None, sampling: Mapping[str, Any]) -> dict[str, Any]:
        """The config's `test_cfg` with the caller's wishes; refuses, before the work, what lifting would refuse."""
        self._check_action(action)
        test_cfg = {**self._test_cfg, **sampling}
        self.model.head.check_test_cfg(test_cfg)
        if self.samples:  # reads the texts, for which weights may be missing
            weight = next(self.model.parameters())
            self.model.head.denoiser.prepare(weight.new_zeros(1, self.num_frames, self.num_joints, 2), [action])
        return test_cfg

    def _check_action(self, action: str | None) -> None:
        """An action is needed, or has no effect, or is not known."""
        prompts = getattr(getattr(self.model.head, 'denoiser', None), 'part_prompts', None)
        texts = [text for text, _ in prompts.prompts] if prompts is not None else []
        if ACTION not in texts:
            if action is not None:
                raise ValueError(f'action={action!r} has no effect: this lifter has no prompt about the action')
            return
        listed = getattr(prompts.text_encoder, 'texts', None)
        known = None if listed is None else [text for text in listed if text not in texts]
        choice = 'any text' if known is None else f'one of {", ".join(known)}'
        if not action:
            raise ValueError(f'this lifter is told what the person does: give action, {choice}')
        if known is not None and action not in known:
            raise ValueError(f'this lifter does not know action={action!r}: give {choice}')

    def lift(
        self, sequences: Iterable[TrackSequence], action: str | None, test_cfg: dict[str, Any]
    ) -> dict[int, dict[int, np.ndarray]]:
        """3D poses [J, 3] by frame and track id, one for every sighting."""
        self.model.test_cfg = test_cfg
        poses: dict[int, dict[int, np.ndarray]] = {}
        num_filled, in_tracks = 0, set()
        for sequence in sequences:
            lifted = self.lift_sequence(sequence, action)
            for index in np.flatnonzero(sequence.is_seen).tolist():
                poses.setdefault(sequence.first_frame + index, {})[sequence.track_id] = lifted[index]
            if not sequence.is_seen.all():
                num_filled += int((~sequence.is_seen).sum())
                in_tracks.add(sequence.track_id)
        if num_filled:
            print_log(
                f'for lifting, {num_filled} poses in the gaps of {len(in_tracks)} tracks were interpolated in 2D '
                f'(track ids {", ".join(map(str, sorted(in_tracks)))}); they are not among the results',
                logger='current',
                level=logging.WARNING,
            )
        return poses

    def lift_sequence(self, sequence: TrackSequence, action: str | None = None) -> np.ndarray:
        """3D poses [N, J, 3] of a sequence, by the model's `test_cfg`.

        Clip by clip, so that no result depends on what else is in the video or on the size of a batch; a clip of many
        frames and hypotheses is batch enough.
        """
        keypoints = normalise_points(sequence.keypoints, sequence.image_size).astype(np.float32)
        poses = np.empty((*keypoints.shape[:2], 3), dtype=np.float32)
        for start, clip, frames, own in clips_of(keypoints, self.num_frames):
            metainfo = dict(
                img_id=sequence.track_id,  # with `id` this decides about the noise
                id=sequence.first_frame + start,
                sequence=f'track {sequence.track_id}',
                action=action,
                image_size=sequence.image_size,
                flip_indices=self.metainfo['flip_indices'],
                root_index=Human36mSequenceDataset.ROOT_INDEX,
            )
            data = dict(inputs=torch.from_numpy(clip), data_samples=PoseDataSample(metainfo=metainfo))
            with torch.no_grad():
                (sample,) = self.model.test_step(pseudo_collate([data]))
            poses[frames[own]] = sample.pred_instances.keypoints[own]
        return poses
