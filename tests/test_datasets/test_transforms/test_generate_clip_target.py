import numpy as np
import pytest
from mmcv.transforms import Compose
from mmpose.registry import TRANSFORMS
from mmpose.structures.keypoint import flip_keypoints

CODEC = dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1.0)
MIRROR = dict(type='RandomFlip', direction='horizontal', prob=1.0)
TURN = dict(type='RandomBBoxTransform', shift_factor=0.1, scale_factor=(0.8, 1.25), rotate_factor=40)
HALF = dict(type='RandomHalfBody', prob=1.0, min_total_keypoints=2, min_upper_keypoints=1, min_lower_keypoints=1)
AUGMENTATIONS = pytest.mark.parametrize('augmentation', [(), (MIRROR,), (MIRROR, TURN), (MIRROR, HALF, TURN)])
UDP = pytest.mark.parametrize('use_udp', [False, True])


def compose(*augmentation, target='GenerateClipTarget', use_udp=False, target_use_udp=None):
    target_use_udp = use_udp if target_use_udp is None else target_use_udp
    steps = [
        dict(type='SampleClip', offsets=(-1, 0, 1)),
        dict(type='LoadClip'),
        dict(type='GetBBoxCenterScale', padding=1.25),
        *augmentation,
        dict(type='TopdownAffine', input_size=CODEC['input_size'], use_udp=use_udp),
        dict(type=target, encoder=CODEC, **(dict(use_udp=target_use_udp) if target == 'GenerateClipTarget' else {})),
        dict(type='PackClipInputs'),
    ]
    return Compose([TRANSFORMS.build(step) for step in steps])


@pytest.fixture
def people(world, make_video):
    """Two people who move 2 pixels to the right in each frame; labelled are frames 0, 1, 2 and 4 of 6."""
    content = make_video(num_frames=6, labelled=(0, 1, 2, 4))
    for annotation in content['annotations']:
        triplets = np.array(annotation['keypoints']).reshape(-1, 3)
        triplets[:, 0] += 2 * (annotation['image_id'] % 10**4) * (triplets[:, 2] > 0)
        annotation['keypoints'] = triplets.flatten().tolist()
    return world.write(content).load()


def person_in_frame(dataset, frame, track=1):
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if (info['key_frame_index'], info['track_id']) == (frame, track):
            return info
    raise AssertionError(f'nobody with track {track} in frame {frame}')


def targets(sample):
    """Heatmaps [T, K, h, w] and weights [T, K] of a packed sample."""
    fields, labels = sample['data_samples'].gt_fields, sample['data_samples'].gt_instance_labels
    return fields.clip_heatmaps.unflatten(0, (3, -1)), labels.clip_keypoint_weights[0]


@UDP
@AUGMENTATIONS
def test_the_key_frames_targets_are_those_of_generate_target(people, augmentation, use_udp):
    sample = compose(*augmentation, use_udp=use_udp)(person_in_frame(people, 1))
    heatmaps, weights = targets(sample)
    np.testing.assert_array_equal(heatmaps[1], sample['data_samples'].gt_fields.heatmaps)
    np.testing.assert_array_equal(weights[1], sample['data_samples'].gt_instance_labels.keypoint_weights[0])
    assert weights[1].sum() > 0


@UDP
@AUGMENTATIONS
@pytest.mark.parametrize(('position', 'neighbour'), [(0, 0), (2, 2)])
def test_a_neighbours_targets_show_the_person_there_in_the_key_frames_crop(
    people, augmentation, use_udp, position, neighbour
):
    np.random.seed(0)  # noqa: NPY002  MMPose draws from NumPy's global generator
    heatmaps, weights = targets(compose(*augmentation, use_udp=use_udp)(person_in_frame(people, 1)))
    moved = person_in_frame(people, 1)
    # The crop of half a body hangs on the key frame's keypoints, so the others take their places behind it.
    *steps, affine, encode, pack = compose(*augmentation, target='GenerateTarget', use_udp=use_udp).transforms
    np.random.seed(0)  # noqa: NPY002
    for step in steps:
        moved = step(moved)
    there = person_in_frame(people, neighbour)
    there = there['keypoints'], there['keypoints_visible']
    if augmentation:
        there = flip_keypoints(*there, moved['img_shape'][::-1], moved['flip_indices'])
    moved['keypoints'], moved['keypoints_visible'] = there
    expected = pack(encode(affine(moved)))['data_samples']
    np.testing.assert_array_equal(heatmaps[position], expected.gt_fields.heatmaps)
    np.testing.assert_array_equal(weights[position], expected.gt_instance_labels.keypoint_weights[0])
    assert not np.array_equal(heatmaps[position], heatmaps[1])


@pytest.mark.parametrize(('frame', 'position'), [(0, 0), (2, 2), (4, 0), (4, 2)], ids=str)
def test_frames_outside_the_video_and_frames_without_label_carry_no_weight(people, frame, position):
    _, weights = targets(compose()(person_in_frame(people, frame)))
    assert weights[position].sum() == 0
    assert weights[1].sum() > 0


def test_people_do_not_take_each_others_places(people):
    first, second = (targets(compose()(person_in_frame(people, 1, track)))[0] for track in (0, 1))
    assert not np.array_equal(first, second)


def test_data_without_tracks_is_refused_with_the_way_out(people):
    info = person_in_frame(people, 1)
    del info['track_keypoints']
    with pytest.raises(ValueError, match='track_id; use GenerateTarget'):
        compose()(info)


def test_two_people_with_one_track_id_do_not_teach_each_others_pose(world, make_video):
    content = make_video(num_frames=4, labelled=(0, 1, 2))
    for annotation in content['annotations']:
        if annotation['image_id'] % 10**4 == 1:
            annotation['track_id'] = 1
    dataset = world.write(content).load()
    twins = [info for info in map(dataset.get_data_info, range(len(dataset))) if info['key_frame_index'] == 1]
    assert len(twins) == 2
    for info in twins:
        assert sorted(info['track_keypoints']) == [0, 2]
        sample = compose()(info)
        heatmaps, weights = targets(sample)
        np.testing.assert_array_equal(heatmaps[1], sample['data_samples'].gt_fields.heatmaps)
        assert weights[1].sum() > 0
    _, weights = targets(compose()(person_in_frame(dataset, 0)))
    assert weights[2].sum() == 0


def test_another_use_udp_than_the_crops_is_refused(people):
    with pytest.raises(ValueError, match='give it the use_udp of TopdownAffine'):
        compose(use_udp=True, target_use_udp=False)(person_in_frame(people, 1))
