from pathlib import Path

import pytest
import torch
from mmpose.registry import MODELS

from mmpose_diffusion.datasets.synthetic.actions import ACTIONS
from mmpose_diffusion.engine import load_config

FOLDER = Path(__file__).parents[2] / 'configs/body_3d_video'
CONFIGS = sorted([*FOLDER.glob('finepose/*.py'), *FOLDER.glob('d3dp/*243frames.py')])


def test_the_promised_configs_exist():
    names = {path.stem for path in CONFIGS}
    for method in ('d3dp', 'finepose', 'finepose_released'):
        for data in ('human36m_cpn', 'human36m_gt', 'mpi_inf_3dhp'):
            assert f'{method}_{data}_243frames' in names
    assert 'finepose_tiny_synthetic' in names


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_agrees_with_itself_and_builds(path):
    config = load_config(str(path))
    denoiser = config.model.head.denoiser
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        assert loader.dataset.type == config.dataset_type
        assert loader.dataset.num_frames == denoiser.num_frames
    if 'tiny' not in path.stem:
        epochs = 400 if path.stem.startswith('d3dp') else 120 if '_gt_' in path.stem else 100
        assert config.train_cfg.max_epochs == epochs
    with torch.device('meta'):
        denoiser = MODELS.build(denoiser)
    count = sum(weight.numel() for weight in denoiser.parameters()) / 1e6
    if 'tiny' in path.stem:
        assert set(ACTIONS) <= set(denoiser.part_prompts.text_encoder.texts)
    elif path.stem.startswith('d3dp'):
        assert round(count, 1) == 34.8
    else:
        action = any(text == '{action}' for text, _ in denoiser.part_prompts.prompts)
        assert action == ('human36m' in path.stem)
        assert len(denoiser.part_prompts.learnable) + 4 * len(denoiser.part_prompts.prompts) == 77
        assert denoiser.part_prompts.compat == ('released' in path.stem)
