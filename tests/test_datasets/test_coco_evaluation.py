"""MMPose's CocoMetric on our samples: from the official folder through the samples, from a merged file by itself."""

import json

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from mmpose.registry import METRICS

from mmpose_diffusion.datasets.posetrack_files import read_annotations
from mmpose_diffusion.datasets.posetrack_merging import merge_videos

PIPELINE = [
    {'type': 'SampleClip', 'offsets': (-1, 0, 1)},
    {'type': 'LoadClip'},
    {'type': 'GetBBoxCenterScale', 'padding': 1.25},
    {'type': 'TopdownAffine', 'input_size': (24, 32)},
    {'type': 'PackClipInputs'},
]


def coco_ap(dataset, truth, shift=0.0, **arguments):
    """AP of predictions that repeat the truth {annotation id: keypoints}, each point shifted."""
    metric = METRICS.build({'type': 'CocoMetric', **arguments})
    metric.dataset_meta = dataset.metainfo
    samples = pseudo_collate([dataset[index] for index in range(len(dataset))])['data_samples']
    for sample in samples:
        keypoints = np.array(truth[sample.metainfo['img_id'], tuple(sample.gt_instances.bboxes[0].round())])
        sample.pred_instances = InstanceData(
            keypoints=keypoints.reshape(1, 17, 3)[..., :2] + shift, keypoint_scores=np.ones((1, 17))
        )
        metric.process({}, [sample.to_dict()])
    return metric.evaluate(len(samples))['coco/AP']


@pytest.fixture
def truth(two_videos):
    """Keypoints by image id and box."""
    found = {}
    for video in read_annotations(str(two_videos.folder)):
        for annotation in video.annotations:
            left, top, width, height = annotation['bbox']
            found[annotation['image_id'], (left, top, left + width, top + height)] = annotation['keypoints']
    return found


def test_official_folder_with_annotated_boxes(two_videos, truth):
    dataset = two_videos.load(test_mode=True, pipeline=PIPELINE)
    assert coco_ap(dataset, truth) == pytest.approx(1)
    assert coco_ap(dataset, truth, shift=100) == 0


def test_merged_file_with_detected_boxes(two_videos, truth, tmp_path):
    merged = merge_videos(read_annotations(str(two_videos.folder)))
    (tmp_path / 'merged.json').write_text(json.dumps(merged))
    boxes = [
        {'image_id': entry['image_id'], 'category_id': 1, 'bbox': entry['bbox'], 'score': 0.9}
        for entry in merged['annotations']
    ]
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    arguments = {'bbox_file': str(tmp_path / 'boxes.json'), 'test_mode': True, 'pipeline': PIPELINE}
    assert coco_ap(two_videos.load('merged.json', **arguments), truth) == pytest.approx(1)
    # Read from the folder, the same boxes are scored against the merged file too: ids agree.
    from_folder = two_videos.load(**arguments)
    assert coco_ap(from_folder, truth, ann_file=str(tmp_path / 'merged.json')) == pytest.approx(1)
    assert coco_ap(from_folder, truth, shift=100, ann_file=str(tmp_path / 'merged.json')) == 0
