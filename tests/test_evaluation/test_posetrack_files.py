"""Bad files are refused with the name of the file and of the entry."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from mmpose_diffusion.evaluation.functional import (
    JOINT_NAMES,
    evaluate_posetrack_ap,
    parse_posetrack_video,
    read_posetrack_file,
    read_posetrack_folders,
)

SAMPLE = Path(__file__).resolve().parents[3] / 'shared/data/posetrack18_sample/annotations/val'
HEAD = [180, 80, 40, 30]


@pytest.fixture
def folders(tmp_path, official):
    """Folders of annotations and predictions with two videos; a function changes one of the files."""
    annotated, predicted = official.worked_example()
    for name in ('000001_mpii_test.json', '000002_mpii_test.json'):
        official.write(tmp_path / 'truth', annotated, name)
        official.write(tmp_path / 'guess', predicted, name)

    def change(side, edit):
        content = copy.deepcopy(annotated if side == 'truth' else predicted)
        edited = edit(content)
        official.write(tmp_path / side, content if edited is None else edited, '000002_mpii_test.json')
        return tmp_path / 'truth', tmp_path / 'guess'

    return change


def setting(*path, to):
    """An edit that replaces the value at a path of the content."""

    def edit(content):
        *parents, last = path
        for key in parents:
            content = content[key]
        content[last] = to

    return edit


def removing(*path):
    def edit(content):
        *parents, last = path
        for key in parents:
            content = content[key]
        del content[last]

    return edit


def test_folders_are_read_in_the_order_of_their_names(folders):
    videos = read_posetrack_folders(*folders('truth', lambda content: None))
    assert [Path(annotated.name).name for annotated, _ in videos] == ['000001_mpii_test.json', '000002_mpii_test.json']
    assert evaluate_posetrack_ap(videos).ap[15] == 7.142857142857143


def test_prediction_files_without_annotations_are_not_looked_at(folders):
    truth, guess = folders('truth', lambda content: None)
    (guess / '000003_mpii_test.json').write_text('{broken')
    assert len(read_posetrack_folders(truth, guess)) == 2


def test_missing_prediction_file_is_named(folders):
    truth, guess = folders('truth', lambda content: None)
    (guess / '000002_mpii_test.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'guess lacks 1 of 2 prediction files: 000002_mpii_test\.json'):
        read_posetrack_folders(truth, guess)


def test_folder_without_files_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no json file'):
        read_posetrack_folders(tmp_path, tmp_path)


@pytest.mark.parametrize('side', ['truth', 'guess'])
@pytest.mark.parametrize(
    ('edit', 'entry'),
    [
        (lambda content: json.dumps(content)[:300], 'not a complete json file'),
        (lambda content: '[1, 2]', 'holds a list at its top level'),
        (removing('images'), "expected a list under 'images', got nothing"),
        (removing('annotations'), "expected a list under 'annotations', got nothing"),
        (removing('categories'), "expected a list under 'categories', got nothing"),
        (setting('categories', 0, 'name', to='dog'), 'expected exactly one category, named person'),
        (setting('categories', 0, 'keypoints', 1, to='neck'), 'got 17 without head_bottom'),
        (setting('categories', 0, 'keypoints', to=JOINT_NAMES + ('tail',)), 'expected 15 or 17 keypoint names'),
        (removing('images', 1, 'id'), r'images\[1\] has no id'),
        (setting('images', 1, 'id', to=100), r'images\[1\] lists the frame of images\[0\] again'),
        (
            setting('images', 1, 'file_name', to='images/val/000001_mpii_test/000000.jpg'),
            r'images\[1\] lists the frame of images\[0\] again',
        ),
        (removing('images', 1, 'file_name'), r'images\[1\]: file_name None needs a parent folder'),
        (setting('images', 1, 'file_name', to='val/video_7/000001.jpg'), 'needs a parent folder like 000001_mpii_test'),
        (setting('images', 0, 'file_name', to='val/000001_mpii/10000.jpg'), 'frame number from 0 to 9999'),
        (setting('images', 0, 'file_name', to='val/000001_mpii/a.jpg'), 'frame number from 0 to 9999'),
        (removing('annotations', 0, 'image_id'), r'annotations\[0\] has no image_id'),
        (removing('annotations', 0, 'track_id'), r'annotations\[0\] \(id 7\): track_id must be a number up to 9999'),
        (setting('annotations', 0, 'track_id', to=10000), r'annotations\[0\].*track_id .* got 10000'),
        (
            setting('annotations', 0, 'keypoints', to=[1] * 45),
            r'annotations\[0\].*must hold 51 numbers .* got 45 numbers',
        ),
        (
            setting('annotations', 0, 'keypoints', 4, to=float('nan')),
            r'annotations\[0\].*keypoints: not a finite number',
        ),
        (setting('annotations', 0, 'keypoints', 4, to=None), r'annotations\[0\].*keypoints: not a finite number'),
        (setting('annotations', 0, 'keypoints', 4, to='x'), r'annotations\[0\].*keypoints: not a finite number'),
    ],
)
def test_bad_file_is_refused_by_name_and_entry(folders, side, edit, entry):
    with pytest.raises(ValueError, match=f'{side}/000002_mpii_test.json.*{entry}'):
        read_posetrack_folders(*folders(side, edit))


@pytest.mark.parametrize(
    ('edit', 'entry'),
    [
        (setting('annotations', 1, 'scores', 0, to=float('nan')), r'annotations\[1\].*scores: not a finite number'),
        (setting('annotations', 1, 'scores', 0, to=None), r'annotations\[1\].*scores: not a finite number'),
        (
            setting('annotations', 1, 'scores', to=[0.5] * 16),
            r'annotations\[1\].*scores must be a list with a score for each',
        ),
        (setting('annotations', 1, 'scores', to=0.5), r'annotations\[1\].*scores must be a list'),
        (setting('annotations', 1, 'track_id', to=0), r'annotations\[1\].*track_id 0 was given to .*annotations\[0\]'),
        (removing('annotations', 1, 'keypoints'), r'annotations\[1\].*keypoints must hold 51 numbers'),
    ],
)
def test_bad_prediction_is_refused_by_name_and_entry(folders, edit, entry):
    with pytest.raises(ValueError, match=f'guess/000002_mpii_test.json.*{entry}'):
        read_posetrack_folders(*folders('guess', edit))


@pytest.mark.parametrize(
    ('edit', 'entry'),
    [
        (setting('annotations', 0, 'bbox_head', to=[1, 2, 3]), r'annotations\[0\].*bbox_head: expected 4 numbers'),
        (
            setting('annotations', 0, 'bbox_head', to=[1, 2, 3, None]),
            r'annotations\[0\].*bbox_head: not a finite number',
        ),
        (
            setting('images', 0, 'ignore_regions_x', to=[[1, 2, 'x']]),
            r'image 100: ignore region 0 \(x\): not a finite number',
        ),
    ],
)
def test_bad_annotation_is_refused_by_name_and_entry(folders, edit, entry):
    def edit_with_regions(content):
        content['images'][0] |= {'ignore_regions_x': [[1, 2, 3]], 'ignore_regions_y': [[1, 5, 3]]}
        edit(content)

    with pytest.raises(ValueError, match=f'truth/000002_mpii_test.json.*{entry}'):
        read_posetrack_folders(*folders('truth', edit_with_regions))


def test_missing_head_box_is_refused_by_name_and_entry(folders):
    videos = read_posetrack_folders(*folders('truth', removing('annotations', 0, 'bbox_head')))
    with pytest.raises(
        ValueError, match=r'truth/000002_mpii_test.json: annotation entry 0 \(frame 0\) has no head box'
    ):
        evaluate_posetrack_ap(videos)


def test_wrong_number_of_frames_is_refused_by_name(folders):
    videos = read_posetrack_folders(*folders('guess', removing('images', 1)))
    with pytest.raises(
        ValueError, match='guess/000002_mpii_test.json has 1 frames, .*truth/000002_mpii_test.json has 2'
    ):
        evaluate_posetrack_ap(videos)


def test_annotated_person_without_keypoints_is_a_person_without_joints(official):
    content = official.content(1, [official.person(0, {}, bbox_head=HEAD)])
    del content['annotations'][0]['keypoints']
    video = parse_posetrack_video(content, 'annotations')
    assert video.has_people.tolist() == [True]
    assert not video.people.is_present.any()


def test_one_list_of_region_coordinates_alone_is_no_region(official):
    content = official.content(1, [])
    content['images'][0]['ignore_regions_x'] = [[1, 2, 3]]
    assert parse_posetrack_video(content, 'annotations').ignore_polygons == {}


# ---- the 2017 layout


def annolist_person(points, **extra):
    """Points are (id, x, y) or (id, x, y, score)."""
    listed = [
        {'id': [point[0]], 'x': [point[1]], 'y': [point[2]], **({'score': [point[3]]} if len(point) > 3 else {})}
        for point in points
    ]
    return {'annopoints': [{'point': listed}], 'track_id': [0], **extra}


ANNOLIST_HEAD = {'x1': [0], 'y1': [0], 'x2': [30], 'y2': [40]}  # head size 30
NOSE = JOINT_NAMES.index('nose')


def nose_result(truth_frames, guess_frames):
    frames = [
        {'annolist': [{'image': [{'name': f'{i}.jpg'}], **entry} for i, entry in enumerate(side)]}
        for side in (truth_frames, guess_frames)
    ]
    videos = [(parse_posetrack_video(frames[0], 'truth'), parse_posetrack_video(frames[1], 'guess', True))]
    result = evaluate_posetrack_ap(videos)
    return result.ap[NOSE], result.precision[NOSE], result.recall[NOSE]


def test_2017_listed_joint_at_the_origin_is_present():
    truth = [{'annorect': [annolist_person([(NOSE, 0, 0)], **ANNOLIST_HEAD)]}]
    guess = [{'annorect': [annolist_person([(NOSE, 0, 0, 0.5)])]}]
    assert nose_result(truth, guess) == (100, 100, 100)


def test_2017_joint_without_score_ranks_at_minus_9999():
    truth = [{'annorect': [annolist_person([(NOSE, 50, 50)], **ANNOLIST_HEAD)]}]
    rival = annolist_person([(NOSE, 500, 500, -5)])
    assert nose_result(truth, [{'annorect': [annolist_person([(NOSE, 50, 50)]), rival]}]) == (50, 50, 100)
    rival['annopoints'][0]['point'][0]['score'] = [-10000]
    assert nose_result(truth, [{'annorect': [annolist_person([(NOSE, 50, 50)]), rival]}]) == (100, 50, 100)


@pytest.mark.parametrize('pointless', [{}, {'annopoints': []}, {'annopoints': [{}]}])
def test_2017_person_without_points_keeps_its_frame_but_is_nobody(pointless):
    found = annolist_person([(NOSE, 50, 50)], **ANNOLIST_HEAD)
    truth = [{'annorect': [pointless]}, {'annorect': [found]}]
    guess = [
        {'annorect': [annolist_person([(NOSE, 50, 50, 0.9)])]},
        {'annorect': [annolist_person([(NOSE, 50, 50, 0.5)])]},
    ]
    assert nose_result(truth, guess) == (50, 50, 100)


def test_2017_ignore_regions_are_points():
    corners = [{'x': [x], 'y': [y]} for x, y in ((40, 40), (60, 40), (60, 60), (40, 60))]
    truth = [
        {
            'annorect': [annolist_person([(NOSE, 50, 50), (0, 90, 90)], **ANNOLIST_HEAD)],
            'ignore_regions': [{'point': corners}],
        }
    ]
    guess = [{'annorect': [annolist_person([(NOSE, 50, 50, 0.9), (0, 90, 90, 0.9)])]}]
    assert nose_result(truth, guess) == (0, 0, 0)


def test_2017_annotations_and_2018_predictions_go_together(official):
    body = official.full_body(50, 50)
    points = [(JOINT_NAMES.index(name), x, y) for name, (x, y, _) in body.items()]
    truth = {'annolist': [{'annorect': [annolist_person(points, **ANNOLIST_HEAD)]}]}
    guess = official.content(1, [official.person(0, body)])
    videos = [(parse_posetrack_video(truth, 'truth'), parse_posetrack_video(guess, 'guess', True))]
    np.testing.assert_array_equal(np.array(evaluate_posetrack_ap(videos)), 100.0)


@pytest.mark.parametrize(
    ('annolist', 'entry'),
    [
        ({}, 'expected a list of frames under annolist'),
        ([3], r'annolist\[0\] is no object'),
        ([{'annorect': [3]}], r'annolist\[0\].annorect\[0\] is no object'),
        ([{'annorect': [annolist_person([(15, 1, 1)])]}], r'annorect\[0\]: point 0: id must be a joint number'),
        ([{'annorect': [annolist_person([(3, 1, 1), (3, 2, 2)])]}], r'annorect\[0\]: point 1: joint 3 is listed twice'),
        ([{'annorect': [annolist_person([(3, 1, None)])]}], r'annorect\[0\]: point 0: not a finite number'),
        ([{'annorect': [annolist_person([(3, 1, 1, float('nan'))])]}], r'annorect\[0\]: point 0: score: not a finite'),
        ([{'image': [{'name': 'a.jpg'}]}] * 2, r'annolist\[1\] lists the frame of annolist\[0\] again: a.jpg'),
    ],
)
def test_2017_bad_entries_are_named(annolist, entry):
    with pytest.raises(ValueError, match=f'old.json: .*{entry}|old.json: {entry}'):
        parse_posetrack_video({'annolist': annolist}, 'old.json', is_prediction=True)


@pytest.mark.skipif(not SAMPLE.is_dir(), reason='needs the two real PoseTrack18 frames')
def test_real_annotations_evaluated_against_themselves_score_100():
    """Three people, with regions to be ignored and without scores."""
    videos = []
    for path in sorted(SAMPLE.glob('*.json')):
        annotated, predicted = read_posetrack_file(path), read_posetrack_file(path, is_prediction=True)
        videos.append((annotated, predicted))
    result = evaluate_posetrack_ap(videos)
    np.testing.assert_array_equal(np.array(result), 100.0)
    assert sum(len(annotated.people.frame) for annotated, _ in videos) == 3
    assert all(annotated.ignore_polygons for annotated, _ in videos)
