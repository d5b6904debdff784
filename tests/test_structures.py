import pytest
import torch
from mmpose.structures import PoseDataSample

from mmpose_diffusion.structures import ClipFeatures, FrameWindow, describe_sample


def sample(offsets=(-1, 0, 1), is_real=None, key=1, **origin):
    is_real = (True,) * len(offsets) if is_real is None else is_real
    metainfo = dict(frame_offsets=offsets, frame_is_real=is_real, clip_key_index=key, **origin)
    return PoseDataSample(metainfo=metainfo)


def test_window_is_read_from_the_samples_of_a_batch():
    window = FrameWindow.from_data_samples([sample(), sample((-4, 0, 2), (False, True, True))])
    assert window.offsets.tolist() == [[-1, 0, 1], [-4, 0, 2]]
    assert window.is_real.tolist() == [[True, True, True], [False, True, True]]
    assert window.key_index == 1
    assert window.offsets.dtype == torch.int64
    assert window.is_real.dtype == torch.bool


def test_supports_are_all_frames_but_the_key_frame_in_order():
    window = FrameWindow.from_data_samples([sample((-2, -1, 0, 3), (False, True, True, True), 2)])
    assert window.num_frames == 4
    assert window.support_positions == [0, 1, 3]
    assert window.support_offsets.tolist() == [[-2, -1, 3]]
    assert window.support_is_real.tolist() == [[False, True, True]]


def test_clip_features_select_key_and_supports_by_the_window():
    frames = torch.arange(4.0).expand(2, 4)[..., None, None, None]  # each frame holds its position
    window = FrameWindow.consecutive(2, 4, key_index=1)
    features = ClipFeatures(frames, window, None, frames[:, 0])
    assert features.key.flatten().tolist() == [1, 1]
    assert features.supports[0].flatten().tolist() == [0, 2, 3]


def test_stock_heads_reading_the_last_item_get_the_fused_map():
    frames = torch.zeros(2, 3, 4, 1, 1)
    fused = torch.ones(2, 4, 1, 1)
    assert ClipFeatures(frames, FrameWindow.consecutive(2, 3), None, fused)[-1] is fused


@pytest.mark.parametrize(('num_frames', 'offsets'), [(1, [0]), (2, [-1, 0]), (3, [-1, 0, 1]), (5, [-2, -1, 0, 1, 2])])
def test_consecutive_window_has_the_key_frame_in_the_middle(num_frames, offsets):
    window = FrameWindow.consecutive(2, num_frames)
    assert window.offsets.tolist() == [offsets, offsets]
    assert window.offsets[0, window.key_index] == 0
    assert window.is_real.all()


@pytest.mark.parametrize(
    ('samples', 'message'),
    [
        ([], 'empty batch'),
        ([sample(), sample((-2, -1, 0), key=2, video='a', key_frame_index=7)], r'sample 1 \(video a, key frame 7\)'),
        ([sample(), sample((-1, 0), id=12)], r'sample 1 \(annotation id 12\) names 2 frame offsets'),
        ([sample(is_real=(True, True))], 'frame_is_real has 2 entries'),
        ([sample((1, 0, -1))], 'must ascend'),
        ([sample(key=0)], 'does not point at offset 0'),
        ([sample(key=5)], 'does not point at offset 0'),
        ([sample(is_real=(True, False, True))], 'key frame does not exist'),
        ([PoseDataSample(metainfo=dict(img_path='a.jpg'))], r'sample 0 \(image a.jpg\) .* PackClipInputs'),
    ],
)
def test_window_refuses_samples_that_do_not_fit_and_names_them(samples, message):
    with pytest.raises(ValueError, match=message):
        FrameWindow.from_data_samples(samples)


def test_window_refuses_another_frame_count_than_the_images_have():
    with pytest.raises(ValueError, match='names 3 frame offsets .* the images have 5 frames'):
        FrameWindow.from_data_samples([sample()], num_frames=5)


def test_sample_without_origin_is_named_by_its_position():
    assert describe_sample({}, 3) == 'sample 3'
