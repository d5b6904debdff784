"""Official checkpoints of D3DP and FinePOSE, converted, give what the official networks give."""

import importlib.util
import os
import sys

import pytest
import torch
from mmpose.registry import MODELS

from mmpose_diffusion.engine import load_config, load_weights

from .conftest import ROOT
from .official_lifting_network import ACTIONS, HUMAN36M, MPI_INF_3DHP, Network, official_file, trained

SIZES = dict(width=32, depth=2, heads=4)
CLIP = dict(width=32, heads=4, layers=2, context_length=77, vocab_size=49408)
D3DP = dict(type='PoseSequenceDenoiser', num_frames=9, width=32, depth=2, num_heads=4)
FINEPOSE = dict(
    D3DP,
    type='PromptedPoseDenoiser',
    text_encoder=dict(type='CLIPTextEncoder', weights=None, model=CLIP),
    text_layers=2,
    text_heads=4,
    compat=True,
)
WITHOUT_ACTION = (('A person', 5), ('speed', 8), ('head', 8), ('body', 8), ('arm', 12), ('leg', 12))


@pytest.fixture(scope='module')
def finepose():
    return trained(Network(9, **SIZES, prompts=HUMAN36M, clip_layers=2, text_layers=2))


@pytest.fixture(scope='module')
def tool():
    path = ROOT / 'tools/model_converters/lifting_to_ours.py'
    spec = importlib.util.spec_from_file_location('lifting_to_ours', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def converted(tool, tmp_path, monkeypatch):
    """Save a network as its authors do, run the command, load the result into our denoiser."""

    def run(network, denoiser):
        if isinstance(network, torch.nn.Module):
            official_file(network, tmp_path / 'official.bin')
        else:
            torch.save(network, tmp_path / 'official.bin')
        config = tmp_path / 'ours.py'
        config.write_text(f"model = dict(type='DiffusionPoseLifter', head=dict(type='DiffusionPoseHead', "
                          f'denoiser={denoiser!r}))')  # fmt: skip
        words = ['lifting_to_ours.py', config, tmp_path / 'official.bin', tmp_path / 'ours.pth']
        monkeypatch.setattr(sys, 'argv', [str(word) for word in words])
        tool.main()
        model = MODELS.build(load_config(str(config)).model)
        load_weights(model, str(tmp_path / 'ours.pth'))
        return model.head.denoiser.eval()

    return run


def inputs(batch=3, hypotheses=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    flat = torch.randn(batch, 9, 17, 2, generator=generator)
    noisy = torch.randn(batch, hypotheses, 9, 17, 3, generator=generator)
    return flat, noisy, torch.randint(1000, (batch,), generator=generator)


def difference(official, ours, actions, flat, noisy, step):
    """The largest difference between the two networks, which must not be silent."""
    expected = official(flat, noisy, step, actions)
    hypotheses = noisy.shape[1]
    answer = ours(noisy.flatten(0, 1), step.repeat_interleave(hypotheses), ours.prepare(flat, actions))
    assert expected.std() > 0.1
    return float((answer - expected.flatten(0, 1)).abs().max())


@torch.no_grad()
def test_d3dp_converted_gives_the_official_answers(converted):
    network = trained(Network(9, **SIZES))
    assert difference(network, converted(network, D3DP), [None] * 3, *inputs()) < 1e-5


@torch.no_grad()
def test_finepose_converted_gives_the_official_answers_even_where_it_mixes_up_texts(converted, finepose):
    ours = converted(finepose, FINEPOSE)
    assert difference(finepose, ours, ['Walking', 'WalkDog', 'SittingDown'], *inputs()) < 1e-5
    assert difference(finepose, ours, ['Photo', 'Walking', 'Walking'], *inputs(seed=1)) < 1e-5


@torch.no_grad()
def test_finepose_of_mpi_inf_3dhp_has_no_action(converted):
    network = trained(Network(9, **SIZES, prompts=MPI_INF_3DHP, clip_layers=2, text_layers=2))
    ours = converted(network, dict(FINEPOSE, prompts=WITHOUT_ACTION))
    assert difference(network, ours, [None] * 3, *inputs()) < 1e-5


@torch.no_grad()
def test_without_compat_the_weights_are_the_same_and_the_defects_are_gone(converted, finepose):
    ours = converted(finepose, dict(FINEPOSE, compat=False))
    # One action in the batch: texts cannot be mixed up, so what differs is the place of the summary alone.
    ours.part_prompts.compat = True
    assert difference(finepose, ours, ['Walking'] * 3, *inputs()) < 1e-5
    assert difference(finepose, ours, ['Walking', 'WalkDog', 'Photo'], *inputs()) > 1e-3
    ours.part_prompts.compat = False
    assert difference(finepose, ours, ['Walking'] * 3, *inputs()) > 1e-3


@pytest.mark.parametrize(
    ('options', 'complaint'),
    [
        (dict(num_frames=27), r'it is for 9 frames \(num_frames\), the config for 27'),
        (dict(num_joints=15), r'it is for 17 joints \(num_joints\), the config for 15'),
        (dict(prompts=WITHOUT_ACTION), r'it is for 49 learnable vectors \(prompts\), the config for 51'),
        (dict(prompts=None), 'unknown to the config: part_prompts.learnable'),
        (dict(depth=3), 'missing: trunk.spatial_blocks.2'),
        (dict(width=16), 'of another size: .*32'),
    ],
)
def test_what_does_not_fit_the_config_is_refused(options, complaint, converted, finepose, tmp_path):
    if options.get('prompts') is not None:
        options = dict(options, prompts=(('A person', 3), *WITHOUT_ACTION[1:]))
    with pytest.raises(SystemExit, match=f'official.bin was not converted: .*{complaint}'):
        converted(finepose, dict(FINEPOSE, **options))
    assert not (tmp_path / 'ours.pth').exists()


class RunsCode:
    def __reduce__(self):
        return os.system, ('true',)


@pytest.mark.parametrize(
    ('content', 'complaint'),
    [
        (dict(model_pos=RunsCode()), 'was refused'),
        (dict(model_pos={'conv1.weight': torch.zeros(1)}), 'no checkpoint of D3DP or FinePOSE'),
        ([torch.zeros(1)], 'D3DP or FinePOSE: it holds a list'),
        (dict(model_pos=torch.zeros(1)), 'D3DP or FinePOSE: it holds a Tensor'),
    ],
    ids=['hostile', 'other', 'list', 'tensor'],
)
def test_files_of_something_else_are_refused(content, complaint, converted):
    with pytest.raises(SystemExit, match=complaint):
        converted(content, D3DP)


@pytest.mark.parametrize('config', ['regression_tiny_synthetic', 'diffpose_tiny_synthetic', 'rtmdet_tiny_synthetic'])
def test_configs_of_something_else_are_refused(config, tool):
    with pytest.raises(ValueError, match=f'{config} is no config of D3DP or FinePOSE'):
        tool.expected_weights(config)


@pytest.mark.parametrize('config', ['d3dp_tiny_synthetic', 'finepose_tiny_synthetic'])
def test_configs_that_show_their_network_another_noise_are_refused(config, tool):
    with pytest.raises(ValueError, match=r"signal of .* is .*'spread': 0.3.*released networks .*'spread': None"):
        tool.expected_weights(config)


def test_a_config_that_leaves_the_signal_to_the_head_has_the_released_one(tmp_path, tool):
    released = 'd3dp_human36m_gt_243frames'
    config = load_config(released)
    config.model.head.signal = None
    config.dump(tmp_path / 'own.py')
    assert tool.expected_weights(str(tmp_path / 'own.py')).keys() == tool.expected_weights(released).keys()


def test_the_network_written_down_here_knows_the_tokens_of_clip():
    from mmpose_diffusion.models.text_encoders.clip_text_encoder import token_ids

    for action, ids in ACTIONS.items():
        assert token_ids([action])[0, :5].tolist() == list(ids)
