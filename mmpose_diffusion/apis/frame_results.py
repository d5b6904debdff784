"""What is told about a frame: its people in one sample, and that sample in MMPose's form."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample, merge_data_samples, split_instances

from .frame_sources import Frame


def merge_people(people: Sequence[PoseDataSample], frame: Frame, num_keypoints: int) -> PoseDataSample:
    """One sample for all people of a frame, perhaps none."""
    if people:
        return merge_data_samples(list(people))
    nobody = InstanceData(
        keypoints=np.zeros((0, num_keypoints, 2), dtype=np.float32),
        keypoint_scores=np.zeros((0, num_keypoints), dtype=np.float32),
        keypoints_visible=np.zeros((0, num_keypoints), dtype=np.float32),
        bboxes=np.zeros((0, 4), dtype=np.float32),
        bbox_scores=np.zeros(0, dtype=np.float32),
    )
    return PoseDataSample(metainfo=dict(img_path=frame.path, img_id=frame.index), pred_instances=nobody)


def track_ids_of(people: InstanceData) -> list[int]:
    """Who the people of a frame are, as plain numbers."""
    return people.track_ids.tolist() if len(people) else []


def as_dicts(people: InstanceData) -> list[dict]:
    """MMPose's dicts, one for each person, with what it does not have."""
    dicts = split_instances(people)
    for index, person in enumerate(dicts):
        if 'bbox_score' in person:
            person['bbox_score'] = float(person['bbox_score'])
        if 'track_ids' in people:
            person['track_id'] = int(people.track_ids[index])
        for name in ('keypoint_covariances', 'keypoints_3d'):
            if name in people:
                person[name] = people.get(name)[index].tolist()
    return dicts


def results_of(poses: Generator, return_datasamples: bool, return_vis: bool) -> Iterator[dict]:
    """(key frame, sample, picture) of each frame -> results in MMPose's form."""
    with closing(poses):
        for _, sample, picture in poses:
            yield {
                'predictions': [sample if return_datasamples else as_dicts(sample.pred_instances)],
                'visualization': [picture[..., ::-1]] if return_vis and picture is not None else [],
            }
