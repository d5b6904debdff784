"""What the command lines of tools/train.py and tools/test.py make of a config."""

import importlib.util
import sys

import pytest
import torch

from mmpose_diffusion.engine import load_config

from .conftest import ROOT

TINY = 'support_fusion_tiny_synthetic'
LARGE = 'diffpose_vit_base_posetrack18_256x192'


def apply(monkeypatch, tool, *words):
    """The config that `python tools/<tool>.py <words>` works with; its name is the first word."""
    spec = importlib.util.spec_from_file_location(f'{tool}_tool', ROOT / f'tools/{tool}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *words])
    return module.apply_arguments(load_config(words[0]), module.parse_arguments())


def test_mixed_precision_is_used_on_a_gpu_and_refused_without(monkeypatch):
    if torch.cuda.is_available():
        assert apply(monkeypatch, 'train', TINY, '--amp').optim_wrapper.type == 'AmpOptimWrapper'
    else:
        with pytest.raises(SystemExit, match='--amp .* GPU'):
            apply(monkeypatch, 'train', TINY, '--amp')


def test_learning_rate_is_scaled_where_the_batch_size_it_is_for_is_known(monkeypatch):
    assert apply(monkeypatch, 'train', LARGE, '--auto-scale-lr').auto_scale_lr == dict(base_batch_size=512, enable=True)
    with pytest.raises(SystemExit, match=f'{TINY} .*base_batch_size'):
        apply(monkeypatch, 'train', TINY, '--auto-scale-lr')
    stated = ['--cfg-options', 'auto_scale_lr.base_batch_size=64']
    config = apply(monkeypatch, 'train', TINY, '--auto-scale-lr', *stated)
    assert config.auto_scale_lr == dict(base_batch_size=64, enable=True)


@pytest.mark.parametrize(('words', 'hook'), [([], 'visualization'), (['--badcase'], 'badcase')])
def test_pictures_go_where_they_are_asked_for(monkeypatch, words, hook):
    settings = apply(monkeypatch, 'test', TINY, 'x.pth', '--show-dir', 'pictures', *words).default_hooks[hook]
    assert (settings.enable, settings.out_dir) == (True, 'pictures')


def test_pictures_ask_a_model_only_for_what_it_can_give(monkeypatch):
    config = apply(monkeypatch, 'test', 'diffpose_tiny_synthetic', 'x.pth', '--pictures', 'close_ups')
    assert config.custom_hooks[-1]['type'] == 'PersonPictureHook'
    assert (config.model.test_cfg.output_estimates, config.model.test_cfg.output_hypotheses) == (True, True)
    config = apply(monkeypatch, 'test', 'd3dp_tiny_synthetic', 'x.pth', '--pictures', 'close_ups')
    assert config.custom_hooks[-1]['type'] == 'PersonPictureHook'
    assert 'output_estimates' not in config.model.test_cfg


def test_resuming_takes_the_latest_checkpoint_or_the_given_one(monkeypatch):
    config = apply(monkeypatch, 'train', TINY, '--resume')
    assert (config.resume, config.load_from) == (True, None)
    config = apply(monkeypatch, 'train', TINY, '--resume', 'epoch_1.pth')
    assert (config.resume, config.load_from) == (True, 'epoch_1.pth')
