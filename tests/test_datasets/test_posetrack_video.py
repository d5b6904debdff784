import json

import numpy as np
import pytest
from mmengine.logging import MessageHub

from mmpose_diffusion.datasets.posetrack_files import read_annotations
from mmpose_diffusion.datasets.posetrack_merging import merge_videos
from mmpose_diffusion.datasets.posetrack_video import PoseTrackVideoDataset
from mmpose_diffusion.datasets.video_pose_dataset import box_around_keypoints, clip_box
from mmpose_diffusion.evaluation.functional.posetrack_results import load_annotated_videos


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmpose_diffusion.datasets.video_pose_dataset.print_log', lambda message, **_: lines.append(message)
    )
    return lines


def infos(dataset):
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def test_each_person_of_a_labelled_frame_is_a_sample_with_the_whole_video_beside_it(two_videos):
    samples = infos(two_videos.load())
    assert len(samples) == 2 * 3 + 2 * 2
    assert [(s['video'], s['key_frame_index'], s['track_id']) for s in samples] == [
        (video, frame, track)
        for video, frames in (('000001_mpii_test', (1, 2, 3)), ('000002_mpii_test', (0, 3)))
        for frame in frames
        for track in (0, 1)
    ]
    first = samples[0]
    assert first['img_id'] == 10000010001
    assert first['id'] == 1000001000100
    assert len(first['video_frames']) == 6  # unlabelled frames are neighbours
    assert first['img_path'] == first['video_frames'][1]
    assert first['img_path'].endswith('images/val/000001_mpii_test/000001.jpg')
    assert first['bbox'].tolist() == [[10, 10, 40, 50]]
    assert first['bbox'].dtype == first['keypoints'].dtype == np.float32
    assert first['keypoints'].shape == (1, 17, 2)
    assert first['keypoints_visible'].tolist() == [[1, 1, 1, 0, 0] + [1] * 12]
    assert first['flip_indices'][5] == 6
    assert (first['category_id'], first['bbox_score'].tolist()) == (1, [1.0])


def test_frames_need_not_exist_until_they_are_loaded(world, make_video):
    assert len(world.write(make_video(), images=False).load()) == 6


def test_frames_of_a_video_are_shared_by_its_samples(two_videos):
    dataset = two_videos.load()
    assert dataset.get_data_info(0)['video_frames'] is dataset.get_data_info(1)['video_frames']


def test_ignore_regions_of_the_key_frame_are_kept(two_videos):
    samples = infos(two_videos.load())
    assert [polygon.tolist() for polygon in samples[0]['ignore_regions']] == [[[0, 0], [5, 0], [5, 5]]]
    assert samples[2]['ignore_regions'] == []


def test_merged_file_gives_the_same_samples_as_the_folder(two_videos, tmp_path):
    contents = [json.loads(path.read_text()) for path in sorted(two_videos.folder.iterdir())]
    merged = {
        'images': sum((content['images'] for content in contents), [])[::-1],
        'annotations': sum((content['annotations'] for content in contents), []),
        'categories': contents[0]['categories'],
    }
    (tmp_path / 'merged.json').write_text(json.dumps(merged))
    from_folder, from_file = infos(two_videos.load()), infos(two_videos.load('merged.json'))
    assert len(from_file) == len(from_folder) == 10
    for expected, sample in zip(from_folder, from_file, strict=True):
        for key in ('video', 'video_frames', 'key_frame_index', 'img_path', 'img_id', 'id', 'track_id'):
            assert sample[key] == expected[key]
        np.testing.assert_array_equal(sample['keypoints'], expected['keypoints'])


def test_merging_tool_and_folder_agree_on_boxes_and_areas(world, make_video, make_person):
    content = make_video(labelled=(1,), people=1)
    content['annotations'] = [
        make_person(10000010001, 0, left=-5, top=30, width=200, height=100),  # over the border
        make_person(10000010001, 1, left=70, width=40, bbox=None),
        {**make_person(10000010001, 2), 'bbox': None},
        make_person(10000010001, 3),
        make_person(10000010001, 4, keypoints=[0] * 51, bbox=None),
    ]
    world.write(content, images=False)
    merged = merge_videos(read_annotations(str(world.folder)))
    assert all(len(annotation['bbox']) == 4 for annotation in merged['annotations'])  # COCO readers ask for it
    (world.root / 'merged.json').write_text(json.dumps(merged))
    from_folder, from_file = infos(world.load()), infos(world.load('merged.json'))
    assert len(from_file) == len(from_folder) == 4
    for expected, sample in zip(from_folder, from_file, strict=True):
        assert sample['raw_ann_info'] == expected['raw_ann_info']
        assert sample['area'] == expected['area'] > 1
        np.testing.assert_array_equal(sample['bbox'], expected['bbox'])


def test_frames_that_a_file_does_not_list_are_neighbours_if_they_lie_between_listed_ones(world, make_video):
    content = make_video(num_frames=9, labelled=(2, 6), listed=(2, 6))
    dataset = world.write(content, images=False).load()
    assert [path[-10:-4] for path in dataset.get_data_info(0)['video_frames']] == [f'{n:06d}' for n in range(2, 7)]
    assert [sample['key_frame_index'] for sample in infos(dataset)] == [0, 0, 4, 4]
    assert len(world.load(fill_frame_gaps=False).get_data_info(0)['video_frames']) == 2


def test_numbers_that_are_no_frame_count_are_not_filled(world, make_video):
    content = make_video(num_frames=3, labelled=(0, 2), listed=(0, 900))
    content['annotations'] = content['annotations'][:2]
    assert len(world.write(content, images=False).load().get_data_info(0)['video_frames']) == 2


def test_keypoints_are_found_by_name_in_whatever_order_they_stand(world, make_video):
    content = make_video(people=1)
    expected = infos(world.write(content).load())
    order = np.random.default_rng(0).permutation(17)
    names = content['categories'][0]['keypoints']
    content['categories'][0]['keypoints'] = [names[place] for place in order]
    for annotation in content['annotations']:
        triplets = np.reshape(annotation['keypoints'], (17, 3))
        annotation['keypoints'] = triplets[order].flatten().tolist()
    for before, after in zip(expected, infos(world.write(content).load()), strict=True):
        np.testing.assert_array_equal(before['keypoints'], after['keypoints'])
        np.testing.assert_array_equal(before['keypoints_visible'], after['keypoints_visible'])


def test_fifteen_names_without_ears_are_enough(world, make_video):
    content = make_video(people=1)
    del content['categories'][0]['keypoints'][3:5]
    for annotation in content['annotations']:
        del annotation['keypoints'][9:15]
    sample = world.write(content).load().get_data_info(0)
    assert sample['keypoints_visible'].tolist() == [[1, 1, 1, 0, 0] + [1] * 12]
    assert (sample['keypoints'][0, 3:5] == 0).all()


def test_what_a_synthetic_world_knows_goes_along_in_our_order(world, make_video):
    content = make_video()
    listed = content['categories'][0]['keypoints']
    content['categories'][0]['keypoints'] = listed[::-1]
    known = {'action': 'Boxing', 'motion': list(range(17))[::-1], 'keypoints_exact': [[i, 0] for i in range(17)][::-1]}
    content['annotations'][0]['synthetic'] = {**known, 'exposure': 0.6}
    world.write(content)
    first, second = (sample['raw_ann_info'] for sample in infos(world.load())[:2])
    assert first['synthetic'] == {
        'action': 'Boxing',
        'motion': list(range(17)),
        'keypoints_exact': [[i, 0] for i in range(17)],
        'exposure': 0.6,
    }
    assert 'synthetic' not in second


def test_people_who_cannot_be_used_are_left_out_and_counted(world, make_video, make_person, log):
    content = make_video(labelled=(1,), people=1)
    image_id = content['annotations'][0]['image_id']
    content['annotations'] += [
        make_person(image_id, 1, keypoints=[0] * 51),
        make_person(image_id, 2, keypoints=[]),
        make_person(image_id, 3, width=0),
        make_person(image_id, 4, left=200),
        make_person(image_id, 5, iscrowd=1),
        make_person(12345, 6),
    ]
    assert len(world.write(content).load()) == 1
    assert '1 people in 1 labelled of 6 frames of 1 videos' in log[-1]
    for reason in (
        '2 people without keypoints',
        '1 people with an empty box',
        '1 people with a box outside the image',
        '1 crowds',
        '1 annotations without image',
    ):
        assert reason in log[-1]


@pytest.mark.parametrize('null', [False, True])
def test_person_without_box_gets_one_as_posetrack_made_them(world, make_video, log, null):
    content = make_video(labelled=(1,), people=1)
    del content['annotations'][0]['bbox']
    content['annotations'][0].update({'bbox': None} if null else {})
    sample = world.write(content).load().get_data_info(0)
    present = sample['keypoints'][0][sample['keypoints_visible'][0] > 0]
    expected, _ = clip_box(box_around_keypoints(present), (64, 96))
    np.testing.assert_allclose(sample['bbox'][0], expected, rtol=1e-5)
    assert '1 missing boxes' in log[-1]


def test_box_is_cut_at_the_border_of_the_image(world, make_video, make_person):
    content = make_video(labelled=(1,), people=1)
    content['annotations'] = [make_person(10000010001, 0, left=-5, top=30, width=200, height=100)]
    assert world.write(content).load().get_data_info(0)['bbox'].tolist() == [[0, 30, 95, 63]]


def test_image_size_that_the_file_lacks_is_read_from_an_image(world, make_video, make_person):
    content = make_video(labelled=(1,), people=1)
    content['annotations'] = [make_person(10000010001, 0, left=-5, top=30, width=200, height=100)]
    for image in content['images']:
        del image['width'], image['height']
    sample = world.write(content, images=False).load().get_data_info(0)
    assert sample['bbox'].tolist() == [[-5, 30, 195, 130]]  # no image there: the box stays as it is
    sample = world.write(content).load().get_data_info(0)
    assert sample['bbox'].tolist() == [[0, 30, 95, 63]]
    assert sample['img_shape'] == (64, 96)


def test_annotation_id_that_occurs_twice_is_replaced(world, make_video, log):
    content = make_video(labelled=(1,), people=3)
    content['annotations'][2]['id'] = content['annotations'][1]['id']
    ids = [sample['id'] for sample in infos(world.write(content).load())]
    assert len(set(ids)) == 3
    assert '1 annotation ids' in log[-1]


def test_frame_listed_twice_is_taken_once(world, make_video, log):
    content = make_video()
    content['images'].insert(3, dict(content['images'][2]))
    samples = infos(world.write(content).load())
    assert len(samples) == 6
    assert len(samples[0]['video_frames']) == 6
    assert '1 frames listed twice' in log[-1]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda content: content['images'][3].update(id=content['images'][2]['id']), 'image id 10000010002 stands for'),
        (lambda content: content['images'][3].update(file_name=content['images'][2]['file_name']), 'is listed as'),
        (lambda content: content['images'][3].pop('id'), r'images\[3\] needs an id and a file_name'),
        (lambda content: content['annotations'][2].pop('image_id'), r'annotations\[2\] has no image_id'),
        (lambda content: content.pop('images'), 'no list of entries images'),
        (lambda content: content.update(annolist=[]), 'convert_posetrack17.py'),
        (lambda content: content['categories'].clear(), 'exactly one category person'),
        (lambda content: content['categories'][0]['keypoints'].remove('nose'), "lacks the keypoints .'nose'."),
        (
            lambda content: content['annotations'][2]['keypoints'].pop(),
            '1000001000200: keypoints: expected 51 numbers, got 50',
        ),
        (
            lambda content: content['annotations'][2].update(bbox=[1, 2, 3]),
            '1000001000200: bbox .*expected 4 numbers, got 3',
        ),
        (lambda content: content['annotations'][2].update(bbox=5), '1000001000200: bbox .*expected 4 numbers, got 5'),
        (lambda content: content['annotations'][2].update(track_id='x'), '1000001000200: track_id: not a finite'),
        (lambda content: content['annotations'][2].update(area='x'), '1000001000200: area: not a finite'),
        (lambda content: content['annotations'][2].update(image_id=[1]), r'annotations\[2\] has no image_id'),
        (lambda content: content['images'][2].update(width='x'), 'image 10000010002: height and width: not a finite'),
        (
            lambda content: content['annotations'][2].update(keypoints=['1'] * 51),
            '1000001000200: keypoints: not a finite number',
        ),
        (
            lambda content: content['annotations'][2].update(keypoints=[[1, 2, 3]] * 51),
            '1000001000200: keypoints: expected 51 numbers',
        ),
        (lambda content: content['annotations'][2].update(bbox=[1, 2, 3, float('nan')]), 'bbox .* not a finite number'),
        (
            lambda content: content['annotations'][2]['keypoints'].__setitem__(0, float('nan')),
            'keypoints: not a finite',
        ),
    ],
)
def test_what_cannot_be_understood_is_refused_with_file_and_entry(world, make_video, change, message):
    content = make_video()
    change(content)
    world.write(content, images=False)
    with pytest.raises(ValueError, match=message) as error:
        world.load()
    assert '000001_mpii_test.json' in str(error.value)


def test_annotation_file_cut_in_half_is_named(two_videos):
    path = two_videos.folder / '000002_mpii_test.json'
    path.write_text(path.read_text()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match='000002_mpii_test.json is not a complete json.*Was the file cut'):
        two_videos.load()


def test_one_image_id_in_two_files_is_refused(world, make_video):
    world.write(make_video(1), '000001_mpii_test').write(make_video(1), '000002_mpii_test')
    with pytest.raises(ValueError, match='occurs in .*000001_mpii_test.json and in .*000002_mpii_test.json'):
        world.load()


def test_missing_and_empty_annotations_are_named(world, tmp_path):
    with pytest.raises(FileNotFoundError, match='no annotations at .*nowhere'):
        world.load('nowhere')
    with pytest.raises(ValueError, match='contains no json file'):
        world.load()


def test_bottom_up_mode_is_refused(two_videos):
    with pytest.raises(ValueError, match="data_mode 'topdown'"):
        two_videos.load(data_mode='bottomup')


def detection(image_id=10000010001, bbox=(5, 6, 20, 30), score=0.9, **changes):
    return {'image_id': image_id, 'category_id': 1, 'bbox': list(bbox), 'score': score, **changes}


def load_boxes(world, boxes, **arguments):
    path = world.root / 'boxes.json'
    path.write_text(json.dumps(boxes))
    return world.load(bbox_file=str(path), test_mode=True, **arguments)


def test_detected_boxes_are_samples_in_order_of_video_and_frame(two_videos):
    boxes = [
        detection(10000020003, score=0.5),
        detection(10000010002, score=0.6),
        detection(10000010001, bbox=(-3, 6, 20, 30)),
        detection(10000010002, score=0.7, category_id=1),
    ]
    samples = infos(load_boxes(two_videos, boxes))
    assert [(s['video'], s['key_frame_index'], s['id']) for s in samples] == [
        ('000001_mpii_test', 1, 2),
        ('000001_mpii_test', 2, 1),
        ('000001_mpii_test', 2, 3),
        ('000002_mpii_test', 3, 0),
    ]
    assert samples[0]['bbox'].tolist() == [[-3, 6, 17, 36]]  # as the detector gave it
    assert samples[0]['keypoints'].shape == (1, 17, 2)
    assert samples[1]['bbox_score'].tolist() == pytest.approx([0.6])


def test_boxes_may_name_the_image_instead_of_its_id(two_videos):
    box = detection(image_name='images/val/000002_mpii_test/000003.jpg')
    del box['image_id']
    assert load_boxes(two_videos, [box]).get_data_info(0)['img_id'] == 10000020003


def test_name_of_the_image_goes_before_its_id_as_in_mmpose(two_videos):
    box = detection(10000010001, image_name='images/val/000002_mpii_test/000003.jpg')
    assert load_boxes(two_videos, [box]).get_data_info(0)['img_id'] == 10000020003


def test_boxes_below_the_threshold_are_filtered(two_videos):
    boxes = [detection(score=0.3), detection(score=0.5)]
    dataset = load_boxes(two_videos, boxes, filter_cfg={'bbox_score_thr': 0.4})
    assert [sample['id'] for sample in infos(dataset)] == [1]


def test_boxes_that_cannot_be_used_are_left_out_and_counted(two_videos, log):
    boxes = [
        detection(),
        detection(10000010000),
        detection(999),
        detection(bbox=(5, 5, 0, 10)),
        detection(bbox=(500, 5, 10, 10)),
        detection(category_id=3),
    ]
    assert len(load_boxes(two_videos, boxes)) == 1
    for reason in (
        '1 boxes in unlabelled frames',
        '1 boxes in frames that are not annotated here',
        '1 boxes with an empty box',
        '1 boxes with a box outside the image',
        '1 boxes of other categories',
    ):
        assert reason in log[-1]


def test_labelled_frame_without_people_is_a_key_frame_for_detected_boxes(world, make_video):
    content = make_video(labelled=(1, 2))
    content['annotations'] = []
    assert len(load_boxes(world.write(content), [detection()])) == 1


def test_frame_with_people_counts_as_labelled_whatever_its_flag_says(world, make_video):
    content = make_video()
    for image in content['images']:
        image.pop('is_labeled')
    assert len(world.write(content).load()) == 6
    assert len(load_boxes(world, [detection(), detection(10000010000)])) == 1


def test_box_file_of_another_split_is_refused(two_videos):
    with pytest.raises(ValueError, match='none of the 1 boxes .* renumbered image ids'):
        load_boxes(two_videos, [detection(5)])


@pytest.mark.parametrize(
    'box',
    [
        detection(score=float('nan')),
        detection(bbox=(1, 2, 3)),
        {'image_id': 10000010001, 'bbox': [1, 2, 3, 4]},
        {'bbox': [1, 2, 3, 4], 'score': 1},
        detection(bbox=(1, 2, '3', 4)),
        {**detection(), 'bbox': 5},
        detection(track_id='x'),
        detection(image_name=None),
    ],
)
def test_malformed_box_is_refused_with_file_and_entry(two_videos, box):
    with pytest.raises(ValueError, match='boxes.json: box 1(:| needs)'):
        load_boxes(two_videos, [detection(), box])


def test_folder_is_not_announced_to_coco_metric_but_a_merged_file_is(two_videos, tmp_path):
    hub = MessageHub.get_current_instance()
    two_videos.load(test_mode=True)
    assert hub.get_info('posetrack18_ann_file') is None
    merged = tmp_path / 'merged.json'
    merged.write_text((two_videos.folder / '000001_mpii_test.json').read_text())
    two_videos.load('merged.json', test_mode=True)
    assert hub.get_info('posetrack18_ann_file') == str(merged)
    hub.update_info('posetrack18_ann_file', None)


def test_subset_and_serialisation_keep_the_videos(two_videos):
    dataset = two_videos.load(indices=3, serialize_data=True)
    assert len(dataset) == 3
    assert len(dataset.get_data_info(2)['video_frames']) == 6
    assert len(two_videos.load(serialize_data=False).get_subset([9])[0]['video_frames']) == 4


def test_it_is_an_mmpose_dataset():
    from mmpose.datasets.datasets.base import BaseCocoStyleDataset
    from mmpose.registry import DATASETS

    assert issubclass(PoseTrackVideoDataset, BaseCocoStyleDataset)
    assert DATASETS.get('PoseTrackVideoDataset') is PoseTrackVideoDataset


@pytest.mark.parametrize('reader', [read_annotations, lambda path: load_annotated_videos(ann_file=path)])
def test_merged_file_with_two_videos_of_one_name_is_refused_by_data_set_and_metric(world, make_video, reader):
    content, other = make_video(1), make_video(2)
    for image in other['images']:
        image['file_name'] = image['file_name'].replace('images/val/000002', 'images/train/000001')
    merged = {**content, 'images': content['images'] + other['images']}
    (world.root / 'merged.json').write_text(json.dumps(merged))
    with pytest.raises(ValueError, match='images/train/000001_mpii_test would be two videos of one name'):
        reader(str(world.root / 'merged.json'))
