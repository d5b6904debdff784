import pytest
import torch
from mmengine.logging import MessageHub
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.models import VideoPoseDataPreprocessor
from mmpose_diffusion.testing import random_clips

STATISTICS = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def clip(num_frames=3, height=8, width=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (num_frames, 3, height, width), dtype=torch.uint8, generator=generator)


def batch(*clips, **metainfo):
    samples = [PoseDataSample(metainfo=dict(id=100 + i, **metainfo)) for i in range(len(clips))]
    return dict(inputs=list(clips), data_samples=samples)


def test_colours_are_swapped_and_frames_are_not():
    blue = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)
    blue[:, 0] = torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None]  # OpenCV's first channel, by frame
    inputs = VideoPoseDataPreprocessor(bgr_to_rgb=True)(batch(blue))['inputs']
    assert inputs.shape == (1, 3, 3, 4, 4)
    assert inputs[0, :, 2, 0, 0].tolist() == [10, 20, 30]
    assert inputs[0, :, :2].abs().sum() == 0


@pytest.mark.parametrize('bgr_to_rgb', [True, False])
@pytest.mark.parametrize('num_frames', [1, 3, 5])
def test_every_frame_is_normalised_as_mmpose_normalises_an_image(num_frames, bgr_to_rgb):
    clips = [clip(num_frames, seed=seed) for seed in range(2)]
    options = dict(STATISTICS, bgr_to_rgb=bgr_to_rgb, pad_size_divisor=4)
    got = VideoPoseDataPreprocessor(**options)(batch(*clips))
    images = [frame for one in clips for frame in one]
    expected = PoseDataPreprocessor(**options)(batch(*images))
    assert got['inputs'].shape == (2, num_frames, 3, 8, 8)
    assert torch.equal(got['inputs'].flatten(0, 1), expected['inputs'])
    for sample in got['data_samples']:
        assert sample.batch_input_shape == (8, 8)
        assert sample.pad_shape == (8, 8)


def test_stacked_clips_and_a_list_of_clips_give_the_same():
    clips = [clip(seed=0), clip(seed=1)]
    preprocessor = VideoPoseDataPreprocessor(**STATISTICS, bgr_to_rgb=True)
    listed = preprocessor(batch(*clips))['inputs']
    stacked = preprocessor(dict(batch(*clips), inputs=torch.stack(clips)))['inputs']
    assert torch.equal(listed, stacked)


def test_data_samples_survive_and_may_be_absent():
    data = batch(clip(), clip())
    result = VideoPoseDataPreprocessor()(data)
    assert [sample.id for sample in result['data_samples']] == [100, 101]
    assert VideoPoseDataPreprocessor()(dict(inputs=[clip()]))['data_samples'] is None


def test_batch_augmentation_treats_all_frames_of_a_clip_alike():
    resize = dict(type='BatchSyncRandomResize', random_size_range=(64, 64), interval=1, size_divisor=32)
    preprocessor = MODELS.build(dict(type='VideoPoseDataPreprocessor', batch_augments=[resize], _scope_='mmpose'))
    preprocessor.batch_augments[0]._input_size = (16, 12)
    data = batch(clip(), img_shape=(8, 6))
    MessageHub.get_current_instance().update_info('iter', 1)
    assert preprocessor(data, training=True)['inputs'].shape == (1, 3, 3, 16, 12)


def test_precision_and_device_follow_the_module():
    preprocessor = VideoPoseDataPreprocessor(**STATISTICS).to('cpu')
    inputs = preprocessor(random_clips())['inputs']
    assert inputs.dtype == torch.float32
    assert preprocessor.device == torch.device('cpu')


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (dict(inputs=[], data_samples=[]), 'batch is empty'),
        (batch(clip(3), clip(5)), r'sample 1 \(annotation id 101\): the clip has 5 frames, the first .* has 3'),
        (batch(clip(), clip(height=10)), r'sample 1 .*: frames are 10x6 \(height x width\), the first clip has 8x6'),
        (batch(clip()[0]), r'sample 0 .*: a clip must be \[T, 3, H, W\], got \[3, 8, 6\].*PackClipInputs'),
        (batch(clip().permute(0, 2, 3, 1)), r'must be \[T, 3, H, W\], got \[3, 8, 6, 3\]'),
        (batch(clip(0)), 'the clip is empty'),
        (batch(clip(), frame_offsets=(-2, -1, 0, 1, 2)), r'3 frames but its frame_offsets \(-2, -1, 0, 1, 2\) name 5'),
        (batch(clip(), torch.full((3, 3, 8, 6), float('nan'))), r'sample 1 .*: the clip holds NaN'),
        (dict(inputs=[clip()], data_samples=[]), '1 clips but 0 data samples'),
        (batch('not a tensor'), 'must be a tensor'),
    ],
)
def test_what_cannot_be_a_batch_is_refused_by_name(data, message):
    with pytest.raises(ValueError, match=message):
        VideoPoseDataPreprocessor(**STATISTICS)(data)


def test_inputs_that_are_no_list_are_refused():
    with pytest.raises(TypeError, match='list of clips .* got str'):
        VideoPoseDataPreprocessor()(dict(inputs='frames'))


def test_maps_of_a_convolution_lie_in_memory_pixel_by_pixel():
    frames = VideoPoseDataPreprocessor(**STATISTICS)(batch(clip(), clip()))['inputs'].flatten(0, 1)
    maps = torch.nn.Conv2d(3, 8, 3)(frames)
    assert maps.is_contiguous(memory_format=torch.channels_last)
    assert not maps.is_contiguous()
