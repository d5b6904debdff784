"""From a config to a running Runner: what tools/train.py and tools/test.py share."""

from __future__ import annotations

import difflib
import inspect
import os
import textwrap
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.runner import Runner

from .checkpoint_files import latest_checkpoint

# Top-level settings that mmengine's Runner looks for besides its arguments.
READ_BY_RUNNER = ('auto_scale_lr', 'find_unused_parameters', 'model_wrapper_cfg', 'preprocess_cfg', 'sync_bn')
PACKAGE = Path(__file__).resolve().parents[1]


def config_folder() -> Path:
    """Where this package's configs lie: `.mim/configs` of an installed package, else `configs` of the repository."""
    installed = PACKAGE / '.mim' / 'configs'
    return installed if installed.exists() else PACKAGE.parent / 'configs'


def find_config(name: str) -> Path:
    """Path of a config given by path, or by the bare name of one of this package's configs."""
    if Path(name).is_file():
        return Path(name)
    known = {path.stem: path for path in config_folder().glob('*/**/*.py') if '_base_' not in path.parts}
    stem = Path(name).name.removesuffix('.py')
    if Path(name).name == name and stem in known:
        return known[stem]
    close = difflib.get_close_matches(stem, known, n=3, cutoff=0.4) or sorted(known)[:5]
    raise FileNotFoundError(
        f'There is no config {name}: give a path, or the name of one of the configs below {config_folder()}, '
        f'for example {", ".join(close)}'
    )


def load_config(name: str) -> Config:
    """Read a config given by path or by bare name."""
    return Config.fromfile(find_config(name))


def merge_options(config: Config, options: dict[str, Any] | None) -> None:
    """Write `--cfg-options` into a config; refuse a misspelt first name, which would be lost without a word."""
    known = {*config, *inspect.signature(Runner).parameters, *READ_BY_RUNNER}
    for key in options or {}:
        first = key.split('.')[0]
        if first not in known:
            close = difflib.get_close_matches(first, known, n=3) or sorted(config)
            raise ValueError(f'--cfg-options {key}: a config has no {first}; did you mean {", ".join(close)}?')
    config.merge_from_dict(options or {})


def wrapper_without_gpu(config: Config) -> dict:
    """How several processes on the CPU share a model; mmengine names a GPU for each unless told that there is none."""
    defaults = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        device_ids=None,
        find_unused_parameters=config.get('find_unused_parameters', False),
    )
    return {**defaults, **(config.get('model_wrapper_cfg') or {})}


def prepare_processes(config: Config) -> None:
    """Start the process group where mmengine cannot: several processes without a GPU (gloo)."""
    if config.get('launcher', 'none') != 'pytorch' or torch.cuda.is_available() or is_distributed():
        return
    torch.distributed.init_process_group('gloo')
    config.model_wrapper_cfg = wrapper_without_gpu(config)


def prepare_checkpoints(config: Config) -> None:
    """Have checkpoints written whole or not at all, and find the one to resume from after whatever ended the run."""
    hooks = config.get('default_hooks') or {}
    hook = hooks.get('checkpoint', dict(type='CheckpointHook', interval=1))  # absent: mmengine's; None: unwanted
    is_local = hook and '://' not in (hook.get('out_dir') or '')
    if is_local and not hook.get('backend_args') and not hook.get('file_client_args'):
        config.default_hooks = {**hooks, 'checkpoint': {**hook, 'backend_args': dict(backend='atomic_local')}}
    if config.get('resume') and not config.get('load_from'):
        latest = latest_checkpoint(config.work_dir)
        config.load_from = str(latest) if latest else None
        config.resume = latest is not None


def share_cores(config: Config) -> None:
    """Without a GPU, leave a core to each data worker: threads that wait for a busy core are worse than none."""
    if torch.cuda.is_available() or 'OMP_NUM_THREADS' in os.environ:
        return
    workers = (config.get('train_dataloader') or {}).get('num_workers', 0)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - workers))


def share_batches_by_name() -> None:
    """Let data workers hand over tensors by the name of their shared memory.

    PyTorch's default on Linux hands over open files, one at a time, and asks the busy worker for each tensor of each
    sample of a batch: that can take a tenth of a training step. The price: where all processes of a training are
    killed at the same time, memory can stay behind in /dev/shm.
    """
    torch.multiprocessing.set_sharing_strategy('file_system')


def build_runner(config: Config) -> Runner:
    """The mmengine Runner of a config, with one, many or no GPUs."""
    prepare_processes(config)
    prepare_checkpoints(config)
    share_cores(config)
    share_batches_by_name()
    if 'preprocess_cfg' in config:
        config.model.setdefault('data_preprocessor', config.preprocess_cfg)
    return Runner.from_cfg(config)


def load_strictly(runner: Runner) -> None:
    """Let a Runner refuse a checkpoint that does not fill its model exactly, where MMEngine would only log it.

    For evaluation: weights left at random give figures that mean nothing. The Runner still loads at its own time, after
    its hooks have prepared (an EMA hook builds its model then).
    """
    load = runner.load_checkpoint

    def load_all(filename: str, *arguments: Any, **options: Any) -> dict:
        try:
            return load(filename, *arguments, **{**options, 'strict': True})
        except RuntimeError as error:
            if 'do not match exactly' not in str(error):
                raise
            # Missing and unexpected keys are listed last, after every weight of another size.
            lines = [line for line in reversed(str(error).splitlines()[1:]) if line.strip()]
            differences = '; '.join(textwrap.shorten(line, 300, placeholder=' ...') for line in lines[:3])
            raise ValueError(
                f'{filename} is no checkpoint of the model in {runner.cfg.filename or "the config"}: {differences}'
            ) from error

    runner.load_checkpoint = load_all
