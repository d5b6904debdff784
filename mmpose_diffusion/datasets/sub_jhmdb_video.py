"""Clips of sub-JHMDB, the part of JHMDB in which people are visible from head to foot."""

from __future__ import annotations

import os.path as osp
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from mmpose.datasets.datasets.body import JhmdbDataset
from mmpose.registry import DATASETS

from .posetrack_files import VideoAnnotations, frame_files, is_folder, read_annotations
from .sub_jhmdb_files import NUM_KEYPOINTS, read_mat_videos, read_split
from .video_pose_dataset import BOX_OUTSIDE, EMPTY_BOX, NO_BOX, NO_KEYPOINTS, VideoPoseDataset


@DATASETS.register_module()
class SubJHMDBVideoDataset(VideoPoseDataset):
    """The person in each frame of the sub-JHMDB videos, with the frame's neighbours.

    Files count pixels from 1; samples count from 0, as MMPose's JhmdbDataset does (which parses the entries).

    Args:
        ann_file: a COCO-style json as MMPose prepares it (annotations/Sub1_train.json), or the official folder
            joint_positions with <action>/<video>/joint_positions.mat.
        split_dir: with the official folder: the folder of split files (sub_splits).
        split: with the official folder: number of the split, 1 to 3.
        subset: with the official folder: 'train' or 'test'.
        mask_dir: with the official folder: the folder puppet_mask; boxes then fit the masks. Without it boxes are made
            around the keypoints.
        kwargs: as in VideoPoseDataset. `data_prefix=dict(img='Rename_Images')` with the official folder. Paths are
            relative to `data_root`.
    """

    METAINFO: dict = {'from_file': 'configs/_base_/datasets/jhmdb.py'}

    def __init__(
        self,
        ann_file: str = '',
        split_dir: str | None = None,
        split: int = 1,
        subset: str = 'train',
        mask_dir: str | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        if kwargs.get('bbox_file'):
            raise ValueError('SubJHMDBVideoDataset has one person in each frame and takes no bbox_file')
        self.split_dir = split_dir
        self.split = split
        self.subset = subset
        self.mask_dir = mask_dir
        super().__init__(ann_file=ann_file, pipeline=pipeline, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read all people."""
        samples: list[dict] = []
        skipped: Counter[str] = Counter()
        for video in self._read_videos():
            names = frame_files(video.images)
            self._video_frames[video.name] = tuple(self._image_path(name) for name in names)
            index_by_name = {name: index for index, name in enumerate(names)}
            people: dict[Any, list[dict]] = {image['id']: [] for image in video.images}
            for annotation in video.annotations:
                people[annotation['image_id']].append(annotation)
            for image in video.images:
                for annotation in people[image['id']]:
                    reason = self._problem(annotation, video)
                    if reason:
                        skipped[f'people {reason}'] += 1
                        continue
                    sample = JhmdbDataset.parse_data_info(self, {'raw_ann_info': annotation, 'raw_img_info': image})
                    if not self._is_valid_instance(sample):
                        skipped[f'people {BOX_OUTSIDE}'] += 1
                        continue
                    index = index_by_name[image['file_name']]
                    samples.append(
                        {
                            **sample,
                            'img_path': self._video_frames[video.name][index],
                            'img_shape': (int(image['height']), int(image['width'])),
                            'video': video.name,
                            'key_frame_index': index,
                            'track_id': int(annotation.get('track_id', 0)),
                            'raw_ann_info': annotation,
                        }
                    )
        self._log_summary(f'{len(samples)} people in {len(self._video_frames)} videos', skipped)
        return samples

    def _read_videos(self) -> list[VideoAnnotations]:
        """Read the json or the Matlab files."""
        if not is_folder(self.ann_file):
            return read_annotations(self.ann_file)
        if self.split_dir is None:
            raise ValueError(
                f'{self.ann_file} is a folder of Matlab files: split_dir must name the folder of split files '
                '(sub_splits)'
            )
        videos = read_split(self._rooted(self.split_dir), self.split, self.subset)
        return read_mat_videos(self.ann_file, videos, None if self.mask_dir is None else self._rooted(self.mask_dir))

    def _rooted(self, path: str) -> str:
        """Path relative to `data_root`, unless it is absolute."""
        return path if osp.isabs(path) else osp.join(self.data_root or '', path)

    @staticmethod
    def _problem(annotation: dict, video: VideoAnnotations) -> str | None:
        """Why a person is left out, if there is a reason; an entry that cannot be understood is refused."""
        flat = annotation.get('keypoints') or []
        if not any(flat[2::3]):
            return NO_KEYPOINTS
        if len(flat) != 3 * NUM_KEYPOINTS:
            raise ValueError(
                f'{video.source}: annotation {annotation.get("id")} has {len(flat)} keypoint values, '
                f'JHMDB has {3 * NUM_KEYPOINTS} (x, y, v)'
            )
        box = annotation.get('bbox')
        if not box:
            return NO_BOX
        return EMPTY_BOX if min(box[2:4]) <= 0 else None
