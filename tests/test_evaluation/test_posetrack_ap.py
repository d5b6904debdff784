"""The worked example and every peculiarity of the PoseTrack evaluation, one by one."""

import time

import numpy as np
import pytest

from mmpose_diffusion.evaluation.functional import (
    JOINT_NAMES,
    TOTAL,
    average_precision,
    evaluate_posetrack_ap,
    format_posetrack_table,
    parse_posetrack_video,
    posetrack_columns,
    posetrack_result_as_dict,
)
from mmpose_diffusion.evaluation.functional.posetrack_ap import People, VideoPeople, collect_detections

HEAD = [0, 0, 30, 40]  # head size 30, hits up to 15 pixels
NOSE = JOINT_NAMES.index('nose')


def evaluate(*videos):
    return evaluate_posetrack_ap(
        [(parse_posetrack_video(a, 'annotations'), parse_posetrack_video(p, 'predictions', True)) for a, p in videos]
    )


@pytest.fixture
def evaluate_people(official):
    """Evaluate annotated and predicted people of one video."""

    def run(annotated, predicted, num_frames=1, **image):
        truth, guess = official.content(num_frames, annotated), official.content(num_frames, predicted)
        truth['images'][0].update(image)
        return evaluate((truth, guess))

    return run


def test_worked_example(official):
    result = evaluate(official.worked_example())
    expected = dict.fromkeys(JOINT_NAMES, 0.0) | {'nose': 50.0, 'right_knee': 50.0, 'left_ankle': np.nan}
    np.testing.assert_array_equal(result.ap[:TOTAL], list(expected.values()))
    assert result.ap[TOTAL] == 7.142857142857143
    columns = posetrack_columns(result.ap)
    assert list(columns) == ['Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle', 'Mean']
    np.testing.assert_array_equal(
        list(columns.values()), [16.666666666666668, 0, 0, 0, 0, 25, np.nan, 7.142857142857143]
    )


def test_perfect_prediction_scores_100_everywhere(official, evaluate_people):
    body = official.full_body(50, 50)
    result = evaluate_people([official.person(0, body, bbox_head=HEAD)], [official.person(0, body)])
    np.testing.assert_array_equal(np.array(result), 100.0)


def test_distance_of_exactly_half_a_head_is_a_hit(official, evaluate_people):
    truth = [official.person(0, {'nose': (100, 100)}, bbox_head=HEAD)]
    hit = evaluate_people(truth, [official.person(0, {'nose': (115, 100, 1)})])
    miss = evaluate_people(truth, [official.person(0, {'nose': (np.nextafter(115, 116), 100, 1)})])
    assert (hit.ap[NOSE], miss.ap[NOSE]) == (100, 0)


def test_head_box_of_size_zero_hits_nothing(official, evaluate_people):
    truth = [official.person(0, {'nose': (100, 100)}, bbox_head=[5, 5, 0, 0])]
    result = evaluate_people(truth, [official.person(0, {'nose': (100, 100, 1)})])
    assert (result.ap[NOSE], result.recall[NOSE]) == (0, 0)


def test_duplicate_is_false_positives_and_list_order_decides_not_score(official, evaluate_people):
    truth = [official.person(0, {'nose': (100, 100)}, bbox_head=HEAD)]
    low_first = [
        official.person(0, {'nose': (100, 100, 0.1)}, track_id=0),
        official.person(0, {'nose': (100, 100, 0.9)}, track_id=1),
    ]
    assert evaluate_people(truth, low_first).ap[NOSE] == 50  # the high-scored copy is the false positive
    assert evaluate_people(truth, low_first[::-1]).ap[NOSE] == 100


def test_share_is_of_the_annotated_persons_own_joints(official, evaluate_people):
    """One annotated joint that is hit takes the prediction away from a neighbour with 14 of 15 hits."""
    body = official.full_body(50, 50)
    truth = [
        official.person(0, {**body, 'nose': (300, 300)}, bbox_head=HEAD),  # 14 of 15
        official.person(0, {'nose': body['nose'][:2]}, bbox_head=HEAD),  # 1 of 1
    ]
    result = evaluate_people(truth, [official.person(0, body)])
    assert result.ap[NOSE] == 50  # two noses annotated, one hit
    assert result.ap[:TOTAL].sum() == 50


def test_a_loser_does_not_get_a_free_second_choice(official, evaluate_people):
    body, other = official.full_body(50, 50), official.full_body(55, 50)
    truth = [official.person(0, body, bbox_head=HEAD), official.person(0, other, bbox_head=HEAD)]
    doubled = [official.person(0, body, track_id=0), official.person(0, body, track_id=1)]
    result = evaluate_people(truth, doubled)  # both hit both people fully: both choose the first one
    assert result.recall[NOSE] == 50


def test_joint_that_the_person_does_not_have_is_a_false_positive(official, evaluate_people):
    truth = [official.person(0, {'nose': (100, 100), 'head_top': (100, 60)}, bbox_head=HEAD, track_id=0)]
    truth.append(official.person(0, {'left_wrist': (900, 900)}, bbox_head=HEAD, track_id=1))
    joints = {'nose': (100, 100, 1), 'head_top': (100, 60, 1)}
    with_wrist = evaluate_people(truth, [official.person(0, {**joints, 'left_wrist': (120, 120, 1)})])
    without = evaluate_people(truth, [official.person(0, joints)])
    wrist = JOINT_NAMES.index('left_wrist')
    assert (with_wrist.precision[wrist], with_wrist.ap[wrist]) == (0, 0)
    np.testing.assert_array_equal(with_wrist.ap[:wrist], without.ap[:wrist])


def test_class_nobody_has_counts_zero_but_class_only_predicted_is_left_out(official, evaluate_people):
    truth = [official.person(0, {'nose': (100, 100)}, bbox_head=HEAD)]
    silent = evaluate_people(truth, [official.person(0, {'nose': (100, 100, 1)})])
    talkative = evaluate_people(truth, [official.person(0, {'nose': (100, 100, 1), 'left_knee': (9, 9, 1)})])
    assert silent.ap[TOTAL] == 100 / 15
    assert talkative.ap[TOTAL] == 100 / 14
    assert np.isnan(talkative.ap[JOINT_NAMES.index('left_knee')])
    assert np.isnan(posetrack_columns(talkative.ap)['Knee'])


def test_predictions_in_frames_without_annotated_people_cost_nothing(official, evaluate_people):
    truth = [official.person(0, {'nose': (100, 100)}, bbox_head=HEAD)]
    guess = [official.person(0, {'nose': (100, 100, 0.5)}), official.person(1, {'nose': (7, 7, 0.9)})]
    assert evaluate_people(truth, guess, num_frames=2).ap[NOSE] == 100


@pytest.mark.parametrize('flag', [True, False])
def test_labelled_flag_plays_no_part(official, evaluate_people, flag):
    truth = [official.person(0, {'nose': (100, 100)}, bbox_head=HEAD)]
    result = evaluate_people(truth, [official.person(0, {'nose': (100, 100, 0.5)})], is_labeled=flag)
    assert result.ap[NOSE] == 100


def test_person_without_joints_keeps_its_frame_alive(official, evaluate_people):
    truth = [
        official.person(0, {}, bbox_head=HEAD),
        official.person(1, {'nose': (100, 100)}, bbox_head=HEAD),
    ]
    guess = [official.person(0, {'nose': (9, 9, 0.9)}), official.person(1, {'nose': (100, 100, 0.5)})]
    assert evaluate_people(truth, guess, num_frames=2).ap[NOSE] == 50


def test_frame_whose_people_are_all_ignored_still_counts_false_positives(official, evaluate_people):
    square = {'ignore_regions_x': [[90, 110, 110, 90]], 'ignore_regions_y': [[90, 90, 110, 110]]}
    truth = [
        official.person(0, {'nose': (100, 100)}, bbox_head=HEAD),
        official.person(1, {'nose': (100, 100)}, bbox_head=HEAD),
    ]
    guess = [official.person(0, {'nose': (200, 200, 0.9)}), official.person(1, {'nose': (100, 100, 0.5)})]
    result = evaluate_people(truth, guess, num_frames=2, **square)
    assert (result.ap[NOSE], result.recall[NOSE]) == (50, 100)


def test_ignored_joints_are_neither_hits_nor_misses(official, evaluate_people):
    square = {'ignore_regions_x': [[90, 110, 110, 90]], 'ignore_regions_y': [[90, 90, 110, 110]]}
    truth = [official.person(0, {'nose': (100, 100), 'head_top': (100, 60)}, bbox_head=HEAD)]
    guess = [official.person(0, {'nose': (104, 100, 0.9), 'head_top': (100, 60, 0.9)})]
    result = evaluate_people(truth, guess, **square)
    assert (result.ap[NOSE], result.ap[JOINT_NAMES.index('head_top')]) == (0, 100)
    assert result.precision[NOSE] == 0  # class without detections: 0, not NaN
    assert result.ap[TOTAL] == 100 / 15


def test_false_positive_below_all_others_changes_no_ap(official, evaluate_people):
    truth = [official.person(0, {'nose': (100, 100)}, bbox_head=HEAD)]
    guess = [official.person(0, {'nose': (100, 100, 0.5)})]
    more = [*guess, official.person(0, {'nose': (9, 9, 0.4)}, track_id=1)]
    assert evaluate_people(truth, guess).ap[NOSE] == evaluate_people(truth, more).ap[NOSE] == 100
    assert evaluate_people(truth, more).precision[NOSE] == 50


def test_images_of_a_second_video_in_the_file_are_lost(official):
    people = [official.person(frame, {'nose': (100, 100, 0.5)}, bbox_head=HEAD) for frame in range(2)]
    truth, guess = official.content(2, people), official.content(2, people[:1])
    for content in (truth, guess):
        content['images'][1]['file_name'] = 'images/val/000002_mpii_test/000000.jpg'
    assert evaluate((truth, guess)).recall[NOSE] == 100
    for content in (truth, guess):
        content['images'][1]['file_name'] = 'images/val/000001_bonn/000000.jpg'  # the same first part of the name
    assert evaluate((truth, guess)).recall[NOSE] == 50


@pytest.mark.parametrize('scores', ['absent', None, []])
@pytest.mark.parametrize(('rival', 'expected'), [(-5.0, 50), (-10000.0, 100)])
def test_missing_scores_rank_at_minus_9999(official, evaluate_people, scores, rival, expected):
    truth = [official.person(0, {'nose': (100, 100)}, bbox_head=HEAD)]
    unscored = official.person(0, {'nose': (100, 100)}, track_id=0)
    unscored['scores'] = scores
    if scores == 'absent':
        del unscored['scores']
    result = evaluate_people(truth, [unscored, official.person(0, {'nose': (9, 9, rival)}, track_id=1)])
    assert result.ap[NOSE] == expected


def test_later_detection_ranks_first_among_equal_scores(official):
    """Later person, later frame, later file."""
    hit, miss = {'nose': (100, 100, 0.5)}, {'nose': (9, 9, 0.5)}
    one = [official.person(0, {'nose': (100, 100)}, bbox_head=HEAD)]
    hit_last = official.content(1, [official.person(0, miss, 0), official.person(0, hit, 1)])
    miss_last = official.content(1, [official.person(0, hit, 0), official.person(0, miss, 1)])
    assert evaluate((official.content(1, one), hit_last)).ap[NOSE] == 100
    assert evaluate((official.content(1, one), miss_last)).ap[NOSE] == 50

    two = [official.person(frame, {'nose': (100, 100)}, bbox_head=HEAD) for frame in range(2)]
    hit_later = official.content(2, [official.person(0, miss), official.person(1, hit)])
    assert evaluate((official.content(2, two), hit_later)).ap[NOSE] == 50
    miss_later = official.content(2, [official.person(0, hit), official.person(1, miss)])
    assert evaluate((official.content(2, two), miss_later)).ap[NOSE] == 25

    files = [(official.content(1, one), official.content(1, [official.person(0, j)])) for j in (hit, miss)]
    assert evaluate(*files).ap[NOSE] == 25
    assert evaluate(*files[::-1]).ap[NOSE] == 50


def test_joint_at_the_origin_is_present_unless_all_three_numbers_are_zero(official, evaluate_people):
    truth = [official.person(0, {'nose': (0, 0)}, bbox_head=HEAD)]
    for visibility, expected in ((1, 100), (0.3, 100), (0, 0)):
        guess = official.person(0, {'nose': (0, 0, 0.5)})
        guess['keypoints'][2] = visibility
        assert evaluate_people(truth, [guess]).ap[NOSE] == expected
    guess = official.person(0, {'nose': (4, 3, 0.5)})
    guess['keypoints'][2] = 0  # a normal joint
    assert evaluate_people(truth, [guess]).ap[NOSE] == 100


def test_names_decide_which_joint_is_meant(official):
    names = [*official.joint_names[::-1]]  # 15 names, backwards, in the prediction only
    body = official.full_body(50, 50)
    truth = official.content(1, [official.person(0, body, bbox_head=HEAD)])
    guess = official.content(1, [official.person(0, body, names=names)], names=names)
    assert evaluate((truth, guess)).ap[TOTAL] == 100


def test_frames_are_paired_by_position_not_by_id_or_name(official):
    body = official.full_body(50, 50)
    truth = official.content(2, [official.person(1, body, bbox_head=HEAD)])
    guess = official.content(2, [official.person(1, body)])
    guess['images'][0].update(id='a', file_name='other/000077_bonn/000050.jpg')
    guess['images'][1].update(id='b', file_name='other/000077_bonn/000020.jpg')
    guess['annotations'][0]['image_id'] = 'b'
    assert evaluate((truth, guess)).ap[TOTAL] == 100


def test_annotations_of_unknown_images_are_dropped(official, evaluate_people):
    body = official.full_body(50, 50)
    stray = official.person(7, body)
    result = evaluate_people([official.person(0, body, bbox_head=HEAD)], [stray, official.person(0, body)])
    assert result.precision[TOTAL] == 100


def test_nothing_to_evaluate_gives_zero_not_nan(official, evaluate_people):
    for result in (evaluate_people([], []), evaluate_people([], [official.person(0, {'nose': (1, 1, 1)})]), evaluate()):
        np.testing.assert_array_equal(np.array(result), np.zeros((3, 16)))


def test_precision_recall_curve_by_hand():
    """Ranked miss hit miss hit hit of 4: area 1/4 * (3/5) three times; recall never reaches 1."""
    scores, is_hit = np.array([0.1, 0.5, 0.3, 0.2, 0.4]), np.array([True, False, False, True, True])
    ap, precision, recall = average_precision(scores, is_hit, 4)
    assert ap == pytest.approx(100 * 3 * 0.25 * 0.6, abs=1e-12)
    assert (precision, recall) == (60, 75)


def test_missing_head_box_is_an_error_only_where_it_is_needed(official, evaluate_people):
    nose = {'nose': (100, 100, 0.5)}
    truth = [official.person(0, nose, bbox_head=HEAD), official.person(1, nose)]
    assert evaluate_people(truth, [official.person(0, nose)], num_frames=2).recall[NOSE] == 50
    with pytest.raises(ValueError, match=r'annotations: annotation entry 1 \(frame 1\) has no head box'):
        evaluate_people(truth, [official.person(1, nose)], num_frames=2)


def test_ignored_people_need_no_head_box_and_ignored_predictions_ask_for_none(official, evaluate_people):
    square = {'ignore_regions_x': [[90, 110, 110, 90]], 'ignore_regions_y': [[90, 90, 110, 110]]}
    inside, outside = {'nose': (100, 100, 0.5)}, {'nose': (300, 300, 0.5)}
    evaluate_people([official.person(0, inside)], [official.person(0, outside)], **square)
    evaluate_people([official.person(0, outside)], [official.person(0, inside)], **square)
    with pytest.raises(ValueError, match='has no head box'):
        evaluate_people([official.person(0, outside)], [official.person(0, outside)], **square)
    truth = [official.person(0, inside), official.person(1, {})]  # no region in frame 1: somebody without joints stays
    with pytest.raises(ValueError, match=r'frame 1\) has no head box'):
        evaluate_people(truth, [official.person(1, outside)], num_frames=2, **square)


def test_frame_with_nothing_but_a_region_without_corners_loses_people_without_joints(official, evaluate_people):
    truth, guess = [official.person(0, {})], [official.person(0, {'nose': (300, 300, 0.5)})]  # nobody has a head box
    evaluate_people(truth, guess, ignore_regions_x=[[]], ignore_regions_y=[[]])
    with pytest.raises(ValueError, match='has no head box'):
        evaluate_people(truth, guess, ignore_regions_x=[], ignore_regions_y=[])


def test_different_numbers_of_frames_are_an_error(official):
    truth, guess = official.content(3, []), official.content(2, [])
    with pytest.raises(ValueError, match='predictions has 2 frames, annotations has 3'):
        evaluate((truth, guess))


@pytest.mark.parametrize('corners', [1, 2])
def test_region_of_one_or_two_corners_is_an_error(official, evaluate_people, corners):
    region = {'ignore_regions_x': [[1, 2, 3], [1, 2][:corners]], 'ignore_regions_y': [[1, 5, 3], [1, 2, 4]]}
    with pytest.raises(ValueError, match=f'ignore region 1 of frame 0 has {corners} corners'):
        evaluate_people([official.person(0, {'nose': (9, 9)}, bbox_head=HEAD)], [], **region)


def test_result_as_dict_is_strict_json_and_table_is_readable(official):
    result = evaluate(official.worked_example())
    content = posetrack_result_as_dict(result)
    assert list(content) == ['ap', 'precision', 'recall', 'columns']
    assert list(content['ap']) == [*JOINT_NAMES, 'total']
    assert content['ap']['left_ankle'] is None
    assert content['columns']['ap']['Ankle'] is None
    assert content['columns']['ap']['Head'] == 16.666666666666668
    header, ap, precision, recall = format_posetrack_table(result).splitlines()
    assert header.split() == ['Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle', 'Mean']
    assert ap.split() == ['AP', '16.7', '0.0', '0.0', '0.0', '0.0', '25.0', 'nan', '7.1']


def random_video_people(num_frames, num_people, seed):
    """One video of people side by side and slightly wrong predictions, already loaded."""
    random = np.random.default_rng(seed)
    count = num_frames * num_people
    frame = np.repeat(np.arange(num_frames), num_people)
    keypoints = random.uniform(0, 50, (count, 15, 2)) + 60 * np.tile(np.arange(num_people), num_frames)[:, None, None]
    truth = People(
        frame, keypoints, np.ones((count, 15), bool), np.zeros((count, 15)), np.full(count, 20.0), np.arange(count)
    )
    noisy = truth._replace(
        keypoints=keypoints + random.normal(0, 6, keypoints.shape), scores=random.random((count, 15))
    )
    has_people = np.ones(num_frames, bool)
    corners = np.array([[20.0, 20], [100, 30], [90, 50], [40, 60], [10, 40]])
    polygons = {frame: (corners, corners + 100) for frame in range(num_frames)}
    return VideoPeople('a', has_people, truth, polygons), VideoPeople('p', has_people, noisy, {})


def seconds(videos):
    start = time.process_time()
    evaluate_posetrack_ap(videos)
    return time.process_time() - start


def test_twenty_videos_take_at_most_150_milliseconds_of_cpu():
    videos = [random_video_people(30, 4, seed) for seed in range(20)]
    assert min(seconds(videos) for _ in range(5)) <= 0.15


def test_time_grows_linearly_to_the_size_of_a_validation_set():
    """9,000 frames, 45,000 people; growth with the square would be 5 times the allowed."""
    videos = [random_video_people(30, 5, seed) for seed in range(15)]
    small = min(seconds(videos) for _ in range(3))
    large = seconds(videos * 20)
    assert large <= 5
    assert large <= 4 * 20 * small


def test_time_grows_linearly_with_the_frames_of_one_video():
    short, long = random_video_people(450, 5, 0), random_video_people(9000, 5, 0)
    assert seconds([long]) <= 4 * 20 * min(seconds([short]) for _ in range(3))


def test_matching_in_blocks_gives_the_same_as_at_once(monkeypatch):
    videos = random_video_people(50, 5, 0)
    at_once = collect_detections(*videos).is_hit
    monkeypatch.setattr('mmpose_diffusion.evaluation.functional.posetrack_ap.PREDICTIONS_PER_BLOCK', 7)
    np.testing.assert_array_equal(collect_detections(*videos).is_hit, at_once)
    assert 0.5 < at_once.mean() < 0.95
