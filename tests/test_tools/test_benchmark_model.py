import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torchvision.ops import deform_conv2d

from mmpose_diffusion.engine import load_config
from mmpose_diffusion.testing import tiny_model

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/benchmark_model.py'
GIGA = 1e9


def load_tool():
    spec = importlib.util.spec_from_file_location('benchmark_model', TOOL)
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


benchmark = load_tool()


def flops(model, shape, *sampling):
    return {row.part: row.flops for row in benchmark.count_flops(model, shape, *sampling)}


@pytest.fixture(scope='module')
def diffpose_base():
    config = load_config('configs/body_2d_video/diffpose/diffpose_vit_base_posetrack18_256x192.py')
    init_default_scope('mmpose')
    return MODELS.build(config.model), benchmark.input_shape_of(config, 1)


def test_diffpose_costs_no_more_than_its_best_peer_and_hypotheses_little(diffpose_base):
    model, shape = diffpose_base
    assert shape == (1, 5, 3, 256, 192)
    once, often = flops(model, shape, 1, 1), flops(model, shape, 4, 10)
    assert once['backbone'] == pytest.approx(172 * GIGA, rel=0.01)
    assert once['total'] <= 204 * GIGA
    assert often['total'] <= 1.3 * once['total']
    assert often['denoiser, prepare'] == once['denoiser, prepare']
    assert often['denoiser, steps'] == 40 * once['denoiser, steps']


def test_counts_a_convolution_and_two_products_of_attention_by_hand():
    from mmpose_diffusion.models.transformer_layers import SelfAttention

    class Parts(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = torch.nn.Conv2d(3, 8, 3, padding=1)
            self.head = SelfAttention(8, 2)

        def extract_feat(self, inputs):
            return self.backbone(inputs).flatten(2).transpose(1, 2)

    cells = 6 * 4
    counted = flops(Parts(), (2, 3, 6, 4))
    assert counted['backbone'] == 2 * 2 * cells * 3 * 9 * 8
    assert counted[benchmark.REST] == 2 * 2 * (cells * 8 * 32 + 2 * cells * cells * 8)


def test_counts_a_deformable_convolution_as_the_convolution_it_is():
    class Parts(torch.nn.Module):
        def __init__(self, backbone):
            super().__init__()
            self.backbone, self.head = backbone, torch.nn.Identity()

        def extract_feat(self, inputs):
            return self.backbone(inputs)

    class Deformable(torch.nn.Conv2d):
        def forward(self, inputs):
            offsets = inputs.new_zeros(len(inputs), 18, *inputs.shape[2:])
            return deform_conv2d(inputs, offsets, self.weight, self.bias, padding=1)

    counted = [flops(Parts(kind(6, 8, 3, padding=1)), (2, 6, 9, 7)) for kind in (torch.nn.Conv2d, Deformable)]
    assert counted[0] == counted[1]
    assert counted[1]['backbone'] == 2 * 2 * 9 * 7 * 6 * 8 * 9


def test_fami_pose_costs_no_more_than_the_reference():
    config = load_config('fami_pose_hrnet_w48_posetrack18_384x288')
    init_default_scope('mmpose')
    shape = benchmark.input_shape_of(config, 1)
    assert shape == (1, 5, 3, 384, 288)
    config.model.aux_losses = []  # not part of a prediction
    *_, total = benchmark.count_flops(MODELS.build(config.model), shape)
    assert total.flops <= 367.8 * GIGA
    assert total.parameters <= 64.66e6


@pytest.mark.parametrize('head', ['heatmap', 'simcc', 'rtmcc', 'integral'])
def test_parts_add_up_for_every_kind_of_head_and_leave_the_model_as_it_was(head):
    model = MODELS.build(tiny_model('resnet', head, dict(type='SupportFusionNeck', hidden_channels=8)))
    rows = benchmark.count_flops(model, (1, 3, 3, 96, 64))
    assert sum(row.flops for row in rows[:-1]) == rows[-1].flops
    assert sum(row.parameters for row in rows[:-1]) == rows[-1].parameters
    assert {row.part for row in rows} == {'backbone', 'temporal_neck', benchmark.REST, 'total'}
    assert all(row.flops > 0 for row in rows)
    assert 'forward' not in vars(model.backbone)
    assert next(model.parameters()).device.type == 'cpu'


def test_command_prints_parameters_flops_and_latency_of_each_part(monkeypatch, capsys):
    config = 'configs/body_2d_video/diffpose/diffpose_tiny_synthetic.py'
    arguments = [str(TOOL), config, '--num-steps', '2', '--num-hypotheses', '3', '--repeats', '1']
    monkeypatch.setattr(sys, 'argv', arguments)
    benchmark.main()
    printed = capsys.readouterr().out
    assert 'input [1, 3, 3, 128, 96], one view' in printed
    assert '2 step(s) x 3 hypothesis(es)' in printed
    rows = [line.split('|') for line in printed.splitlines() if line.startswith('| ')]
    names = [row[1].strip() for row in rows[1:]]
    assert names == ['backbone', 'temporal_neck', 'denoiser, prepare', 'denoiser, steps', benchmark.REST, 'total']
    assert rows[4][3].strip() == '2'
    assert all(float(row[5]) >= 0 for row in rows[1:])


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--num-steps', '0'], 'num_steps must be an integer from 1'),
        (['--num-hypotheses', '0'], 'num_hypotheses must be an integer of at least 1'),
        (['--cfg-options', 'modle.test_cfg.num_steps=2'], 'did you mean model'),
    ],
)
def test_impossible_options_are_refused(monkeypatch, words, message):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), 'diffpose_tiny_synthetic', '--no-latency', *words])
    with pytest.raises(ValueError, match=message):
        benchmark.main()
