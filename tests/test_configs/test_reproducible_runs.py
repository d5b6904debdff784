"""A list in a config replaces the one of its base, hooks and all: what every training needs must still be there."""

from pathlib import Path

import pytest

from mmpose_diffusion.engine import load_config

FOLDER = Path(__file__).parents[2] / 'configs'
OF_MMPOSE = {'diffusion_image_vit_base_coco_256x192'}  # data and schedule are MMPose's own
CONFIGS = sorted(path for path in FOLDER.glob('[!_]*/**/*.py') if path.stem not in OF_MMPOSE)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_epoch_and_every_process_has_its_own_seed(path):
    config = load_config(str(path))
    hooks = [hook.type.removeprefix('mmpose.') for hook in config.custom_hooks]
    assert {'SyncBuffersHook', 'EpochSeedHook'} <= set(hooks)
    assert len(hooks) == len(set(hooks))
    assert config.train_dataloader.worker_init_fn.type == 'seed_worker_from_epoch'
    if path.stem.startswith('diffpose_') and 'posetrack' in path.stem:
        assert 'EMAHook' in hooks
