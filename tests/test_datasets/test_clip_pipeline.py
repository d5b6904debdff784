"""MMPose's own transforms on lists of frames: one draw, one affine for the whole clip."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmpose.datasets.transforms import RandomFlip

from mmpose_diffusion.datasets.transforms import PackClipInputs

META = {
    'flip_indices': [0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15],
    'upper_body_ids': list(range(11)),
    'lower_body_ids': list(range(11, 17)),
    'dataset_keypoint_weights': np.ones(17, dtype=np.float32),
}
SIZE = (192, 256)


def sample(seed=0):
    """Three frames with a white disc at keypoint 0, which lies at the same place in all of them."""
    generator = np.random.default_rng(seed)
    keypoints = generator.uniform((120, 60), (260, 300), (1, 17, 2)).astype(np.float32)
    keypoints[0, 0] = 190, 180
    frames = []
    for brightness in (0, 20, 40):
        frame = np.full((360, 480, 3), brightness, dtype=np.uint8)
        cv2.circle(frame, (190, 180), 5, (255, 255, 255), -1)
        frame.setflags(write=False)  # as frames from the cache are
        frames.append(frame)
    return {
        'frames': frames,
        'key_frame_index': 1,
        'bbox': np.array([[100, 40, 280, 320]], dtype=np.float32),
        'bbox_score': np.ones(1, dtype=np.float32),
        'keypoints': keypoints,
        'keypoints_visible': np.ones((1, 17), dtype=np.float32),
        **META,
    }


def disc_centre(frame):
    """Centre (x, y) of the white disc in a frame [H, W, 3]."""
    rows, columns = np.nonzero(frame.min(axis=2) > 150)
    return np.array([columns.mean(), rows.mean()])


AUGMENTATION = {
    'none': [],
    'flip': [{'type': 'RandomFlip', 'prob': 1.0}],
    'half body': [{'type': 'RandomHalfBody', 'prob': 1.0}],
    'rotation and scale': [{'type': 'RandomBBoxTransform', 'rotate_prob': 1.0, 'shift_prob': 1.0}],
    'all': [{'type': 'RandomFlip', 'prob': 1.0}, {'type': 'RandomHalfBody'}, {'type': 'RandomBBoxTransform'}],
}


def pipeline(augmentation, *last, use_udp=False):
    return Compose(
        [
            {'type': 'SampleClip', 'offsets': (-1, 0, 1)},
            {'type': 'LoadClip'},
            {'type': 'GetBBoxCenterScale', 'padding': 1.25},
            *augmentation,
            {'type': 'TopdownAffine', 'input_size': SIZE, 'use_udp': use_udp},
            *last,
        ]
    )


@pytest.mark.parametrize('use_udp', [False, True])
@pytest.mark.parametrize('name', AUGMENTATION)
def test_a_dot_lands_where_its_keypoint_lands_in_every_frame(name, use_udp):
    seen = 0
    for seed in range(8):
        np.random.seed(seed)  # noqa: NPY002  MMPose draws from the global generator
        results = pipeline(AUGMENTATION[name], use_udp=use_udp)(sample(seed))
        assert isinstance(results['img'], list)
        assert len(results['img']) == 3
        keypoint = results['transformed_keypoints'][0, 0]
        if not (12 < keypoint[0] < SIZE[0] - 12 and 12 < keypoint[1] < SIZE[1] - 12):
            continue  # the draw has put the disc outside the crop
        seen += 1
        for frame in results['img']:
            np.testing.assert_allclose(disc_centre(frame), keypoint, atol=0.6)
    assert seen >= 4


def test_crop_is_the_box_of_the_key_frame_a_quarter_larger():
    results = pipeline([])(sample())
    width, height = results['bbox_scale'][0]
    assert max(width / 180, height / 280) >= 1.25
    assert min(width / 180, height / 280) == pytest.approx(1.25)


def test_target_is_made_from_the_transformed_keypoints():
    codec = {'type': 'MSRAHeatmap', 'input_size': SIZE, 'heatmap_size': (48, 64), 'sigma': 2}
    results = pipeline([], {'type': 'GenerateTarget', 'encoder': codec}, {'type': 'PackClipInputs'})(sample())
    heatmap = results['data_samples'].gt_fields.heatmaps[0]
    peak = np.array(np.unravel_index(heatmap.argmax(), heatmap.shape))[::-1]
    crop = results['inputs'][1].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(peak * 4, disc_centre(crop), atol=3)


def test_packed_clip_is_chronological_uint8_and_says_where_it_comes_from():
    packed = pipeline([], {'type': 'PackClipInputs'})({**sample(), 'video': '000001_mpii_test', 'track_id': 3, 'id': 7})
    assert packed['inputs'].shape == (3, 3, 256, 192)
    assert packed['inputs'].dtype == torch.uint8
    corner = [int(frame[0, 20, 96]) for frame in packed['inputs']]
    assert sorted(set(corner)) == corner  # the frames get brighter
    metainfo = packed['data_samples'].metainfo
    assert metainfo['frame_offsets'] == (-1, 0, 1)
    assert metainfo['frame_is_real'] == (True, True, True)
    assert metainfo['clip_key_index'] == metainfo['key_frame_index'] == 1
    assert (metainfo['video'], metainfo['track_id'], metainfo['id']) == ('000001_mpii_test', 3, 7)
    assert metainfo['broken_frames'] == ()
    assert metainfo['ori_shape'] == (360, 480)
    assert metainfo['input_size'] == SIZE


@pytest.mark.parametrize('as_file', [False, True])
def test_what_the_stock_inferencer_hands_over_passes_the_test_pipeline(tmp_path, as_file):
    image = np.asarray(sample()['frames'][0])
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    inputs = {'img_path': str(tmp_path / 'image.png')} if as_file else {'img': image, 'img_path': '00000000.jpg'}
    inputs.update(bbox=np.array([[0, 0, 480, 360]], np.float32), bbox_score=np.ones(1, np.float32), **META)
    packed = pipeline([], {'type': 'PackClipInputs'})(inputs)
    assert packed['inputs'].shape == (3, 3, 256, 192)
    assert (packed['inputs'][0] == packed['inputs'][2]).all()
    assert packed['data_samples'].metainfo['frame_is_real'] == (False, True, False)


def test_photometric_distortion_in_the_pipeline_treats_repeated_frames_alike():
    results = pipeline([], {'type': 'ClipPhotometricDistortion'}, {'type': 'PackClipInputs'})
    for _ in range(5):
        single = {key: value for key, value in sample().items() if key not in ('frames', 'key_frame_index')}
        packed = results({**single, 'img': sample()['frames'][0]})
        assert (packed['inputs'][0] == packed['inputs'][1]).all()


def test_flip_keeps_the_frames_in_their_order():
    frames = [np.full((4, 4, 3), value, dtype=np.uint8) for value in (1, 2, 3)]
    results = RandomFlip(prob=1.0).transform({'img': frames, 'img_shape': (4, 4)})
    assert [int(frame[0, 0, 0]) for frame in results['img']] == [1, 2, 3]


def test_packing_without_a_list_of_frames_is_refused():
    with pytest.raises(TypeError, match='start the pipeline with SampleClip and LoadClip'):
        PackClipInputs().transform({'img': np.zeros((4, 4, 3), np.uint8)})


def test_packing_frames_of_several_sizes_is_refused():
    frames = [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)]
    with pytest.raises(ValueError, match='put TopdownAffine before'):
        PackClipInputs().transform({'img': frames, 'frame_offsets': (0, 1)})


def test_changed_number_of_frames_is_refused():
    with pytest.raises(ValueError, match='1 frames but 2 frame offsets'):
        PackClipInputs().transform({'img': [np.zeros((4, 4, 3), np.uint8)], 'frame_offsets': (0, 1)})
