"""Evaluate a checkpoint: python tools/test.py CONFIG CHECKPOINT [--out metrics.json] [--cfg-options key=value ...]"""

import argparse
import os
import sys
from pathlib import Path

import mmengine
from mmengine.config import Config, DictAction

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a pose model')
    parser.add_argument('config', help='path of a config, or the bare name of one of this package')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='where the log goes (default: work_dirs/<config name>)')
    parser.add_argument('--out', help='write the metrics to this json, yaml or pickle file')
    parser.add_argument('--dump', help='write all predictions to this pickle file')
    parser.add_argument('--show-dir', help='folder for pictures of the results')
    parser.add_argument('--show', action='store_true', help='show results in a window')
    parser.add_argument('--pictures', help='folder for close-ups: poses, uncertainty and denoising, every 50th person')
    parser.add_argument('--badcase', action='store_true', help='draw the worst samples only')
    parser.add_argument('--interval', type=int, default=1, help='as in MMPose; a test draws every sample')
    parser.add_argument('--wait-time', type=float, default=1, help='seconds a window stays')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings to override: key=value ...')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')
    arguments = parser.parse_args()
    if arguments.dump and not arguments.dump.endswith(('.pkl', '.pickle')):
        parser.error(f'--dump writes pickle files, {arguments.dump} must end in .pkl or .pickle')
    return arguments


def apply_arguments(config: Config, arguments: argparse.Namespace) -> Config:
    """Write the command line into the config."""
    from mmpose_diffusion.engine import merge_options  # here, so that -h answers at once

    config.launcher = arguments.launcher
    config.load_from = arguments.checkpoint
    config.work_dir = arguments.work_dir or config.get('work_dir') or f'work_dirs/{Path(arguments.config).stem}'
    drawing = dict(enable=True, show=arguments.show, wait_time=arguments.wait_time, interval=arguments.interval)
    if arguments.badcase:
        config.default_hooks.badcase.update(drawing)
        if arguments.show_dir:
            config.default_hooks.badcase.out_dir = arguments.show_dir
        if not config.default_hooks.badcase.get('metric'):
            by_loss = config.default_hooks.badcase.get('metric_type', 'loss') == 'loss'
            config.default_hooks.badcase.metric = config.model.head.loss if by_loss else config.test_evaluator
    elif arguments.show or arguments.show_dir:
        config.default_hooks.visualization.update(drawing, out_dir=arguments.show_dir)
    if arguments.pictures:
        hook = dict(type='PersonPictureHook', out_dir=os.path.abspath(arguments.pictures))
        config.custom_hooks = [*config.get('custom_hooks', []), hook]
    if arguments.dump:
        evaluators = config.test_evaluator if isinstance(config.test_evaluator, list) else [config.test_evaluator]
        config.test_evaluator = [*evaluators, dict(type='DumpResults', out_file_path=arguments.dump)]
    merge_options(config, arguments.cfg_options)
    if arguments.pictures and config.model.type != 'DiffusionPoseLifter':  # what there is to draw; others do not look
        sampling = config.model.setdefault('test_cfg', {})
        sampling.update(output_hypotheses=sampling.get('num_hypotheses', 1) > 1, output_estimates=True)
    return config


def main() -> None:
    arguments = parse_arguments()
    os.environ.setdefault('LOCAL_RANK', str(arguments.local_rank))
    if not Path(arguments.checkpoint).is_file() and '://' not in arguments.checkpoint:
        sys.exit(f'There is no checkpoint {arguments.checkpoint}')

    from mmpose_diffusion.engine import build_runner, load_config, load_strictly

    runner = build_runner(apply_arguments(load_config(arguments.config), arguments))
    load_strictly(runner)
    metrics = runner.test()
    if arguments.out and runner.rank == 0:
        mmengine.dump(metrics, arguments.out, backend_args=dict(backend='atomic_local'))


if __name__ == '__main__':
    main()
