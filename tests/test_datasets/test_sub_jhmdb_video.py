import json

import numpy as np
import pytest
from mmpose.registry import DATASETS
from scipy.io import savemat

from mmpose_diffusion.datasets.sub_jhmdb_files import mask_box

FRAMES = 4


@pytest.fixture
def root(tmp_path):
    """Official Matlab layout: two actions, a training and a test video each; coordinates count from 1."""
    for number, action in enumerate(('catch', 'walk')):
        lines = []
        for video, mark in ((f'{action}_a', 1), (f'{action}_b', 2), (f'{action}_c', 0)):
            positions = np.random.default_rng(number).uniform(50, 200, (2, 15, FRAMES))
            positions[:, 0, 0] = 11, 21
            (tmp_path / 'joint_positions' / action / video).mkdir(parents=True)
            savemat(tmp_path / 'joint_positions' / action / video / 'joint_positions.mat', {'pos_img': positions})
            mask = np.zeros((240, 320, FRAMES), dtype=np.uint8)
            mask[9:50, 19:100] = 1
            (tmp_path / 'puppet_mask' / action / video).mkdir(parents=True)
            savemat(tmp_path / 'puppet_mask' / action / video / 'puppet_mask.mat', {'part_mask': mask})
            lines.append(f'{video}.avi {mark}')
        (tmp_path / 'sub_splits').mkdir(exist_ok=True)
        (tmp_path / 'sub_splits' / f'{action}_test_split1.txt').write_text('\n'.join(lines))
    return tmp_path


def load(root, **arguments):
    defaults = {'ann_file': 'joint_positions', 'split_dir': 'sub_splits', 'data_prefix': {'img': 'Rename_Images'}}
    return DATASETS.build({'type': 'SubJHMDBVideoDataset', 'data_root': str(root), **defaults, **arguments})


def test_split_files_choose_the_videos(root):
    train, test = load(root), load(root, subset='test')
    assert list(train.video_frames) == ['catch_a', 'walk_a']
    assert list(test.video_frames) == ['catch_b', 'walk_b']
    assert len(train) == len(test) == 2 * FRAMES


def test_each_frame_is_a_sample_counted_from_zero(root):
    samples = [load(root, mask_dir='puppet_mask').get_data_info(index) for index in range(2 * FRAMES)]
    assert [sample['key_frame_index'] for sample in samples] == [0, 1, 2, 3] * 2
    assert len({sample['img_id'] for sample in samples}) == 2 * FRAMES
    first = samples[0]
    assert first['img_path'] == str(root / 'Rename_Images/catch/catch_a/00001.png') == first['video_frames'][0]
    assert first['keypoints'].shape == (1, 15, 2)
    np.testing.assert_allclose(first['keypoints'][0, 0], (10, 20))
    assert first['bbox'].tolist() == [[19, 9, 99, 49]]  # the mask's first and last column and row
    assert first['flip_indices'][3] == 4
    assert first['raw_ann_info']['id'] == first['id']  # by which metrics know an annotated box


def test_without_masks_boxes_lie_around_the_keypoints(root):
    sample = load(root).get_data_info(1)
    low, high = sample['keypoints'][0].min(axis=0), sample['keypoints'][0].max(axis=0)
    border = 0.15 * (high - low)
    expected = np.clip(np.concatenate([low - border, high + border]), 0, [319, 239, 319, 239])
    np.testing.assert_allclose(sample['bbox'][0], expected, rtol=1e-4)


def test_box_of_a_mask_counts_from_one():
    mask = np.zeros((10, 12), dtype=np.uint8)
    assert mask_box(mask) is None
    mask[2:5, 3:9] = 2
    assert mask_box(mask) == [4, 3, 5, 2]


def test_json_as_mmpose_prepares_it(root):
    image = {'id': 5, 'file_name': 'Rename_Images/catch/catch_a/00002.png', 'width': 320, 'height': 240, 'nframes': 4}
    keypoints = np.concatenate([np.full((15, 2), 51.0), np.ones((15, 1))], axis=1)
    annotation = {'id': 1, 'image_id': 5, 'category_id': 1, 'bbox': [11, 21, 60, 80]}
    content = {
        'images': [image, {**image, 'id': 6, 'file_name': image['file_name'].replace('2.png', '1.png')}],
        'annotations': [
            {**annotation, 'keypoints': keypoints.flatten().tolist()},
            {**annotation, 'id': 2, 'keypoints': [0] * 45},
            {**annotation, 'id': 3, 'keypoints': keypoints.flatten().tolist(), 'bbox': [1, 1, 0, 5]},
        ],
        'categories': [{'id': 1, 'name': 'person'}],
    }
    (root / 'Sub1_train.json').write_text(json.dumps(content))
    dataset = load(root, ann_file='Sub1_train.json', split_dir=None, data_prefix={'img': ''})
    assert len(dataset) == 1
    sample = dataset.get_data_info(0)
    assert (sample['video'], sample['key_frame_index'], sample['img_id']) == ('catch_a', 1, 5)
    assert sample['bbox'].tolist() == [[10, 20, 70, 100]]
    assert (sample['keypoints'] == 50).all()


def test_broken_matlab_file_is_named(root):
    path = root / 'joint_positions/walk/walk_a/joint_positions.mat'
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match='walk_a/joint_positions.mat cannot be read as a Matlab file'):
        load(root)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='no Matlab file .*walk_a/joint_positions.mat'):
        load(root)
    savemat(path, {'pos_img': np.zeros((2, 14, 3))})
    with pytest.raises(ValueError, match='pos_img must be 2 x 15 x frames'):
        load(root)
    savemat(path, {'other': 1})
    with pytest.raises(ValueError, match='has no matrix pos_img'):
        load(root)


def test_split_that_does_not_exist_is_refused(root):
    with pytest.raises(FileNotFoundError, match='test_split3.txt'):
        load(root, split=3)
    with pytest.raises(ValueError, match="'train' or 'test'"):
        load(root, subset='val')
    with pytest.raises(ValueError, match='split_dir must name'):
        load(root, split_dir=None)
    (root / 'sub_splits/walk_test_split1.txt').write_text('walk_a.avi one\n')
    with pytest.raises(ValueError, match='walk_test_split1.txt: entry 1'):
        load(root)
