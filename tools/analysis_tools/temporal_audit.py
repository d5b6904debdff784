"""Does a model use time? One checkpoint, scored with the true neighbours of each key frame and with false ones.

    python tools/analysis_tools/temporal_audit.py CONFIG CHECKPOINT
    python tools/analysis_tools/temporal_audit.py CONFIG CHECKPOINT --out audit.json --cfg-options key=value ...

The support frames of every clip are those of the video, then copies of the key frame, then the same frames in another
order. The model is told none of this. On a synthetic world with ground-truth boxes also the AP of hidden, blurred and
fast joints is shown, where time should help most.
"""

import argparse
import copy
import os
import sys
from pathlib import Path

import mmengine
from mmengine.config import Config, DictAction

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

NEIGHBOURS = {'true': 'true neighbours', 'repeated': 'key frame repeated', 'shuffled': 'neighbours shuffled'}
SUBSETS = ('occluded', 'blurred', 'fast')
MEAN = 'Mean AP'
HOW_TO_READ = (
    'A model that uses its neighbours loses when the key frame stands in their place; one that also uses their order '
    'loses when they are shuffled. Equal rows: it sees the key frame only.'
)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config, or the bare name of one of this package')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', type=Path, help='write all scores to this json file')
    parser.add_argument('--work-dir', help='where the log goes (default: work_dirs/<config name>)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings to override: key=value ...')
    return parser.parse_args()


def apply_arguments(config: Config, arguments: argparse.Namespace) -> Config:
    """Write the command line into the config, and add the scores of joints that are hard to see."""
    from mmpose_diffusion.engine import merge_options

    config.launcher = 'none'
    config.load_from = arguments.checkpoint
    config.work_dir = arguments.work_dir or config.get('work_dir') or f'work_dirs/{Path(arguments.config).stem}'
    merge_options(config, arguments.cfg_options)
    evaluators = config.test_evaluator if isinstance(config.test_evaluator, list) else [config.test_evaluator]
    plain = next((metric for metric in evaluators if metric['type'] == 'PoseTrackAP'), None)
    if plain is None:
        raise SystemExit(f'The test_evaluator of {arguments.config} has no PoseTrackAP, which this command shows')
    plain.pop('outfile_prefix', None)  # three evaluations would write into one folder
    subsets = subset_metrics(config, plain)
    config.test_evaluator = [plain, *subsets]
    return config


def subset_metrics(config: Config, plain: dict) -> list[dict]:
    """Metrics of the joints that are hard to see, if annotations and boxes allow."""
    from mmpose_diffusion.evaluation.functional.posetrack_results import load_annotated_videos

    files = {
        key: str(Path(plain.get('data_root') or '') / plain[key]) for key in ('ann_dir', 'ann_file') if plain.get(key)
    }
    people = [person for video in load_annotated_videos(**files) for person in video.annotations]
    if config.test_dataloader.dataset.get('bbox_file') or not all('synthetic' in person for person in people):
        return []
    shared = {key: plain[key] for key in ('score_mode',) if key in plain}
    return [dict(type='PoseTrackSubsetAP', subset=subset, **files, **shared) for subset in SUBSETS]


def kinds_of_neighbours(dataloader: dict) -> list[str]:
    """What can stand in place of the support frames: a single one has nothing to change places with."""
    for step in dataloader['dataset']['pipeline']:
        if step['type'] != 'SampleClip':
            continue
        drawn = step.get('offsets') is None
        num_supports = step['num_before'] + step['num_after'] if drawn else len(step['offsets']) - 1
        if num_supports == 1:
            print('The clips have one support frame, which cannot be shuffled: there is no such row.')
            return [kind for kind in NEIGHBOURS if kind != 'shuffled']
    return list(NEIGHBOURS)


def with_neighbours(dataloader: dict, neighbours: str) -> dict:
    """The data loader's config with these frames in place of the support frames."""
    dataloader = copy.deepcopy(dataloader)
    steps = [step for step in dataloader['dataset']['pipeline'] if step['type'] == 'SampleClip']
    if not steps:
        raise SystemExit('The test pipeline has no SampleClip: a model of single images has no neighbours to look at')
    for step in steps:
        step['neighbours'] = neighbours
    return dataloader


def audit(config: Config) -> dict[str, dict[str, float]]:
    """All scores, by what stands in place of the neighbours. The model is loaded once."""
    from mmpose_diffusion.engine import build_runner, load_strictly

    kinds = kinds_of_neighbours(config.test_dataloader)
    loaders = {neighbours: with_neighbours(config.test_dataloader, neighbours) for neighbours in kinds}
    runner = build_runner(config)
    load_strictly(runner)
    # All before the first evaluation, which takes long: what cannot be built must not end the last one.
    loaders = {kind: runner.build_dataloader(loader, seed=runner.seed) for kind, loader in loaders.items()}
    scores = {}
    for neighbours, loader in loaders.items():
        runner.test_loop.dataloader = loader
        scores[neighbours] = dict(runner.test())
    return scores


def print_table(scores: dict[str, dict[str, float]], box_source: str) -> None:
    """One row for each kind of neighbours: AP of all joints, and of those that are hard to see where that is known."""
    columns = {'all joints': f'posetrack/{MEAN}', **{name: f'posetrack_{name}/{MEAN}' for name in SUBSETS}}
    columns = {title: key for title, key in columns.items() if key in scores['true']}
    print(f'\nPoseTrack AP (mean), boxes: {box_source}')
    print(f'{"":20}' + ''.join(f'{title:>12}' for title in columns))
    for neighbours in scores:
        title = NEIGHBOURS[neighbours]
        values = (scores[neighbours][key] for key in columns.values())
        print(f'{title:20}' + ''.join(f'{value:12.1f}' if value == value else f'{"-":>12}' for value in values))
    print(HOW_TO_READ)


def main() -> None:
    arguments = parse_arguments()
    os.environ.setdefault('LOCAL_RANK', '0')
    if not Path(arguments.checkpoint).is_file() and '://' not in arguments.checkpoint:
        sys.exit(f'There is no checkpoint {arguments.checkpoint}')

    from mmpose_diffusion.engine import load_config

    config = apply_arguments(load_config(arguments.config), arguments)
    scores = audit(config)
    box_source = config.test_evaluator[0].get('box_source') or config.test_dataloader.dataset.get('bbox_file')
    print_table(scores, box_source or 'ground truth')
    if arguments.out:
        mmengine.dump(scores, arguments.out, backend_args=dict(backend='atomic_local'))


if __name__ == '__main__':
    main()
