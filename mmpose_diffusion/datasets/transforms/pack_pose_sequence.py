"""Pack a chunk of poses for the lifting model."""

from __future__ import annotations

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData
from mmpose.registry import TRANSFORMS
from mmpose.structures import PoseDataSample

META_KEYS = (
    'id',
    'category_id',
    'action',
    'subject',
    'sequence',
    'person',
    'camera_index',
    'camera',
    'image_size',
    'frame_ids',
    'mirrored',
    'flip_indices',
    'root_index',
    'num_keypoints',
)


@TRANSFORMS.register_module()
class PackPoseSequence(BaseTransform):
    """Turn a chunk of a `PoseSequenceDataset` into `inputs` float32 [F, J, 2] and a data sample.

    The instances of the data sample's `gt_instances` are the F frames: `lifting_target` [F, J, 3], `root_trajectory`
    [F, 1, 3], `keypoints_2d` [F, J, 2], and the masks [F] `frame_valid` (counts in scores: each frame once) and
    `frame_annotated` (the annotation is to be trusted; also of padding and overlaps). `gt_instance_labels` holds what
    the loss reads, `lifting_target`, as a tensor. The metainfo says where the chunk comes from.
    """

    def transform(self, results: dict) -> dict:
        """Pack one chunk."""
        sample = PoseDataSample(metainfo={key: results[key] for key in META_KEYS})
        sample.gt_instances = InstanceData(
            lifting_target=results['lifting_target'],
            root_trajectory=results['root_trajectory'],
            keypoints_2d=results['keypoints_2d'],
            frame_valid=results['frame_valid'],
            frame_annotated=results['frame_annotated'],
        )
        sample.gt_instance_labels = InstanceData(lifting_target=_tensor(results['lifting_target']))
        return {'inputs': _tensor(results['keypoints_2d']), 'data_samples': sample}


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
