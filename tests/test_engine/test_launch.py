import time

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmpose_diffusion.engine import find_config, load_strictly
from mmpose_diffusion.engine.launch import config_folder


def test_config_is_found_by_path_and_by_bare_name(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('x = 1')
    assert find_config(str(path)) == path
    ours = next(path for path in config_folder().glob('*/**/*.py') if '_base_' not in path.parts)
    assert find_config(ours.stem).samefile(ours)
    assert find_config(ours.name).samefile(ours)


def test_unknown_config_is_named_with_the_closest_ones():
    ours = next(path for path in config_folder().glob('*/**/*.py') if '_base_' not in path.parts)
    with pytest.raises(FileNotFoundError, match=f'no config {ours.stem}x.*{ours.stem}'):
        find_config(ours.stem + 'x')


def test_base_configs_are_not_offered_by_name():
    with pytest.raises(FileNotFoundError):
        find_config('default_runtime')


def test_config_names_are_unique_in_the_package():
    names = [path.name for path in config_folder().rglob('*.py')]
    assert sorted(names) == sorted(set(names))


class OneLayer(BaseModel):
    def __init__(self, size=2):
        super().__init__()
        self.layer = torch.nn.Linear(size, size)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return [self.layer(torch.stack(inputs)).sum()]


class KeepsOutputs(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [float(value) for value in data_samples]

    def compute_metrics(self, results):
        return dict(total=sum(results))


@pytest.fixture
def strict_runner(tmp_path):
    def make(checkpoint, **options):
        runner = Runner(
            OneLayer(),
            str(tmp_path / 'run'),
            test_dataloader=DataLoader([dict(inputs=torch.ones(2))], collate_fn=pseudo_collate),
            test_evaluator=KeepsOutputs(),
            test_cfg=dict(),
            load_from=str(checkpoint),
            experiment_name=f'strict_{time.monotonic_ns()}',
            **options,
        )
        load_strictly(runner)
        return runner

    return make


@pytest.mark.parametrize('hooks', [[], [dict(type='EMAHook')]], ids=['plain', 'averaged'])
def test_fitting_checkpoint_is_evaluated(tmp_path, strict_runner, hooks):
    weights = {'layer.weight': torch.eye(2), 'layer.bias': torch.zeros(2)}
    torch.save(dict(state_dict=weights), tmp_path / 'right.pth')
    assert strict_runner(tmp_path / 'right.pth', custom_hooks=hooks).test() == dict(total=2.0)


@pytest.mark.parametrize(
    ('weights', 'complaint'),
    [
        ({'layer.weight': torch.eye(2)}, 'missing keys .* layer.bias'),
        ({**OneLayer().state_dict(), 'neck.weight': torch.eye(2)}, 'unexpected key .* neck.weight'),
        (OneLayer(3).state_dict(), 'size mismatch for layer.weight'),
    ],
    ids=['missing', 'unexpected', 'other_size'],
)
def test_checkpoint_of_another_model_is_refused(tmp_path, strict_runner, weights, complaint):
    torch.save(dict(state_dict=weights), tmp_path / 'wrong.pth')
    with pytest.raises(ValueError, match=rf'wrong\.pth is no checkpoint of the model.*{complaint}'):
        strict_runner(tmp_path / 'wrong.pth').test()


def test_long_lists_of_missing_weights_are_cut(tmp_path, strict_runner):
    torch.save(dict(state_dict={f'block.{index}.weight': torch.ones(1) for index in range(500)}), tmp_path / 'long.pth')
    with pytest.raises(ValueError, match=r'missing keys.*layer.*block\.0\.weight') as refusal:
        strict_runner(tmp_path / 'long.pth').test()
    assert len(str(refusal.value)) < 1000
