import time

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import BaseMetric
from mmengine.hooks import CheckpointHook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmpose_diffusion.engine import AtomicLocalBackend, build_runner, find_config, load_strictly, merge_options
from mmpose_diffusion.engine.launch import config_folder, wrapper_without_gpu


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


@MODELS.register_module()
class OneLayer(BaseModel):
    def __init__(self, size=2):
        super().__init__()
        self.layer = torch.nn.Linear(size, size)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        total = self.layer(torch.stack(inputs)).sum()
        return dict(loss=total) if mode == 'loss' else [total]


@DATASETS.register_module()
class TwoNumbers(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return dict(inputs=torch.ones(2))


class SharingStrategy(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return torch.multiprocessing.get_sharing_strategy()


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


def train(folder, epochs, **settings):
    """Train with a config that inherits nothing from this package."""
    config = Config(
        dict(
            model=dict(type='OneLayer'),
            train_dataloader=dict(batch_size=1, dataset=dict(type='TwoNumbers'), sampler=dict(type='DefaultSampler')),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_scope='mmengine',
            work_dir=str(folder),
            experiment_name=f'train_{time.monotonic_ns()}',
            **settings,
        )
    )
    runner = build_runner(config)
    runner.train()
    return runner


@pytest.mark.parametrize('default', sorted(torch.multiprocessing.get_all_sharing_strategies()))
def test_data_workers_hand_tensors_over_by_name(tmp_path, default):
    before = torch.multiprocessing.get_sharing_strategy()
    torch.multiprocessing.set_sharing_strategy(default)
    try:
        train(tmp_path, 1)
        assert list(DataLoader(SharingStrategy(), num_workers=1)) == [['file_system']]
    finally:
        torch.multiprocessing.set_sharing_strategy(before)


def checkpoint_hook(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))


def test_every_config_writes_whole_checkpoints(tmp_path):
    assert isinstance(checkpoint_hook(train(tmp_path, 1)).file_backend, AtomicLocalBackend)
    assert (tmp_path / 'epoch_1.pth').is_file()


def test_chosen_storage_of_checkpoints_is_kept(tmp_path):
    hooks = dict(checkpoint=dict(type='CheckpointHook', backend_args=dict(backend='local')))
    assert not isinstance(checkpoint_hook(train(tmp_path, 1, default_hooks=hooks)).file_backend, AtomicLocalBackend)


@pytest.mark.parametrize('note', ['', None, 'removed.pth'], ids=['empty', 'missing', 'stale'])
def test_training_resumes_whatever_last_checkpoint_says(tmp_path, note):
    train(tmp_path, 2)
    (tmp_path / '.epoch_3.pth.partial').write_bytes(b'cut off')
    (tmp_path / 'last_checkpoint').unlink()
    if note is not None:
        (tmp_path / 'last_checkpoint').write_text(note)
    runner = train(tmp_path, 3, resume=True)
    assert runner.iter == 3
    assert runner.message_hub.get_scalar('train/loss').data[0].size == 3  # the history of the first two went on
    assert {path.name for path in tmp_path.glob('*epoch_*')} == {f'epoch_{number}.pth' for number in (1, 2, 3)}


def test_resuming_without_any_checkpoint_starts_anew(tmp_path):
    (tmp_path / 'last_checkpoint').touch()
    assert train(tmp_path, 1, resume=True).iter == 1


def test_processes_without_gpu_keep_the_config_s_settings():
    assert not wrapper_without_gpu(Config())['find_unused_parameters']
    wrapper = wrapper_without_gpu(Config(dict(find_unused_parameters=True, model_wrapper_cfg=dict(static_graph=True))))
    assert wrapper['find_unused_parameters']
    assert wrapper['static_graph']
    assert wrapper['device_ids'] is None


def test_misspelt_option_is_refused_and_settings_of_the_runner_are_not():
    config = Config(dict(model=dict(head=dict(out_channels=17)), train_cfg=dict(max_epochs=4)))
    merge_options(config, {'model.head.out_channels': 15, 'find_unused_parameters': True, 'load_from': 'a.pth'})
    assert config.model.head.out_channels == 15
    assert config.find_unused_parameters
    with pytest.raises(ValueError, match=r'modle\.head\.out_channels.*did you mean model'):
        merge_options(config, {'modle.head.out_channels': 14})
