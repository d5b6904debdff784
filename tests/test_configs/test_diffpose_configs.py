from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.engine import load_config
from mmpose_diffusion.models.backbones.vision_transformer import resolve_architecture

FOLDER = Path(__file__).parents[2] / 'configs/body_2d_video/diffpose'
CONFIGS = sorted(FOLDER.glob('*.py'))


def sizes_of(config):
    """Input (w, h) and number of frames of the test pipeline."""
    pipeline = config.test_dataloader.dataset.pipeline
    size = next(step.input_size for step in pipeline if step.type == 'TopdownAffine')
    frames = [len(step.offsets) for step in pipeline if step.type == 'SampleClip']
    return size, (*frames, 3, size[1], size[0])


def test_the_promised_configs_exist():
    names = {path.stem for path in CONFIGS}
    for data in ('posetrack17', 'posetrack18', 'posetrack21'):
        for size in ('256x192', '384x288'):
            assert f'diffpose_vit_base_{data}_{size}' in names
    assert {
        'diffpose_vit_small_posetrack18_256x192',
        'diffpose_vit_huge_posetrack18_256x192',
        'diffpose_hrnet_w48_posetrack18_384x288',
        'diffpose_tiny_synthetic',
        'diffusion_image_vit_base_coco_256x192',
    } <= names


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_agrees_with_itself(path):
    config = load_config(str(path))
    assert config.data_mode == 'topdown'
    assert config.dataset_type == config.train_dataloader.dataset.type == config.test_dataloader.dataset.type
    codec = {key: value for key, value in config.codec.items() if key != '_scope_'}
    assert {key: config.model.head.decoder[key] for key in codec} == codec
    size, _ = sizes_of(config)
    assert tuple(size) == tuple(config.codec.input_size)
    assert {key: config.train_dataloader.dataset.pipeline[-2].encoder[key] for key in codec} == codec
    neck = config.model.get('temporal_neck')
    if neck:
        assert len(neck.get('frame_offsets', (-2, -1, 0, 1, 2))) == len(config.frame_offsets)
        stride = config.codec.input_size[0] // neck.get('feature_size', (12, 16))[0]
        upsample = config.model.head.denoiser.upsample_factor
        assert stride == upsample * config.codec.input_size[0] // config.codec.heatmap_size[0]
    assert config.model.test_cfg.num_steps >= 1


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_process_and_epoch_draws_noise_of_its_own(path):
    assert 'EpochSeedHook' in [hook.type for hook in load_config(path).custom_hooks]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_builds_a_model_that_makes_heatmaps_of_the_codec(path):
    config = load_config(str(path))
    init_default_scope('mmpose')
    if config.model.backbone.type == 'TimmVisionTransformer':  # one layer says as much as thirty-two equal ones
        arch = resolve_architecture(config.model.backbone.arch)
        config.model.backbone.arch = arch._replace(num_layers=1)._asdict()
    model = MODELS.build(config.model).eval()
    model.to('meta')
    _, shape = sizes_of(config)
    width, height = config.codec.heatmap_size
    heatmaps = model(torch.empty(2, *shape, device='meta'), None, mode='tensor')
    assert heatmaps.shape == (2, 17, height, width)


def labelled_clips(config, batch_size=4):
    """A batch of noise in the shape of the config's data."""
    rng, codec = np.random.default_rng(0), KEYPOINT_CODECS.build(config.codec)
    offsets, (width, height) = config.frame_offsets, config.codec.input_size
    inputs = [
        torch.from_numpy(rng.integers(0, 256, (len(offsets), 3, height, width), dtype=np.uint8))
        for _ in range(batch_size)
    ]
    data_samples = []
    for position in range(batch_size):
        keypoints = rng.uniform(0, (width, height), (1, 17, 2)).astype(np.float32)
        encoded = codec.encode(keypoints, np.ones((1, 17), np.float32))
        sample = PoseDataSample(
            metainfo=dict(
                id=position,
                frame_offsets=offsets,
                frame_is_real=(True,) * len(offsets),
                clip_key_index=offsets.index(0),
            )
        )
        heatmaps, weights = torch.from_numpy(encoded['heatmaps']), torch.from_numpy(encoded['keypoint_weights'])
        sample.gt_fields = PixelData(heatmaps=heatmaps)
        sample.gt_instance_labels = InstanceData(keypoint_weights=weights)
        data_samples.append(sample)
    return dict(inputs=inputs, data_samples=data_samples)


@pytest.mark.parametrize('path', [path for path in CONFIGS if 'tiny' in path.stem], ids=lambda path: path.stem)
def test_tiny_configs_learn_a_batch_by_heart(path):
    config = load_config(str(path))
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model).train()
    optimizer, data = build_optim_wrapper(model, config.optim_wrapper), labelled_clips(config)
    losses = [model.train_step(data, optimizer)['loss_kpt'].item() for _ in range(40)]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
