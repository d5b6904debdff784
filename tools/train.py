"""Train a model: python tools/train.py CONFIG [--work-dir DIR] [--resume] [--amp] [--cfg-options key=value ...]"""

import argparse
import os
import sys
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.device import get_device

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a pose model')
    parser.add_argument('config', help='path of a config, or the bare name of one of this package')
    parser.add_argument('--work-dir', help='where logs and checkpoints go (default: work_dirs/<config name>)')
    parser.add_argument(
        '--resume', nargs='?', const='auto', help='go on from this checkpoint; without a value from the latest one'
    )
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate during training')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size')
    parser.add_argument('--show-dir', help='folder for pictures of the validation results')
    parser.add_argument('--show', action='store_true', help='show validation results in a window')
    parser.add_argument('--interval', type=int, default=1, help='draw every n-th validation sample')
    parser.add_argument('--wait-time', type=float, default=1, help='seconds a window stays')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings to override: key=value ...')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')
    return parser.parse_args()


def apply_arguments(config: Config, arguments: argparse.Namespace) -> Config:
    """Write the command line into the config."""
    from mmpose_diffusion.engine import merge_options  # here, so that -h answers at once

    config.launcher = arguments.launcher
    config.work_dir = arguments.work_dir or config.get('work_dir') or f'work_dirs/{Path(arguments.config).stem}'
    if arguments.amp:
        if get_device() in ('cpu', 'mps'):
            sys.exit('--amp trains with mixed precision on a GPU, and there is none: leave it out')
        if config.optim_wrapper.get('type', 'OptimWrapper') not in ('OptimWrapper', 'AmpOptimWrapper'):
            raise ValueError(f'--amp cannot be combined with the optimizer wrapper {config.optim_wrapper.type}')
        config.optim_wrapper.type = 'AmpOptimWrapper'
        config.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if arguments.resume:
        config.resume = True
        config.load_from = None if arguments.resume == 'auto' else arguments.resume
    if arguments.auto_scale_lr:
        config.auto_scale_lr = {**(config.get('auto_scale_lr') or {}), 'enable': True}
    if arguments.show or arguments.show_dir:
        config.default_hooks.visualization.update(
            enable=True,
            show=arguments.show,
            wait_time=arguments.wait_time,
            interval=arguments.interval,
            out_dir=arguments.show_dir,
        )
    merge_options(config, arguments.cfg_options)
    if arguments.no_validate:
        config.val_cfg = config.val_dataloader = config.val_evaluator = None
    if arguments.auto_scale_lr and 'base_batch_size' not in config.auto_scale_lr:
        sys.exit(
            f'--auto-scale-lr needs the batch size that the learning rate is for, which {arguments.config} does not '
            'state: leave it out, or add --cfg-options auto_scale_lr.base_batch_size=...'
        )
    return config


def main() -> None:
    arguments = parse_arguments()
    os.environ.setdefault('LOCAL_RANK', str(arguments.local_rank))

    from mmpose_diffusion.engine import build_runner, load_config

    build_runner(apply_arguments(load_config(arguments.config), arguments)).train()


if __name__ == '__main__':
    main()
