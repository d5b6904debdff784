"""Frames of PoseTrack as MMDetection's transforms read them."""

import json

import pytest
from mmdet.registry import TRANSFORMS
from mmengine.registry import DefaultScope
from PIL import Image

from mmpose_diffusion.datasets import PoseTrackDetectionDataset

CATEGORIES = [dict(name='person', id=1, keypoints=['nose', 'head_bottom'])]


def image(number, **more):
    return dict(id=number, file_name=f'images/{number:06d}.jpg', is_labeled=True, height=60, width=100, **more)


def person(image_id, number=1, bbox=(10, 20, 30, 40), keypoints=(12, 22, 1, 20, 40, 1), **more):
    return dict(id=number, image_id=image_id, bbox=bbox and list(bbox), keypoints=list(keypoints), **more)


@pytest.fixture
def read(tmp_path):
    def build(images, annotations, **settings):
        content = dict(images=images, annotations=annotations, categories=CATEGORIES)
        (tmp_path / 'annotations').mkdir(exist_ok=True)
        (tmp_path / 'annotations/video.json').write_text(json.dumps(content))
        dataset = PoseTrackDetectionDataset('annotations', data_root=str(tmp_path), **settings)
        return [dataset.get_data_info(index) for index in range(len(dataset))]

    return build


def test_a_sample_is_a_labelled_frame_with_all_its_people(read, tmp_path):
    unlabelled = {**image(3), 'is_labeled': False}
    people = [person(1, 11), person(1, 12, bbox=(50, 10, 20, 30))]
    crowded, empty = read([image(1), image(2), unlabelled], people)
    assert (crowded['img_id'], crowded['height'], crowded['width']) == (1, 60, 100)
    assert crowded['img_path'] == f'{tmp_path}/images/000001.jpg'
    assert [one['bbox'] for one in crowded['instances']] == [[10, 20, 40, 59], [50, 10, 70, 40]]
    assert all((one['bbox_label'], one['ignore_flag']) == (0, 0) for one in crowded['instances'])
    assert (empty['img_id'], empty['instances']) == (2, [])


def test_regions_and_crowds_are_to_be_ignored(read):
    region = dict(ignore_regions_x=[[1, 9, 5]], ignore_regions_y=[[2, 2, 8]])
    (frame,) = read([image(1, **region)], [person(1, iscrowd=1)])
    assert [(one['bbox'], one['ignore_flag']) for one in frame['instances']] == [
        ([1, 2, 9, 8], 1),
        ([10, 20, 40, 59], 1),
    ]


def test_a_person_without_a_box_gets_one_around_the_keypoints(read):
    (frame,) = read([image(1)], [person(1, bbox=None, keypoints=(10, 20, 1, 30, 40, 1))])
    assert frame['instances'][0]['bbox'] == pytest.approx([7, 17, 33, 43])


def test_people_without_any_place_are_left_out(read):
    people = [person(1, 1, bbox=None, keypoints=(0, 0, 0, 0, 0, 0)), person(1, 2, bbox=(200, 0, 10, 10)), person(1, 3)]
    (frame,) = read([image(1)], people)
    assert len(frame['instances']) == 1


def test_sizes_that_the_file_lacks_come_from_the_image(read, tmp_path):
    without = {key: value for key, value in image(1).items() if key not in ('height', 'width')}
    with pytest.raises(ValueError, match='image 1 has no width and height, and there is no readable images/000001.jpg'):
        read([without], [person(1)])
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (50, 45)).save(tmp_path / 'images/000001.jpg')
    (frame,) = read([without], [person(1)])
    assert frame['instances'][0]['bbox'] == [10, 20, 40, 44]


def test_mmdet_transforms_read_it(read):
    (frame,) = read([image(1)], [person(1), person(1, 2, iscrowd=1)])
    with DefaultScope.overwrite_default_scope('mmdet'):
        results = TRANSFORMS.build(dict(type='LoadAnnotations', with_bbox=True))(frame)
    assert results['gt_bboxes'].tensor.tolist() == [[10, 20, 40, 59]] * 2
    assert results['gt_ignore_flags'].tolist() == [False, True]
