"""The evaluation configs work together with the data set: one set of predictions, three metrics."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, METRICS
from mmpose.structures import PoseDataSample

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / '_base_'


@pytest.fixture
def config(tmp_path, official):
    """A config made of the data set's and the evaluations', over annotations of six frames with two walking people."""
    people = [
        official.person(
            frame,
            official.full_body(50 + 300 * track_id + 4 * frame, 80),
            track_id,
            bbox=[300 * track_id + 4 * frame, 20, 140, 140],
            bbox_head=[0, 0, 30, 40],
            id=10 * frame + track_id,
            category_id=1,
        )
        for frame in range(6)
        for track_id in range(2)
    ]
    content = official.content(6, people)
    for image in content['images']:
        image |= {'width': 640, 'height': 360, 'is_labeled': True, 'nframes': 6}
    official.write(tmp_path / 'world' / 'annotations' / 'val', content)
    names = ('datasets/posetrack18_256x192.py', 'evaluation/posetrack_ap.py', 'evaluation/coco_oks.py')
    (tmp_path / 'config.py').write_text(
        f'_base_ = {[str(CONFIGS / name) for name in names]}\n'
        'val_evaluator = [_base_.posetrack_ap, _base_.coco_oks, _base_.temporal_consistency]\n'
    )
    return Config.fromfile(str(tmp_path / 'config.py'))


def evaluate(config, root, noise):
    """Score what the data set itself says, moved by Gaussian noise of `noise` pixels."""
    dataset_config = config.val_dataloader.dataset
    dataset_config.update(data_root=str(root), pipeline=[])
    dataset = DATASETS.build(dataset_config)
    config.val_evaluator[0].data_root = str(root)
    evaluator = Evaluator([METRICS.build(metric) for metric in config.val_evaluator])
    evaluator.dataset_meta = dataset.metainfo
    random = np.random.default_rng(0)
    keys = ('id', 'img_id', 'img_path', 'video', 'track_id', 'key_frame_index', 'raw_ann_info', 'category_id')
    for index in range(len(dataset)):
        person = dataset.get_data_info(index)
        sample = PoseDataSample(metainfo={**{key: person[key] for key in keys}, 'ori_shape': (360, 640)})
        sample.gt_instances = InstanceData(
            bboxes=person['bbox'],
            bbox_scores=person['bbox_score'],
            keypoints=person['keypoints'],
            keypoints_visible=person['keypoints_visible'],
        )
        moved = person['keypoints'] + random.normal(0, noise, person['keypoints'].shape)
        scores = random.uniform(0.5, 1, moved.shape[:2])
        sample.pred_instances = InstanceData(keypoints=moved, keypoint_scores=scores)
        evaluator.process([sample])
    return evaluator.evaluate(len(dataset))


def test_perfect_predictions(config, tmp_path):
    scores = evaluate(config, tmp_path / 'world', noise=0)
    assert scores['posetrack/Mean AP'] == 100
    assert scores['coco/AP'] == pytest.approx(1)
    assert scores['temporal/acceleration_error'] == 0
    assert scores['temporal/jitter'] == pytest.approx(0, abs=1e-12)


def test_worse_predictions_lose_in_every_metric(config, tmp_path):
    scores = evaluate(config, tmp_path / 'world', noise=8)
    assert 10 < scores['posetrack/Mean AP'] < 95
    assert 0.1 < scores['coco/AP'] < 0.95
    assert scores['temporal/jitter'] > 0.1
    assert scores['temporal/acceleration_error'] > 0.1
