import doctest
import json

import numpy as np
import pytest

from mmpose_diffusion.datasets import posetrack17_conversion
from mmpose_diffusion.datasets.posetrack17_conversion import convert_video, numbers_of_videos
from mmpose_diffusion.evaluation.functional import evaluate_posetrack_ap, parse_posetrack_video

# Written down anew from the official description: joint ids of PoseTrack17.
JOINTS = ['right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle', 'right_wrist',
          'right_elbow', 'right_shoulder', 'left_shoulder', 'left_elbow', 'left_wrist', 'head_bottom', 'nose',
          'head_top']  # fmt: skip


def old_person(track_id=0, joints=range(15)):
    points = [{'id': [joint], 'x': [100.5 + joint], 'y': [200 + 2 * joint], 'is_visible': [1]} for joint in joints]
    head = {'x1': [90], 'y1': [80], 'x2': [120], 'y2': [130]}
    return {'track_id': [track_id], 'annopoints': [{'point': points}] if points else [], **head}


def shifted_person(left):
    person = old_person()
    person['annopoints'][0]['point'][0]['x'] = [left]
    return person


def old_frame(number, people=(), **changes):
    name = f'images/bonn_mpii_test_5sec/24621_mpii/{number:08d}.jpg'
    frame = {'image': [{'name': name}], 'annorect': list(people), 'imgnum': [number], 'ignore_regions': []}
    return {**frame, **changes}


def convert(*frames):
    return convert_video({'annolist': list(frames)}, '24621_mpii_relpath_5sec_testsub.json', 24621)


def test_joints_go_to_the_place_of_their_name():
    content = convert(old_frame(1, [old_person()]))
    names = content['categories'][0]['keypoints']
    triplets = np.reshape(content['annotations'][0]['keypoints'], (17, 3))
    for joint, name in enumerate(JOINTS):
        assert triplets[names.index(name)].tolist() == [100.5 + joint, 200 + 2 * joint, 1]
    for ear in ('left_ear', 'right_ear'):
        assert triplets[names.index(ear)].tolist() == [0, 0, 0]
    assert content['annotations'][0]['num_keypoints'] == 15


def test_joints_that_are_not_listed_are_absent():
    content = convert(old_frame(1, [old_person(joints=[13])]))
    triplets = np.reshape(content['annotations'][0]['keypoints'], (17, 3))
    assert triplets[0].tolist() == [113.5, 226, 1]  # the nose
    assert (triplets[1:] == 0).all()


def test_frames_keep_their_names_and_get_ids_like_those_of_posetrack18():
    content = convert(old_frame(1), old_frame(2, [old_person(7)]))
    assert [image['id'] for image in content['images']] == [10246210001, 10246210002]
    assert content['images'][1]['file_name'] == 'images/bonn_mpii_test_5sec/24621_mpii/00000002.jpg'
    assert [image['nframes'] for image in content['images']] == [2, 2]
    assert content['annotations'][0]['image_id'] == 10246210002
    assert content['annotations'][0]['track_id'] == 7


def test_frames_are_labelled_as_flagged_or_if_they_have_people():
    frames = (old_frame(1), old_frame(2, [old_person()]), old_frame(3, is_labeled=[1]), old_frame(4, is_labeled=[0]))
    assert [image['is_labeled'] for image in convert(*frames)['images']] == [False, True, True, False]


def test_head_corners_become_a_box_and_people_get_a_box_around_their_joints():
    annotation = convert(old_frame(1, [old_person()]))['annotations'][0]
    assert annotation['bbox_head'] == [90, 80, 30, 50]
    np.testing.assert_allclose(annotation['bbox'], [100.5 - 2.1, 200 - 4.2, 14 * 1.3, 28 * 1.3])
    assert 'bbox' not in convert(old_frame(1, [old_person(joints=[])]))['annotations'][0]


def test_ignore_regions_become_polygons():
    region = {'point': [{'x': [1], 'y': [2]}, {'x': [3], 'y': [4]}, {'x': [5], 'y': [6]}]}
    image = convert(old_frame(1, ignore_regions=[region]))['images'][0]
    assert (image['ignore_regions_x'], image['ignore_regions_y']) == ([[1, 3, 5]], [[2, 4, 6]])


def test_videos_of_one_number_are_kept_apart():
    names = ['02276_mpii_step1_relpath.json', '02276_mpii_step2_relpath.json', '000003_bonn.json', '02276_mpiinew.json']
    assert numbers_of_videos(names) == [2276, 900000, 3, 900001]


def test_annotation_ids_are_unique_for_all_track_ids():
    content = convert(*(old_frame(frame, [old_person(0), old_person(100), old_person(9999)]) for frame in (1, 2)))
    assert len({annotation['id'] for annotation in content['annotations']}) == 6


@pytest.mark.parametrize(
    ('frame', 'message'),
    [
        ({'image': []}, r'annolist\[1\] names no image'),
        (old_frame(1, [{'annopoints': []}]), r'annolist\[1\].annorect\[0\]: track_id: not a finite number'),
        (old_frame(1, [old_person(joints=[15])]), 'id must be a joint number from 0 to 14, got 15'),
        (old_frame(1, [None]), r'annolist\[1\].annorect\[0\] is no object'),
        (old_frame(1, annorect={'track_id': [0]}), r"annolist\[1\]: expected a list under 'annorect'"),
        (old_frame(1, image=[{'name': 5}]), r'annolist\[1\] names no image'),
        (old_frame(1, [shifted_person(float('nan'))]), r'annorect\[0\]: point 0: not a finite number'),
        (old_frame(1, image=[{'name': 'images/a/front.jpg'}]), 'has no number for a name'),
    ],
)
def test_what_cannot_be_converted_is_refused_with_file_and_entry(frame, message):
    with pytest.raises(ValueError, match=message) as error:
        convert(old_frame(0), frame)
    assert '24621_mpii_relpath_5sec_testsub.json' in str(error.value)


def test_file_in_another_layout_is_refused():
    with pytest.raises(ValueError, match='no list annolist'):
        convert_video({'images': []}, 'a.json', 1)


def test_converted_folder_is_read_by_the_dataset(world):
    content = convert(old_frame(1), old_frame(2, [old_person(7)]), old_frame(3))
    (world.folder / '24621_mpii_relpath_5sec_testsub.json').write_text(json.dumps(content))
    dataset = world.load()
    sample = dataset.get_data_info(0)
    assert len(dataset) == 1
    assert sample['video'] == '24621_mpii_relpath_5sec_testsub'
    assert sample['key_frame_index'] == 1  # frames count from 1, indices from 0
    assert sample['video_frames'][2].endswith('24621_mpii/00000003.jpg')


def test_converted_annotations_are_evaluated_like_the_original():
    nobody = {'track_id': [1]}  # neither points nor a head
    headless = {**old_person(2, joints=[]), 'x1': []}
    frames = [old_frame(1, [old_person(), nobody, headless]), old_frame(2, [nobody])]
    frames[1]['ignore_regions'] = [{'point': []}]
    original = parse_posetrack_video({'annolist': frames}, 'original')
    converted = parse_posetrack_video(convert(*frames), 'converted')
    people = [{**old_person(4), 'annopoints': shifted_person(110)['annopoints']}, old_person(5)]
    predicted = {'annolist': [old_frame(1, people), old_frame(2, people)]}
    predicted = parse_posetrack_video(predicted, 'predicted', is_prediction=True)
    results = [evaluate_posetrack_ap([(annotated, predicted)]) for annotated in (original, converted)]
    np.testing.assert_array_equal(*results)
    assert 0 < results[0].ap[15] < 100


def test_examples_in_the_documentation_hold():
    assert doctest.testmod(posetrack17_conversion).failed == 0
