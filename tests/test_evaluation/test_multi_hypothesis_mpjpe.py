import copy

import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.evaluation.functional.multi_hypothesis import multi_hypothesis_errors
from mmpose_diffusion.evaluation.functional.pose_tracks import join_chunks

F, J, H = 6, 17, 3
CAMERA = np.array([2.29, 2.287, 0.025, 0.0289, -0.207, 0.2477, -0.0031, -0.00098, -0.00142])


def make_sample(seed, action='Walking', camera=CAMERA, start=0, valid=None, noise=0.05, with_hypotheses=True):
    random = np.random.default_rng(seed)
    target = random.normal(0, 0.3, (F, J, 3)).astype(np.float32)
    target[:, 0] = 0
    hypotheses = target[:, :, None] + random.normal(0, noise, (F, J, H, 3)).astype(np.float32)
    hypotheses[:, 0] = 0
    meta = {'action': action, 'sequence': f'video of {action}', 'person': 0, 'camera': camera}
    sample = PoseDataSample(metainfo={**meta, 'frame_ids': np.arange(start, start + F), 'id': seed})
    sample.gt_instances = InstanceData(
        lifting_target=target,
        root_trajectory=np.tile(np.array([0.1, 0.2, 5.0], np.float32), (F, 1, 1)),
        keypoints_2d=random.uniform(-0.5, 0.5, (F, J, 2)).astype(np.float32),
        frame_annotated=np.ones(F, bool),
        frame_valid=np.ones(F, bool) if valid is None else np.array(valid, bool),
    )
    sample.pred_instances = InstanceData(keypoints=hypotheses.mean(axis=2))
    if with_hypotheses:
        sample.pred_instances.keypoint_hypotheses = hypotheses
    return sample.to_dict()


def evaluate(*batches, **options):
    metric = METRICS.build({'type': 'MultiHypothesisMPJPE', **options})
    for batch in batches:
        metric.process(None, batch)
    return metric.evaluate(sum(map(len, batches)))


def stacked(batch):
    truth = [sample['gt_instances'] for sample in batch]
    hypotheses = np.stack([sample['pred_instances']['keypoint_hypotheses'] for sample in batch])
    return {
        'hypotheses': 1000 * hypotheses.transpose(0, 3, 1, 2, 4).astype(float),
        'target': 1000 * np.stack([one['lifting_target'] for one in truth]).astype(float),
        'keypoints_2d': np.stack([one['keypoints_2d'] for one in truth]),
        'camera': np.stack([sample['camera'] for sample in batch]),
        'root': 1000 * np.stack([one['root_trajectory'] for one in truth]).astype(float),
        'valid': np.stack([one['frame_valid'] for one in truth]),
    }


def test_one_batch_of_one_action_scores_as_the_function_does_in_millimetres():
    batch = [make_sample(0), make_sample(1, start=F, valid=[1, 1, 0, 1, 1, 1])]
    scores = evaluate(batch)
    for name, value in multi_hypothesis_errors(**stacked(batch)).items():
        np.testing.assert_allclose(scores[f'lifting/{name}'], value, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(scores['lifting/mpjpe'], scores['lifting/p_agg'], rtol=1e-5)
    assert scores['lifting/p_mpjpe'] < scores['lifting/n_mpjpe'] < scores['lifting/mpjpe']
    assert scores['lifting/mpjpe/Walking'] == scores['lifting/mpjpe']


def test_actions_count_equally_and_frames_within_them():
    short, first, second = make_sample(0, 'Eating', noise=0.2), make_sample(1), make_sample(2, start=F)
    together = evaluate([short], [first], [second])
    eating, walking = evaluate([short]), evaluate([first], [second])
    for name in ('mpjpe', 'p_agg', 'j_agg', 'velocity_error', 'pck_150', 'auc_150', 'p_best_oracle'):
        expected = (eating[f'lifting/{name}'] + walking[f'lifting/{name}']) / 2
        np.testing.assert_allclose(together[f'lifting/{name}'], expected, err_msg=name)
    names = [name for name in eating if name.count('/') == 1]
    assert {'lifting/n_mpjpe', 'lifting/velocity_error', 'lifting/pck_150', 'lifting/auc_150'} < set(names)
    for name in names:
        assert together[f'{name}/Eating'] == eating[name]


def test_only_the_oracle_of_the_batch_depends_on_the_batches():
    samples = [make_sample(seed, start=F * seed) for seed in range(6)]
    together, alone = evaluate(samples), evaluate(*([sample] for sample in samples))
    assert alone['lifting/p_best_oracle_batch'] < together['lifting/p_best_oracle_batch']
    np.testing.assert_allclose(alone['lifting/p_best_oracle_batch'], together['lifting/p_best_oracle'])
    for name in (name for name in together if 'p_best_oracle_batch' not in name):
        np.testing.assert_allclose(together[name], alone[name], err_msg=name)


def test_repeats_count_only_when_asked_for():
    repeated = make_sample(1, start=3, valid=[0, 0, 0, 1, 1, 1], noise=0.2)
    once, twice = evaluate([make_sample(0), repeated]), evaluate([make_sample(0), repeated], count_repeats=True)
    errors = [evaluate([make_sample(seed, noise=noise)])['lifting/mpjpe'] for seed, noise in ((0, 0.05), (1, 0.2))]
    np.testing.assert_allclose(twice['lifting/mpjpe'], np.mean(errors))
    assert once['lifting/mpjpe'] < twice['lifting/mpjpe']


def test_frames_without_a_trusted_annotation_never_count():
    sample = make_sample(0)
    sample['gt_instances']['frame_annotated'][2] = sample['gt_instances']['frame_valid'][2] = False
    changed = make_sample(0)
    changed['gt_instances'] = {**sample['gt_instances'], 'lifting_target': changed['gt_instances']['lifting_target']}
    changed['gt_instances']['lifting_target'][2] += 9
    spoilt = copy.deepcopy(sample)
    for name in ('lifting_target', 'root_trajectory', 'keypoints_2d'):
        spoilt['gt_instances'][name][2] = np.nan
    for name in ('keypoints', 'keypoint_hypotheses'):
        spoilt['pred_instances'][name][2] = np.nan
    for options in ({}, {'count_repeats': True}):
        expected = evaluate([sample], **options)
        assert evaluate([changed], **options) == expected
        assert evaluate([spoilt], **options) == expected


def test_velocity_is_measured_across_chunks_and_once():
    first, second = make_sample(0), make_sample(1, start=4)
    for sample in (first, second):
        sample['pred_instances']['keypoints'] = sample['gt_instances']['lifting_target'].copy()
    second['pred_instances']['keypoints'] += np.array([0, 0.03, 0.04], np.float32)  # 50 mm off from frame 6 on
    scores = evaluate([first], [second])
    np.testing.assert_allclose(scores['lifting/velocity_error'], 50 / 9, rtol=1e-5)


def test_there_is_no_velocity_across_frames_without_a_trusted_annotation():
    sample = make_sample(0)
    sample['gt_instances']['frame_annotated'][1::2] = False
    assert np.isnan(evaluate([sample])['lifting/velocity_error'])
    second = make_sample(1, start=F)
    expected = evaluate([second])['lifting/velocity_error']
    np.testing.assert_allclose(evaluate([sample], [second])['lifting/velocity_error'], expected, rtol=1e-5)


def test_models_of_one_answer_have_one_hypothesis():
    scores = evaluate([make_sample(0, with_hypotheses=False)])
    names = ('p_agg', 'j_agg', 'j_agg_estimated_root', 'p_best_oracle', 'p_best_oracle_batch', 'j_best_oracle')
    np.testing.assert_allclose([scores[f'lifting/{name}'] for name in names], scores['lifting/mpjpe'])


def test_unknown_cameras_leave_out_what_needs_them():
    scores = evaluate([make_sample(0)], [make_sample(1, start=F, camera=None)])
    assert 'lifting/p_agg' in scores
    assert not any('j_agg' in name for name in scores)


def test_data_without_actions_have_no_scores_of_actions():
    scores = evaluate([make_sample(0, action=None)])
    assert scores['lifting/mpjpe'] > 0
    assert not any(name.count('/') > 1 for name in scores)


def test_predictions_that_do_not_fit_or_diverged_are_named():
    sample = make_sample(0, start=12)
    sample['pred_instances']['keypoints'][0, 3] = np.nan
    with pytest.raises(ValueError, match='video of Walking, person 0, frames from 12 on: .* not finite'):
        evaluate([sample])
    sample['pred_instances']['keypoints'] = np.zeros((F, J, 2))
    with pytest.raises(ValueError, match=r'expected predicted poses \(6, 17, 3\), got \(6, 17, 2\)'):
        evaluate([sample])
    sample = make_sample(0)
    sample['pred_instances']['keypoint_hypotheses'] = np.zeros((H, F, J, 3))
    with pytest.raises(ValueError, match=r'expected hypotheses \[6, 17, H, 3\]'):
        evaluate([sample])


def test_chunks_are_joined_and_the_first_pose_of_a_frame_is_taken():
    frames, poses = join_chunks([[4, 5, 6], [0, 1, 2], [5, 6, 7]], [np.full((3, 1), n) for n in (1, 0, 2)])
    assert frames.tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert poses[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 2]
