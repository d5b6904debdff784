"""Sequences of 2D and 3D poses, cut into chunks for lifting."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset, force_full_init
from mmengine.fileio import join_path
from mmengine.logging import print_log
from mmengine.utils import is_abs
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from ..evaluation.functional.camera_projection import mirror_camera
from .pose_chunks import chunk_frames, evaluation_starts, first_occurrences, training_starts


class PoseSequence(NamedTuple):
    """One person in one video.

    Attributes:
        name: of the video, the same for all people in it.
        subject: who is seen.
        action: text for prompts, if there is one.
        camera_index: which camera of the subject this is.
        camera: its nine numbers [9], see `evaluation.functional.camera_projection`; None if unknown.
        image_size: (width, height).
        keypoints_2d: [N, J, 2] float32, normalised screen coordinates.
        positions_3d: [N, J, 3] float32, metres, camera axes, absolute.
        valid: [N] bool, frames whose annotation is to be trusted.
        frame_ids: [N], frame numbers, ascending.
        person: which one of the video's people.
    """

    name: str
    subject: str
    action: str | None
    camera_index: int
    camera: np.ndarray | None
    image_size: tuple[int, int]
    keypoints_2d: np.ndarray
    positions_3d: np.ndarray
    valid: np.ndarray
    frame_ids: np.ndarray
    person: int = 0

    @property
    def label(self) -> str:
        """Name for messages."""
        return f'{self.name}, person {self.person}' if self.person else self.name


class PoseSequenceDataset(BaseDataset, metaclass=ABCMeta):
    """Chunks of F frames from sequences of poses: 2D inputs and 3D targets, as VideoPose3D, D3DP and FinePOSE cut them.

    In training chunks cover a sequence symmetrically and stand in the data set twice, as they are and mirrored. In
    testing (`test_mode=True`) they follow each other from the first frame on, the last chunk is the last F frames, and
    nothing is mirrored. Frames that are padding or that an earlier chunk has already are marked as not valid, so that
    metrics count every frame once.

    Args:
        ann_file: of the 3D poses.
        num_frames: F, frames of a chunk.
        stride: distance of training chunks; F by default: they do not overlap.
        mirror: whether to have mirrored chunks as well, in training; the default there.
        pad_short_sequences: repeat the edge frames of a sequence shorter than a chunk, instead of refusing it.
        subjects: whom to take; by default everybody in the file.
        data_root, metainfo, indices, serialize_data, pipeline, test_mode, lazy_init, max_refetch: as in MMEngine's
            BaseDataset.
    """

    ROOT_INDEX = 0

    def __init__(
        self,
        ann_file: str = '',
        num_frames: int = 243,
        stride: int | None = None,
        mirror: bool | None = None,
        pad_short_sequences: bool = False,
        subjects: Sequence[str] | None = None,
        data_root: str = '',
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if num_frames < 1 or (stride is not None and not 1 <= stride <= num_frames):
            raise ValueError(
                f'chunks need at least one frame and a stride from 1 to num_frames, got num_frames={num_frames} and '
                f'stride={stride}'
            )
        if test_mode and mirror:
            raise ValueError(
                'mirror=True is for training: in testing every frame counts once. A model looks at the mirrored view '
                'as well with test_cfg=dict(flip_test=True)'
            )
        self.num_frames = num_frames
        self.stride = stride
        self.mirror = not test_mode if mirror is None else mirror
        self.pad_short_sequences = pad_short_sequences
        self.subjects = None if subjects is None else tuple(subjects)
        self._sequences: list[PoseSequence] = []
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix={},
            metainfo=metainfo,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        """Skeleton, in MMPose's form."""
        return parse_pose_metainfo(deepcopy(cls.METAINFO if metainfo is None else metainfo))

    @abstractmethod
    def load_sequences(self) -> list[PoseSequence]:
        """Read all sequences of `self.subjects`."""

    @property
    def sequences(self) -> list[PoseSequence]:
        """All sequences, uncut."""
        self.full_init()
        return self._sequences

    def load_data_list(self) -> list[dict[str, Any]]:
        """Cut the sequences; an entry only says which frames of which sequence it is."""
        self._sequences = self.load_sequences()
        if not self._sequences:
            raise ValueError(f'{self.ann_file} has no sequences')
        entries = []
        for index, sequence in enumerate(self._sequences):
            self._check_sequence(sequence)
            total = len(sequence.positions_3d)
            if self.test_mode:
                starts = evaluation_starts(total, self.num_frames)
            else:
                starts = training_starts(total, self.num_frames, self.stride)
            is_first = first_occurrences(starts, self.num_frames, total)
            entries.extend(
                {'sequence_index': index, 'start': start, 'is_first': first, 'mirrored': mirrored}
                for start, first in zip(starts.tolist(), is_first, strict=True)
                for mirrored in ((False, True) if self.mirror else (False,))
            )
        frames = sum(len(sequence.positions_3d) for sequence in self._sequences)
        print_log(
            f'{type(self).__name__}: {len(self._sequences)} sequences, {frames} frames, {len(entries)} chunks of '
            f'{self.num_frames} from {self.ann_file}',
            logger='current',
        )
        return entries

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The poses of one chunk and what is known about them."""
        entry = super().get_data_info(idx)
        sequence = self._sequences[entry['sequence_index']]
        frames = chunk_frames(entry['start'], self.num_frames, len(sequence.positions_3d))
        keypoints_2d, positions, camera = sequence.keypoints_2d[frames], sequence.positions_3d[frames], sequence.camera
        flip_indices = self._metainfo['flip_indices']  # the property copies everything
        if entry['mirrored']:
            keypoints_2d = mirror_poses(keypoints_2d, flip_indices)
            positions = mirror_poses(positions, flip_indices)
            camera = None if camera is None else mirror_camera(camera)
        root = positions[:, self.ROOT_INDEX : self.ROOT_INDEX + 1]  # [F, 1, 3]
        annotated = sequence.valid[frames]
        return {
            'keypoints_2d': keypoints_2d,
            'lifting_target': positions - root,
            'root_trajectory': root,
            'frame_annotated': annotated,
            'frame_valid': annotated & entry['is_first'],
            'frame_ids': sequence.frame_ids[frames],
            'action': sequence.action,
            'subject': sequence.subject,
            'sequence': sequence.name,
            'person': sequence.person,
            'camera_index': sequence.camera_index,
            'camera': camera,
            'image_size': sequence.image_size,
            'mirrored': entry['mirrored'],
            'flip_indices': list(flip_indices),
            'root_index': self.ROOT_INDEX,
            'num_keypoints': positions.shape[1],
            'id': entry['sample_idx'],
            'category_id': 1,
            'sample_idx': entry['sample_idx'],
        }

    def _path(self, name: str) -> str:
        """A further file, relative to `data_root` as `ann_file` is."""
        return name if is_abs(name) or not self.data_root else join_path(self.data_root, name)

    def _selected(self, present: Mapping[str, Any] | Sequence[str], path: str) -> list[str]:
        """The subjects to be taken of those that a file has."""
        missing = [subject for subject in self.subjects or () if subject not in present]
        if missing:
            raise ValueError(f'{path} has no subject {", ".join(missing)}; it has {", ".join(present)}')
        return list(present if self.subjects is None else self.subjects)

    def _check_sequence(self, sequence: PoseSequence) -> None:
        """Refuse what cannot be cut or learned from."""
        joints, total = self._metainfo['num_keypoints'], len(sequence.positions_3d)
        expected = {'2D': (total, joints, 2), '3D': (total, joints, 3)}
        for kind, poses in (('2D', sequence.keypoints_2d), ('3D', sequence.positions_3d)):
            if poses.shape != expected[kind]:
                raise ValueError(f'{sequence.label}: expected {kind} poses {expected[kind]}, got {poses.shape}')
            finite = np.isfinite(poses).all(axis=(1, 2))
            if self.test_mode and kind == '3D':
                finite |= ~sequence.valid  # such frames never count, but in training they do
            if not finite.all():
                frame = int(np.argmin(finite))
                raise ValueError(f'{sequence.label}: the {kind} pose of frame {frame} is not finite')
        if total == 0:
            raise ValueError(f'{sequence.label} has no frames')
        if total < self.num_frames and not self.pad_short_sequences:
            raise ValueError(
                f'{sequence.label} has {total} frames, fewer than a chunk of {self.num_frames}: choose a smaller '
                'num_frames, or repeat its edge frames with pad_short_sequences=True'
            )


def mirror_poses(poses: np.ndarray, flip_indices: Sequence[int]) -> np.ndarray:
    """Left and right exchanged: x negated, joints swapped, of 2D or 3D poses [..., J, D]."""
    mirrored = poses[..., list(flip_indices), :]
    mirrored[..., 0] *= -1
    return mirrored


def split_people(poses: np.ndarray) -> list[np.ndarray]:
    """Poses [N, J, D] of one person, or [N, P, J, D] of several -> P arrays [N, J, D]."""
    return [poses] if poses.ndim == 3 else [poses[:, person] for person in range(poses.shape[1])]
