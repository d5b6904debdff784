"""Errors in pixels and calibration as registered metrics, fed as the evaluator of MMEngine feeds them."""

import json

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.models.heads.hypothesis_outputs import add_hypotheses

POSETRACK = parse_pose_metainfo({'from_file': 'configs/_base_/datasets/posetrack18.py'})
NAMES = list(POSETRACK['keypoint_id2name'].values())
CROP = dict(input_size=(96, 128), input_scale=np.array([192.0, 256.0]), input_center=np.array([300.0, 200.0]))
# Two pixels of the image are one of the input; the head size is 30 pixels of the image.


def make_sample(offsets, visible=None, identity=0, **annotation):
    """Somebody whose 17 keypoints are predicted `offsets` [17, 2] away from where they are."""
    exact = np.random.default_rng(identity).uniform(200, 400, (17, 2))
    visible = np.ones(17) if visible is None else visible
    counted_from_one = np.column_stack([exact + 1, visible]).ravel().tolist()  # as in files of JHMDB
    person = {'keypoints': counted_from_one, 'bbox_head': [0, 0, 30, 40], **annotation}
    sample = PoseDataSample(metainfo={'id': identity, 'img_path': 'a.jpg', 'raw_ann_info': person})
    sample.set_metainfo(CROP)
    sample.gt_instances = InstanceData(keypoints=exact[None], keypoints_visible=visible[None])
    sample.pred_instances = InstanceData(keypoints=(exact + offsets)[None])
    return sample


def evaluate(samples, kind, **arguments):
    evaluator = Evaluator([METRICS.build(dict(type=kind, **arguments))])
    evaluator.dataset_meta = POSETRACK
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def test_errors_in_pixels_of_the_input_and_in_head_sizes():
    offsets = np.zeros((17, 2))
    offsets[:, 0] = 4
    offsets[NAMES.index('nose')] = (0, 60)
    visible = np.ones(17)
    visible[NAMES.index('left_knee')] = 0
    offsets[NAMES.index('left_knee')] = offsets[NAMES.index('left_ear')] = 500
    assert evaluate([make_sample(offsets, visible)], 'KeypointError') == pytest.approx(
        {
            'keypoint_error/mean_px': (13 * 2 + 30) / 14,
            'keypoint_error/median_px': 2,
            'keypoint_error/mean_head': (13 * 4 + 60) / 30 / 14,
            'keypoint_error/median_head': 4 / 30,
            'keypoint_error/close_share': 100 * 13 / 14,
            'keypoint_error/close_mean_px': 2,
            'keypoint_error/close_median_px': 2,
            'keypoint_error/joints': 14,
        }
    )


def test_subsets_are_measured_from_the_exact_places():
    """Only the left wrist is hidden: it is not annotated, but its place is known."""
    sample = make_sample(np.zeros((17, 2)))
    predicted = sample.pred_instances.keypoints[0]
    wrist = NAMES.index('left_wrist')
    occlusion = np.where(np.arange(17) == wrist, 2, 0)
    occlusion[NAMES.index('left_ear')] = 2
    exact = predicted.copy()
    exact[wrist] += (6, 8)
    sample.gt_instances.keypoints_visible[:] = 0
    sample.raw_ann_info['synthetic'] = dict(
        keypoints_exact=exact.tolist(), occlusion=occlusion.tolist(), motion=[0] * 17, exposure=0.6
    )
    scores = evaluate([sample], 'KeypointError', subset='occluded')
    assert scores['keypoint_error_occluded/joints'] == 1
    assert scores['keypoint_error_occluded/mean_px'] == pytest.approx(5)
    empty = evaluate([sample], 'KeypointError', subset='fast')
    assert empty['keypoint_error_fast/joints'] == 0
    assert np.isnan(empty['keypoint_error_fast/mean_px'])


def people_with_hypotheses(count, num_hypotheses, spread):
    """Predictions that are the mean of their hypotheses; the joint is one more draw, of `spread` [17] image pixels."""
    random = np.random.default_rng(0)
    samples = []
    for identity in range(count):
        draws = random.normal(size=(num_hypotheses + 1, 17, 2)) * np.asarray(spread)[:, None] * [1, 3]
        sample = make_sample(draws[:-1].mean(axis=0) - draws[-1], identity=identity)
        joints = sample.pred_instances.keypoints[0] - (draws[:-1].mean(axis=0) - draws[-1])
        hypotheses = joints - draws[-1] + draws[:-1]  # [H, K, 2] pixels of the image
        scale, center, size = (np.array(CROP[name]) for name in ('input_scale', 'input_center', 'input_size'))
        add_hypotheses(sample.pred_instances, (hypotheses - center + scale / 2) / scale * size, sample.metainfo)
        samples.append(sample)
    return samples


@pytest.mark.parametrize('num_hypotheses', [5, 10])
def test_hypotheses_from_the_right_gaussian_are_calibrated(num_hypotheses, tmp_path):
    samples = people_with_hypotheses(200, num_hypotheses, np.geomspace(1, 30, 17))
    scores = evaluate(samples, 'UncertaintyCalibration', curve_file=str(tmp_path / 'new' / 'curve.json'))
    assert scores['calibration/predictive_coverage_50'] == pytest.approx(50, abs=3)
    assert scores['calibration/predictive_coverage_90'] == pytest.approx(90, abs=2)
    assert scores['calibration/predictive_calibration_error'] < 2
    assert scores['calibration/coverage_90'] == pytest.approx({5: 63.5, 10: 78.3}[num_hypotheses], abs=3)
    assert scores['calibration/calibration_error'] > 5
    assert scores['calibration/spread_error_correlation'] > 0.7
    assert scores['calibration/no_spread'] == 0
    curve = json.loads((tmp_path / 'new' / 'curve.json').read_text())
    assert len(curve['level']) == len(curve['coverage']) == len(curve['predictive_coverage']) == 19
    assert 100 * curve['predictive_coverage'][curve['level'].index(0.5)] == pytest.approx(
        scores['calibration/predictive_coverage_50']
    )


def test_spread_that_says_nothing_has_no_rank_correlation():
    scores = evaluate(people_with_hypotheses(100, 50, np.full(17, 5.0)), 'UncertaintyCalibration')
    assert abs(scores['calibration/spread_error_correlation']) < 0.1


def test_hypotheses_that_agree_hold_nothing():
    samples = people_with_hypotheses(3, 5, np.full(17, 5.0))
    for sample in samples:
        sample.pred_instances.keypoint_covariances = np.zeros((1, 17, 2, 2))
    scores = evaluate(samples, 'UncertaintyCalibration')
    assert scores['calibration/coverage_90'] == scores['calibration/predictive_coverage_90'] == 0
    assert scores['calibration/no_spread'] == 100
    assert np.isnan(scores['calibration/spread_error_correlation'])


def test_what_is_missing_is_named_with_the_way_out():
    sample = make_sample(np.zeros((17, 2)))
    with pytest.raises(ValueError, match='sample 0 .*output_hypotheses=True'):
        evaluate([sample], 'UncertaintyCalibration')
    with pytest.raises(ValueError, match='2 hypotheses'):
        evaluate(people_with_hypotheses(1, 2, np.ones(17)), 'UncertaintyCalibration')
    with pytest.raises(ValueError, match='make_synthetic.py'):
        evaluate([sample], 'KeypointError', subset='fast')
    with pytest.raises(ValueError, match='bbox_head'):
        evaluate([make_sample(np.zeros((17, 2)), bbox_head=None)], 'KeypointError')
    with pytest.raises(ValueError, match='not finite'):
        evaluate([make_sample(np.full((17, 2), np.nan))], 'KeypointError')
    del sample.raw_ann_info
    with pytest.raises(ValueError, match='raw_ann_info: KeypointError .*ground-truth boxes'):
        evaluate([sample], 'KeypointError')
