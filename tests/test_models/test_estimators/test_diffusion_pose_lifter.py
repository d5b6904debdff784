import copy

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.datasets.pose_sequence_dataset import PoseSequence, PoseSequenceDataset
from mmpose_diffusion.engine import load_config
from mmpose_diffusion.visualization import PersonPictureHook

FRAMES = 9
CONFIGS = ['d3dp_tiny_synthetic', 'regression_tiny_synthetic', 'tcn_tiny_synthetic']
TINIER = dict(num_frames=FRAMES, width=8, depth=1, num_heads=2)


def swaying_people(frames=2 * FRAMES):
    """Two people with 17 joints at random places, who sway sideways, seen from 5 metres."""
    generator, sequences = np.random.default_rng(0), []
    for person, action in enumerate(('Walking', 'Waving')):
        poses = generator.normal(scale=0.3, size=(17, 3)) + np.sin(np.arange(frames) / 5)[:, None, None] * [0.2, 0, 0]
        poses = (poses + [0, 0, 5.0]).astype(np.float32)
        seen = poses[..., :2] / poses[..., 2:]
        sequences.append(
            PoseSequence(
                f'S{person} {action}', f'S{person}', action, 0, np.array([1.0, 1, 0, 0, 0, 0, 0, 0, 0]), (1000, 1000),
                seen, poses, np.ones(frames, bool), np.arange(frames),
            )
        )  # fmt: skip
    return sequences


@pytest.fixture
def runner(request, tmp_path, monkeypatch):
    """The runner of a tiny config, made tinier, on swaying people."""
    config = load_config(f'configs/body_3d_video/d3dp/{request.param}.py')
    monkeypatch.setattr(PoseSequenceDataset, '_check_sequence', lambda self, sequence: None)
    monkeypatch.setattr(
        'mmpose_diffusion.datasets.Human36mSequenceDataset.load_sequences', lambda self: swaying_people()
    )
    head = config.model.head
    network = head.trunk if 'trunk' in head else head.denoiser
    network.update({size: value for size, value in TINIER.items() if size in network})
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(batch_size=4)
        loader.dataset.update(num_frames=FRAMES)
    config.train_cfg.update(max_epochs=1, val_interval=1)
    config.work_dir, config.log_level = str(tmp_path), 'ERROR'
    return Runner.from_cfg(config)


@pytest.mark.parametrize('runner', CONFIGS, indirect=True)
def test_a_tiny_config_trains_and_is_scored(runner):
    before = copy.deepcopy(runner.model.state_dict())
    runner.train()
    after = runner.model.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])]
    scores = runner.test()
    assert scores['lifting/mpjpe'] > 0
    assert np.isfinite(list(scores.values())).all()


@pytest.mark.parametrize('runner', CONFIGS, indirect=True)
def test_every_third_clip_of_an_evaluation_is_drawn(runner, tmp_path):
    runner.register_hook(PersonPictureHook(interval=3))
    runner.test()
    # two chunks for each of two people: the first and the fourth
    names = [path.name for path in sorted(tmp_path.glob('*/pictures/*'))]
    assert names == ['S0_Walking_0_0_poses.png', f'S1_Waving_0_{FRAMES}_poses.png']


@pytest.mark.parametrize('runner', CONFIGS, indirect=True)
def test_results_are_those_of_the_head_attached_to_the_samples(runner):
    model, batch = runner.model.eval(), next(iter(runner.test_dataloader))
    results = model.test_step(copy.deepcopy(batch))
    keypoints_2d = torch.stack(batch['inputs'])
    expected = model.head.predict(keypoints_2d, batch['data_samples'], model.test_cfg)
    for result, prediction in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.pred_instances.keypoints, prediction.keypoints)
        assert result.pred_instances.keypoints.shape == (FRAMES, 17, 3)
        assert len(result.pred_instances) == len(result.gt_instances) == FRAMES
    assert model(keypoints_2d, mode='tensor', data_samples=None).shape == (4, FRAMES, 17, 3)


@torch.no_grad()
def test_the_plain_forward_tells_prompts_the_actions_of_the_samples():
    texts = ['Walking', 'Waving']
    denoiser = dict(
        type='PromptedPoseDenoiser', num_frames=FRAMES, width=8, depth=1, num_heads=2, prompts=[('{action}', 1)],
        text_encoder=dict(type='LearnedPromptTable', texts=texts, width=8), text_layers=1, text_heads=2,
    )  # fmt: skip
    head = dict(type='DiffusionPoseHead', denoiser=denoiser)
    model = MODELS.build(dict(type='DiffusionPoseLifter', head=head)).eval()
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():  # as if trained, and too small for the clamp to cut off all
        weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    keypoints_2d = torch.zeros(2, FRAMES, 17, 2)  # the clips differ in their actions alone
    samples = [PoseDataSample(metainfo=dict(action=text)) for text in texts]
    first, second = model(list(keypoints_2d), mode='tensor', data_samples=samples)
    assert (first - second).abs().max() > 1e-3


def test_the_tiny_networks_are_trained_alike_and_two_have_the_same_trunk():
    diffusion, regression, tcn = (load_config(f'configs/body_3d_video/d3dp/{name}.py') for name in CONFIGS)
    denoiser = dict(diffusion.model.head.denoiser)
    assert denoiser.pop('type') == 'PoseSequenceDenoiser'
    assert denoiser == dict(regression.model.head.trunk)
    for setting in ('train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_evaluator'):
        assert diffusion[setting] == regression[setting]
        if setting == 'train_dataloader':
            tcn[setting].batch_size = diffusion[setting].batch_size  # of as many clips
        assert diffusion[setting] == tcn[setting]
