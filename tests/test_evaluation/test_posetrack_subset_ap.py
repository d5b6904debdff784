"""PoseTrack AP of hidden, blurred and fast joints, on the annotations of a synthetic world."""

import json

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings, write_videos
from mmpose_diffusion.datasets.synthetic.visibility import Occlusion
from mmpose_diffusion.evaluation.functional import joint_subsets, parse_posetrack_video
from mmpose_diffusion.evaluation.functional.joint_subsets import SubsetRule, read_joint_facts
from mmpose_diffusion.evaluation.functional.json_values import head_sizes_of_corners
from mmpose_diffusion.evaluation.functional.posetrack_ap import evaluate_posetrack_ap
from mmpose_diffusion.evaluation.functional.posetrack_subset import evaluate_posetrack_subset

POSETRACK = parse_pose_metainfo({'from_file': 'configs/_base_/datasets/posetrack18.py'})
SUBSETS = ('occluded', 'blurred', 'hard_to_see', 'fast')


@pytest.fixture(scope='module')
def annotations(tmp_path_factory):
    """A small hard world: people who cross, things, motion blur."""
    root = tmp_path_factory.mktemp('hard')
    settings = WorldSettings(videos=2, frames=4, people=3, difficulty='hard', split='val', unlabeled_share=0)
    assert list(write_videos(root, settings))
    return root / 'annotations/val'


def people_of(annotations):
    for path in sorted(annotations.glob('*.json')):
        for person in json.loads(path.read_text())['annotations']:
            yield path.stem, person


def make_samples(annotations, move=lambda person, exact: exact):
    """Predictions of everybody, at the exact places or moved from there."""
    random = np.random.default_rng(0)
    samples = []
    for video, person in people_of(annotations):
        exact = move(person, np.array(person['synthetic']['keypoints_exact']))
        sample = PoseDataSample(
            metainfo={'id': person['id'], 'img_id': person['image_id'], 'video': video, 'raw_ann_info': person}
        )
        scores = random.uniform(0.5, 1, (1, 17))
        sample.pred_instances = InstanceData(keypoints=exact[None], keypoint_scores=scores)
        samples.append(sample)
    return samples


def evaluate(samples, annotations, subset, **arguments):
    metric = dict(type='PoseTrackSubsetAP', subset=subset, ann_dir=str(annotations), **arguments)
    evaluator = Evaluator([METRICS.build(metric)])
    evaluator.dataset_meta = POSETRACK
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def head_size(person):
    x, y, width, height = person['bbox_head']
    return head_sizes_of_corners(np.array([x, y, x + width, y + height]))


def in_subset(person, subset):
    """Which of the 17 keypoints belong to the subset."""
    return SubsetRule(subset).select(read_joint_facts(person, 'person'), head_size(person))


def test_reasons_are_those_of_the_world():
    names = ('VISIBLE', 'OWN_BODY', 'OTHER_PERSON', 'THING', 'OUTSIDE')
    assert [getattr(joint_subsets, name) for name in names] == [int(reason) for reason in Occlusion]


def test_subsets_of_one_person():
    """Head of 20 pixels: blurred from 5 pixels, fast from 10 pixels per frame; exposure of half the frame time."""
    known = dict(
        keypoints_exact=[[0, 0]] * 7, occlusion=[0, 0, 0, 1, 2, 3, 4], motion=[4.9, 5, 4.9, 0, 9, 9, 9], exposure=0.5
    )
    facts = read_joint_facts({'synthetic': known}, 'somebody')
    chosen = {name: SubsetRule(name).select(facts, np.array(20.0)).astype(int).tolist() for name in SUBSETS}
    assert chosen == {
        'occluded': [0, 0, 0, 1, 1, 1, 0],
        'blurred': [0, 1, 0, 0, 0, 0, 0],
        'hard_to_see': [0, 1, 0, 1, 1, 1, 0],
        'fast': [0, 1, 0, 0, 0, 0, 0],
    }
    assert SubsetRule('fast', fast_thr=0.4).select(facts, np.array(20.0))[:4].tolist() == [True, True, True, False]
    sharp = read_joint_facts({'synthetic': dict(known, exposure=0.0)}, 'somebody')
    assert not SubsetRule('blurred').select(sharp, np.array(20.0)).any()
    assert sharp.speed[1] == 5


@pytest.mark.parametrize('subset', ['annotated', *SUBSETS])
def test_perfect_predictions_score_100(annotations, subset):
    scores = evaluate(make_samples(annotations), annotations, subset)
    assert scores[f'posetrack_{subset}/Mean AP'] == 100
    assert 0 < scores[f'posetrack_{subset}/Share'] <= 100


@pytest.mark.parametrize('subset', SUBSETS)
def test_only_damage_inside_the_subset_counts(annotations, subset):
    def spoil(where):
        return lambda person, exact: exact + 500 * (in_subset(person, subset) == where)[:, None]

    outside = make_samples(annotations, spoil(False))
    assert evaluate(outside, annotations, subset)[f'posetrack_{subset}/Mean AP'] == 100
    inside = make_samples(annotations, spoil(True))
    assert evaluate(inside, annotations, subset)[f'posetrack_{subset}/Mean AP'] == 0


def test_share_counts_the_joints_in_the_picture_without_ears(annotations):
    chosen = inside = 0
    for _, person in people_of(annotations):
        is_joint = ~np.isin(np.arange(17), (3, 4))
        inside += int((is_joint & (np.array(person['synthetic']['occlusion']) != Occlusion.OUTSIDE)).sum())
        chosen += int((is_joint & in_subset(person, 'occluded')).sum())
    scores = evaluate(make_samples(annotations), annotations, 'occluded')
    assert scores['posetrack_occluded/Share'] == pytest.approx(100 * chosen / inside)


def test_missing_predictions_are_missed(annotations):
    samples = make_samples(annotations)
    full = evaluate(samples[::2], annotations, 'annotated')['posetrack_annotated/Mean AP']
    assert 30 < full < 70
    assert evaluate([], annotations, 'annotated')['posetrack_annotated/Mean AP'] == 0


def test_subset_of_everything_is_the_plain_ap(official):
    """To the last bit, false positives where nobody is annotated and ignore regions included."""
    random = np.random.default_rng(0)
    truth, predicted = [], []
    for frame in range(6):
        for track_id in range(3):
            body = official.full_body(50 + 200 * track_id, 100)
            annotated = {name: place for name, place in body.items() if random.random() < 0.8}
            noisy = {
                name: (x + random.normal(0, 4), y + random.normal(0, 4), random.random())
                for name, (x, y, _) in body.items()
            }
            truth.append(official.person(frame, annotated, track_id, bbox_head=[180, 80, 12, 16]))
            predicted.append(official.person(frame, noisy, track_id))
    content = official.content(6, truth)
    content['images'][2] |= {'ignore_regions_x': [[40, 75, 75, 40]], 'ignore_regions_y': [[90, 90, 115, 115]]}
    annotated = parse_posetrack_video(content, 'truth')
    detected = parse_posetrack_video(official.content(6, predicted), 'prediction', is_prediction=True)
    everything = np.ones((18, 15), dtype=bool)
    subset = evaluate_posetrack_subset([(annotated, detected.people, np.arange(18), everything)])
    plain = evaluate_posetrack_ap([(annotated, detected)])
    for values, expected in zip(subset, plain, strict=True):
        np.testing.assert_array_equal(values, expected)
    assert 20 < plain.ap[15] < 90


def test_order_of_the_predictions_does_not_matter_and_a_repeated_one_counts_once(annotations):
    samples = make_samples(annotations, lambda person, exact: exact + person['id'] % 7 * 5)
    scores = evaluate(samples, annotations, 'hard_to_see')
    again = evaluate([*samples[::-1], samples[3]], annotations, 'hard_to_see')
    np.testing.assert_equal(again, scores)
    assert 0 < scores['posetrack_hard_to_see/Mean AP'] < 100


def test_class_without_joints_in_the_subset_is_left_out_of_the_mean(annotations):
    """Only one joint is as fast as the fastest."""
    fastest = 0.0
    for _, person in people_of(annotations):
        facts = read_joint_facts(person, 'person')
        is_marked = np.isin(facts.occlusion, joint_subsets.MARKED) & ~np.isin(np.arange(17), (3, 4))
        fastest = max(fastest, (facts.speed * is_marked).max() / head_size(person))
    scores = evaluate(make_samples(annotations), annotations, 'fast', fast_thr=fastest - 1e-9)
    assert scores['posetrack_fast/Mean AP'] == 100
    assert sum(np.isnan(value) for value in scores.values()) >= 6


def test_annotations_that_do_not_know_name_the_file_and_the_way_out(official, tmp_path):
    people = [official.person(0, official.full_body(50, 100), bbox_head=[0, 0, 3, 4])]
    folder = official.write(tmp_path, official.content(1, people))
    with pytest.raises(ValueError, match="000001_mpii_test.json: annotation 7 .*make_synthetic.py.*'annotated'"):
        METRICS.build(dict(type='PoseTrackSubsetAP', subset='occluded', ann_dir=str(folder)))
    METRICS.build(dict(type='PoseTrackSubsetAP', subset='annotated', ann_dir=str(folder)))
    people[0]['synthetic'] = {'keypoints_exact': [], 'occlusion': [], 'motion': []}
    official.write(tmp_path, official.content(1, people))
    with pytest.raises(ValueError, match='lacks exposure.*make it again'):
        METRICS.build(dict(type='PoseTrackSubsetAP', subset='occluded', ann_dir=str(folder)))


def test_boxes_of_a_detector_are_refused(annotations):
    samples = make_samples(annotations)
    del samples[1].raw_ann_info
    with pytest.raises(ValueError, match='ground-truth boxes'):
        evaluate(samples, annotations, 'occluded')


def test_unknown_subset_is_refused():
    with pytest.raises(ValueError, match="'occluded', 'blurred'.*got 'hidden'"):
        METRICS.build(dict(type='PoseTrackSubsetAP', subset='hidden', ann_dir='x'))
    with pytest.raises(ValueError, match='above 0 head sizes'):
        METRICS.build(dict(type='PoseTrackSubsetAP', subset='fast', fast_thr=0, ann_dir='x'))
