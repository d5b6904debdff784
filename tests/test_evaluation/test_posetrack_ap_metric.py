"""The registered metric, fed as the evaluator of MMEngine feeds it."""

import json
import logging

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.evaluation.functional import evaluate_posetrack_ap, read_posetrack_folders

POSETRACK = parse_pose_metainfo({'from_file': 'configs/_base_/datasets/posetrack18.py'})
HEAD = [180, 80, 40, 30]


@pytest.fixture
def make_sample(official):
    """A prediction of one person, as a model returns it."""

    def make(frame, joints, identity, box_score=1.0, **metainfo):
        names = official.keypoint_names
        keypoints = np.array([[joints.get(name, (0, 0))[:2] for name in names]], dtype=np.float32)
        scores = np.array([[joints[name][2] if name in joints else 0 for name in names]], dtype=np.float32)
        sample = PoseDataSample(metainfo={'id': identity, 'img_id': 100 + frame, 'img_path': 'x.jpg', **metainfo})
        sample.gt_instances = InstanceData(
            bboxes=np.array([[0, 0, 10, 20]], dtype=np.float32), bbox_scores=np.array([box_score], dtype=np.float32)
        )
        sample.pred_instances = InstanceData(keypoints=keypoints, keypoint_scores=scores)
        return sample

    return make


@pytest.fixture
def world(tmp_path, official, make_sample):
    """Annotations of two videos (three frames, the last one without people), and predictions of all people."""
    bodies = [official.full_body(x, 100, score) for x, score in ((50, 0.5), (400, 0.25))]
    samples = []
    for number in (1, 2):
        video = f'{number:06d}_mpii_test'
        people = [
            official.person(frame, bodies[track_id], track_id, bbox_head=HEAD, id=10 * number + 2 * frame + track_id)
            for frame in range(2)
            for track_id in range(2)
        ]
        official.write(tmp_path / 'truth', official.content(3, people, video=video), f'{video}.json')
        for person in people:
            frame = person['image_id'] - 100
            samples.append(make_sample(frame, bodies[person['track_id']], person['id'], video=video))
    return tmp_path / 'truth', samples


def evaluate(metric, samples, meta=POSETRACK, repeats=()):
    evaluator = Evaluator([METRICS.build(metric) if isinstance(metric, dict) else metric])
    evaluator.dataset_meta = meta
    samples = [*samples, *(samples[index] for index in repeats)]
    for start in range(0, len(samples), 3):
        evaluator.process(samples[start : start + 3])
    return evaluator.evaluate(len(samples))


def test_perfect_predictions_score_100_in_every_column(world):
    folder, samples = world
    metric = METRICS.build({'type': 'PoseTrackAP', 'ann_dir': str(folder)})
    columns = ('Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle', 'Mean')
    assert evaluate(metric, samples) == {f'posetrack/{column} AP': 100.0 for column in columns}


def test_frames_and_videos_without_predictions_count_as_missed(world):
    folder, samples = world
    metric = {'type': 'PoseTrackAP', 'ann_dir': str(folder)}
    assert evaluate(metric, samples[:2])['posetrack/Mean AP'] == 25  # 2 of 8 people
    assert evaluate(metric, [])['posetrack/Mean AP'] == 0


def test_metric_equals_the_command_on_the_written_files(world, tmp_path):
    folder, samples = world
    random = np.random.default_rng(0)
    for sample in samples:
        predicted = sample.pred_instances
        predicted.keypoints = predicted.keypoints + random.normal(0, 10, (1, 17, 2)).astype(np.float32)
        predicted.keypoint_scores = random.random((1, 17)).astype(np.float32)
        sample.gt_instances.bbox_scores = random.random(1).astype(np.float32)
    results = tmp_path / 'results'
    metric = {'type': 'PoseTrackAP', 'ann_dir': str(folder), 'outfile_prefix': str(results)}
    score = evaluate(metric, samples)['posetrack/Mean AP']
    assert score == evaluate_posetrack_ap(read_posetrack_folders(folder, results)).ap[15]
    assert 1 < score < 99


def test_person_of_a_padded_distributed_run_counts_once(world):
    folder, samples = world
    metric = {'type': 'PoseTrackAP', 'ann_dir': str(folder), 'nms_mode': 'none'}
    assert evaluate(metric, samples, repeats=(0, 3, 3))['posetrack/Mean AP'] == 100


def test_order_of_the_samples_does_not_matter(world):
    folder, samples = world
    for sample in samples[1::2]:
        sample.pred_instances.keypoints = samples[0].pred_instances.keypoints.copy()  # the first listed one counts
    metric = {'type': 'PoseTrackAP', 'ann_dir': str(folder), 'nms_mode': 'none', 'score_mode': 'keypoint'}
    scores = evaluate(metric, samples)
    assert scores == evaluate(metric, samples[::-1])
    assert scores['posetrack/Mean AP'] == 50


@pytest.mark.parametrize(
    ('mode', 'joint_score', 'person_score'),
    [('keypoint', 0.5, 0.5 * 15 / 17), ('bbox', 0.25, 0.25), ('bbox_keypoint', 0.125, 0.125)],
)
def test_score_modes(world, official, make_sample, tmp_path, mode, joint_score, person_score):
    """Ears have confidence 0: they lower the plain mean, but are below the threshold of `bbox_keypoint`."""
    folder, _ = world
    sample = make_sample(0, official.full_body(50, 100, 0.5), 1, box_score=0.25, video='000001_mpii_test')
    results = str(tmp_path / 'out')
    metric = {'type': 'PoseTrackAP', 'ann_dir': str(folder), 'score_mode': mode, 'outfile_prefix': results}
    evaluate(metric, [sample])
    person = json.loads((tmp_path / 'out' / '000001_mpii_test.json').read_text())['annotations'][0]
    assert person['scores'][0] == joint_score
    assert person['score'] == pytest.approx(person_score)


def test_keypoint_threshold_decides_what_enters_the_score_of_a_person(world, official, make_sample, tmp_path):
    folder, _ = world
    joints = official.full_body(50, 100, 0.5)
    joints['nose'] = (*joints['nose'][:2], 0.9)
    metric = {
        'type': 'PoseTrackAP', 'ann_dir': str(folder), 'keypoint_score_thr': 0.6,
        'outfile_prefix': str(tmp_path / 'out'),
    }  # fmt: skip
    evaluate(metric, [make_sample(0, joints, 1, video='000001_mpii_test')])
    person = json.loads((tmp_path / 'out' / '000001_mpii_test.json').read_text())['annotations'][0]
    assert person['score'] == pytest.approx(0.9)
    assert person['scores'][1] == 0.5


@pytest.mark.parametrize(('mode', 'expected'), [('none', 2), ('oks_nms', 1), ('soft_oks_nms', 2)])
def test_suppression_keeps_the_better_of_two_equal_people(world, official, make_sample, tmp_path, mode, expected):
    folder, _ = world
    body = official.full_body(50, 100, 0.5)
    pair = [make_sample(0, body, i, box_score=score, video='000001_mpii_test') for i, score in enumerate((0.3, 0.9))]
    metric = {
        'type': 'PoseTrackAP', 'ann_dir': str(folder), 'nms_mode': mode, 'nms_thr': 0.7,
        'outfile_prefix': str(tmp_path / 'out'),
    }  # fmt: skip
    evaluate(metric, pair)
    people = json.loads((tmp_path / 'out' / '000001_mpii_test.json').read_text())['annotations']
    assert len(people) == expected
    assert people[0]['score'] == pytest.approx(0.15 if mode == 'none' else 0.45)  # ids give the order without it


def test_format_only_writes_official_files_of_all_videos_without_evaluating(world, tmp_path):
    folder, samples = world
    for path in folder.iterdir():  # as in a test set, only the frames are public
        content = json.loads(path.read_text())
        path.write_text(json.dumps({'images': content['images']}))
    results = tmp_path / 'results'
    metric = {'type': 'PoseTrackAP', 'ann_dir': str(folder), 'format_only': True, 'outfile_prefix': str(results)}
    assert evaluate(metric, samples[:3]) == {}
    first, second = (json.loads((results / f'00000{number}_mpii_test.json').read_text()) for number in (1, 2))
    assert [image['id'] for image in second['images']] == [100, 101, 102]
    assert second['annotations'] == []
    places = [(person['image_id'], person['track_id']) for person in first['annotations']]
    assert places == [(100, 0), (100, 1), (101, 0)]
    assert {len(person['keypoints']) for person in first['annotations']} == {51}
    assert {len(person['scores']) for person in first['annotations']} == {17}
    assert first['categories'][0]['keypoints'] == list(POSETRACK['keypoint_id2name'].values())


def merged(folder, name_videos):
    """All files in one, with image ids that differ."""
    whole = {'images': [], 'annotations': []}
    for number, path in enumerate(sorted(folder.iterdir()), 1):
        content = json.loads(path.read_text())
        for image in content['images']:
            whole['images'].append({**image, 'id': image['id'] + 1000 * number})
            if name_videos:
                whole['images'][-1]['video'] = path.stem
        for person in content['annotations']:
            whole['annotations'].append({**person, 'image_id': person['image_id'] + 1000 * number})
        whole['categories'] = content['categories']
    return whole


@pytest.mark.parametrize('name_videos', [True, False])
@pytest.mark.parametrize('samples_know_their_video', [True, False])
def test_merged_file_gives_the_same_as_the_folder(world, tmp_path, name_videos, samples_know_their_video):
    folder, samples = world
    samples = samples[:5]
    of_folder = evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, samples)
    (tmp_path / 'merged.json').write_text(json.dumps(merged(folder, name_videos)))
    for sample in samples:
        sample.set_field(sample.img_id + 1000 * int(sample.video[:6]), 'img_id', field_type='metainfo')
        if not samples_know_their_video:
            del sample.video
    metric = {'type': 'PoseTrackAP', 'ann_file': 'merged.json', 'data_root': str(tmp_path)}
    assert evaluate(metric, samples) == of_folder
    assert of_folder['posetrack/Mean AP'] == 62.5


def test_tensors_and_several_people_per_sample_are_taken(world):
    folder, samples = world
    combined = []
    for first, second in zip(samples[::2], samples[1::2], strict=True):
        joined = PoseDataSample(metainfo={'id': [1, 2], 'img_id': first.img_id, 'video': first.video})
        joined.gt_instances = InstanceData()
        pair = InstanceData.cat([first.pred_instances, second.pred_instances])
        joined.pred_instances = InstanceData(
            keypoints=torch.from_numpy(pair.keypoints), keypoint_scores=torch.from_numpy(pair.keypoint_scores)
        )
        combined.append(joined)
    assert evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, combined)['posetrack/Mean AP'] == 100


@pytest.fixture
def log():
    """Lines that MMEngine logs."""
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    handler = Keep()
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ('box_source', 'metainfo', 'expected'),
    [
        ('YOLOX-x', {}, 'boxes: YOLOX-x'),
        (None, {'raw_ann_info': {'id': 1}}, 'boxes: ground truth'),
        (None, {}, 'boxes: source not stated'),
    ],
)
def test_table_is_logged_with_the_source_of_the_boxes(
    world, official, make_sample, log, box_source, metainfo, expected
):
    folder, _ = world
    sample = make_sample(0, official.full_body(50, 100), 1, video='000001_mpii_test', **metainfo)
    evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder), 'box_source': box_source}, [sample])
    table = next(line for line in log if 'PoseTrack AP of 2 videos' in line)
    assert expected in table
    assert 'Shoulder' in table
    assert '25.0' in table or '12.5' in table


def test_coco_keypoints_are_refused(world):
    folder, samples = world
    coco = parse_pose_metainfo({'from_file': 'configs/_base_/datasets/coco.py'})
    with pytest.raises(ValueError, match="'coco' has 17 keypoints without head_bottom, head_top"):
        evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, samples, meta=coco)


def test_wrong_number_of_predicted_keypoints_is_refused(world):
    folder, samples = world
    samples[2].pred_instances = InstanceData(keypoints=np.zeros((1, 15, 2)), keypoint_scores=np.ones((1, 15)))
    with pytest.raises(ValueError, match=r'sample 12 .*expected 17 keypoints .* shape \(1, 15, 2\)'):
        evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, samples)


@pytest.mark.parametrize('key', ['keypoints', 'keypoint_scores'])
def test_predictions_that_are_nan_are_refused(world, key):
    folder, samples = world
    samples[1].pred_instances[key][0, 3] = np.nan
    with pytest.raises(ValueError, match=rf'sample 11 \(x.jpg\): {key} are not finite .* diverged'):
        evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, samples)


def test_prediction_without_scores_is_refused_by_name(world):
    folder, samples = world
    del samples[1].pred_instances.keypoint_scores
    with pytest.raises(ValueError, match=r'sample 11 \(x.jpg\) has no pred_instances.keypoint_scores'):
        evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, samples)


def test_number_of_samples_with_broken_images_is_logged_once(world, log):
    folder, samples = world
    samples[0].set_metainfo({'broken_frames': ()})
    evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, samples)
    assert not [line for line in log if 'could not be read' in line]
    for sample in samples[1:3]:
        sample.set_metainfo({'broken_frames': (0, 2)})
    evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, samples)
    (line,) = [line for line in log if 'could not be read' in line]
    assert line.startswith('2 of 8 samples')
    assert line.endswith('for example sample 11 (x.jpg)')


def test_images_that_are_not_annotated_are_refused(world, official, make_sample):
    folder, samples = world
    stray = make_sample(7, official.full_body(1, 1), 99, video='000001_mpii_test')
    with pytest.raises(ValueError, match="image id 107 of video '000001_mpii_test' is not in the annotations"):
        evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, [*samples, stray])
    nameless = make_sample(0, official.full_body(1, 1), 99)
    with pytest.raises(ValueError, match='image id 100 of video None is more than once in the annotations'):
        evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, [*samples, nameless])


def test_samples_without_predictions_are_refused(world):
    folder, samples = world
    del samples[0].pred_instances
    with pytest.raises(ValueError, match='sample 10 .* has no pred_instances'):
        evaluate({'type': 'PoseTrackAP', 'ann_dir': str(folder)}, samples)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({}, 'expected either ann_dir or ann_file'),
        ({'ann_dir': 'x', 'ann_file': 'y'}, 'expected either ann_dir or ann_file'),
        ({'ann_dir': 'x', 'score_mode': 'bbox_rle'}, "score_mode must be one of .* got 'bbox_rle'"),
        ({'ann_dir': 'x', 'nms_mode': 'nms'}, "nms_mode must be one of .* got 'nms'"),
        ({'ann_dir': 'x', 'format_only': True}, 'format_only needs outfile_prefix'),
        ({'ann_dir': 'x', 'outfile_prefix': 'x/'}, 'is the folder of the annotations'),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        METRICS.build({'type': 'PoseTrackAP', **arguments})


def test_2017_annotations_are_refused_with_the_way_out(tmp_path, official):
    folder = official.write(tmp_path / 'truth', {'annolist': []})
    with pytest.raises(ValueError, match='convert it to the 2018 layout first'):
        METRICS.build({'type': 'PoseTrackAP', 'ann_dir': str(folder)})
