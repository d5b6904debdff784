"""A small world, its first video as a folder of frames, and a tiny network that looks at five of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

from mmpose_diffusion.apis import VideoPoseInferencer
from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings, write_videos

ROOT = Path(__file__).resolve().parents[2]
OFFSETS = (-2, -1, 0, 1, 2)
BACKBONE = dict(
    type='TimmVisionTransformer',
    img_size=(128, 96),
    arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=64),
)
CODEC = dict(type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(6, 8), sigma=1)


@pytest.fixture(scope='session')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('world')
    settings = WorldSettings(
        videos=1, frames=9, people=2, difficulty='easy', split='val', unlabeled_share=0, width=240, height=160
    )
    assert list(write_videos(root, settings))
    return root


@pytest.fixture(scope='session')
def frames_folder(world):
    (folder,) = (world / 'images/val').iterdir()
    return folder


@pytest.fixture(scope='session')
def frames(frames_folder):
    return [cv2.imread(str(path)) for path in sorted(frames_folder.glob('*.jpg'))]


@pytest.fixture(scope='session')
def config(world):
    """Fusion of five frames, heatmaps."""
    config = Config.fromfile(ROOT / 'configs/body_2d_video/baselines/support_fusion_tiny_synthetic.py')
    config.model.backbone = BACKBONE
    config.model.temporal_neck.update(in_channels=32, hidden_channels=8)
    config.model.head.update(in_channels=32, deconv_out_channels=None, deconv_kernel_sizes=None, decoder=CODEC)
    return on_small_world(config, world)


@pytest.fixture(scope='session')
def diffusion_config(world):
    """DiffPose, two steps, three hypotheses."""
    config = Config.fromfile(ROOT / 'configs/body_2d_video/diffpose/diffpose_tiny_synthetic.py')
    config.model.backbone = BACKBONE
    config.model.temporal_neck = dict(type='SupportFusionNeck', in_channels=32, hidden_channels=8)
    denoiser = dict(type='HeatmapDenoiser', upsample_factor=2, feature_channels=8, lookup_channels=8, mix_channels=8)
    codec = dict(CODEC, heatmap_size=(12, 16))
    config.model.head.update(in_channels=32, decoder=codec, denoiser=dict(denoiser, token_width=16, num_mix_layers=1))
    config.model.test_cfg = dict(num_steps=2, num_hypotheses=3, seed=0)
    return on_small_world(config, world)


def on_small_world(config, world):
    pipeline = [
        dict(type='SampleClip', offsets=OFFSETS),
        dict(type='LoadClip'),
        dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='TopdownAffine', input_size=(96, 128)),
        dict(type='PackClipInputs'),
    ]
    config.test_dataloader.dataset.update(data_root=f'{world}/', pipeline=pipeline)
    return config


@pytest.fixture(scope='session')
def weights(config, tmp_path_factory):
    return save_random_weights(config, tmp_path_factory.mktemp('weights') / 'fusion.pth')


@pytest.fixture(scope='session')
def diffusion_weights(diffusion_config, tmp_path_factory):
    return save_random_weights(diffusion_config, tmp_path_factory.mktemp('weights') / 'diffusion.pth')


def save_random_weights(config, path):
    """Weights large enough that the answer depends on the picture."""
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return str(path)


@pytest.fixture
def inferencer(config, weights):
    return VideoPoseInferencer(config, weights, device='cpu')


@pytest.fixture
def diffusion_inferencer(diffusion_config, diffusion_weights):
    return VideoPoseInferencer(diffusion_config, diffusion_weights, device='cpu')


@pytest.fixture(scope='session')
def dataset(config):
    """The annotated people of the video, as tools/test.py reads them."""
    init_default_scope('mmpose')
    return DATASETS.build(config.test_dataloader.dataset)


@pytest.fixture(scope='session')
def boxes(dataset, frames):
    """Annotated boxes [P, 4] of each frame."""
    rows = [[] for _ in frames]
    for index in range(len(dataset)):
        sample = dataset.get_data_info(index)
        rows[sample['key_frame_index']].append(sample['bbox'][0])
    return [np.array(people).reshape(-1, 4) for people in rows]


def write_video(path, frames, fps=25, codec='mp4v'):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return str(path)


@pytest.fixture
def video_file(tmp_path, frames):
    """The frames as a video file, whose compression changes them a little."""
    (tmp_path / 'input').mkdir()
    return write_video(tmp_path / 'input/walk.mp4', frames, fps=12.5)


def people_of(results):
    """The instances of each frame."""
    return [people for result in results for people in result['predictions']]
