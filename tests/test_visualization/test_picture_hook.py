"""The hook in real evaluations: of DiffPose on a small world, and of a model without diffusion."""

import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings, write_videos
from mmpose_diffusion.engine import build_runner, load_config, merge_options
from mmpose_diffusion.visualization import PersonPictureHook

HOOK = {'default_hooks.pictures.type': 'PersonPictureHook', 'default_hooks.pictures.interval': 3}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('world')
    assert list(write_videos(root, WorldSettings(videos=1, frames=4, people=1, difficulty='easy', split='val')))
    return root


def evaluate(name, world, work_dir, **test_cfg):
    """Evaluate an untrained model with the hook, as tools/test.py does with --cfg-options."""
    config = Config(load_config(name).to_dict())
    for part in ('val_dataloader', 'test_dataloader'):
        config[part].dataset.data_root = f'{world}/'
        config[part].update(num_workers=0, persistent_workers=False, batch_size=2)
        config[part].batch_sampler.num_workers = 0
    config.val_evaluator.data_root = config.test_evaluator.data_root = f'{world}/'
    config.work_dir, config.train_dataloader, config.train_cfg, config.optim_wrapper = str(work_dir), None, None, None
    config.param_scheduler = None
    merge_options(config, {**HOOK, **{f'model.test_cfg.{key}': value for key, value in test_cfg.items()}})
    torch.manual_seed(0)
    return build_runner(config)


def test_every_third_person_is_drawn_with_its_denoising(tmp_path, world):
    options = dict(num_steps=3, num_hypotheses=4, output_estimates=True, output_hypotheses=True)
    runner = evaluate('diffpose_tiny_synthetic', world, tmp_path, **options)
    runner.test()
    files = sorted(tmp_path.glob('*/pictures/*.png'))
    number = len(runner.test_dataloader.dataset)
    assert len(files) == 2 * len(range(0, number, 3))
    assert all(re.fullmatch(r'\d+_mpii_test_\d{6}_\d+_(pose|denoising)\.png', path.name) for path in files)
    strips = [np.array(Image.open(path)) for path in files if 'denoising' in path.name]
    poses = [np.array(Image.open(path)) for path in files if 'pose' in path.name]
    width = 12 * 2 + 104 + 4 * (144 + 4) - 4  # the image and three steps
    assert {strip.shape[1] for strip in strips} == {width}
    assert len({pose.tobytes() for pose in poses}) == len(poses)


def test_model_without_diffusion_gets_poses_in_a_folder_of_its_own_for_each_validation(tmp_path, world):
    runner = evaluate('key_frame_tiny_synthetic', world, tmp_path)
    runner.val()
    (folder,) = tmp_path.glob('*/pictures/*')
    assert folder.name == 'iter_0'
    assert {path.name.rsplit('_', 1)[1] for path in folder.iterdir()} == {'pose.png'}


def test_interval_below_one_is_refused():
    with pytest.raises(ValueError, match='interval'):
        PersonPictureHook(interval=0)
