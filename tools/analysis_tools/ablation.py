"""Compare models honestly: train every one with the same budget and several seeds, score all rows of a table.

    python tools/analysis_tools/ablation.py tools/analysis_tools/ablations/diffpose.py
    python tools/analysis_tools/ablation.py ROWS --seeds 0 --only 'single frame' 'fusion neck'

A rows file (docs/ablations.md) says what is compared. Every finished training and score is kept below `--out`: a run
that was interrupted goes on where it stopped, and a changed row is the only one done anew. The table is written after
every training and its scores: `table.md`, and `table.json` with all values.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from ablation_plan import (
    Training,
    make_plan,
    read_rows_file,
    require_known,
    training_config,
    world_name,
    write_json,
    write_text,
)
from ablation_processes import Failure, Processes, Progress, claimed
from ablation_report import code_version, write_table
from ablation_scoring import MARK, score_training
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('rows', type=Path, help='rows file: what is compared')
    parser.add_argument('--out', type=Path, help='folder of the results (default: work_dirs/ablations/<rows file>)')
    parser.add_argument('--data', type=Path, default=Path('data/ablation'), help='folder of the synthetic worlds')
    parser.add_argument('--jobs', type=int, default=os.cpu_count(), help='trainings at a time (default: one a core)')
    parser.add_argument('--only', nargs='+', metavar='ROW', help='do nothing for the other rows')
    parser.add_argument('--seeds', nargs='+', type=int, help='seeds, instead of those of the rows file')
    parser.add_argument('--score', nargs=2, metavar=('MODEL', 'SEED'), help=argparse.SUPPRESS)  # how it calls itself
    arguments = parser.parse_args()
    arguments.out = (arguments.out or Path('work_dirs/ablations') / arguments.rows.stem).resolve()
    arguments.data = arguments.data.resolve()
    if arguments.jobs < 1:
        parser.error(f'--jobs must be at least 1, got {arguments.jobs}')
    return arguments


def read_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Rows file and command line together."""
    settings = read_rows_file(arguments.rows)
    settings['seeds'] = list(dict.fromkeys(arguments.seeds or settings['seeds']))
    for name in arguments.only or []:
        require_known(name, [row['name'] for row in settings['rows']], '--only: row')
    return settings


def draw_worlds(settings: Mapping[str, Any], data: Path, workers: int) -> None:
    """Draw the worlds in use as tools/dataset_tools/make_synthetic.py does; what is there stays."""
    from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings, write_videos
    from mmpose_diffusion.datasets.synthetic.videopose3d import write_motions

    used = {settings['train']['world'], *(test['world'] for test in settings['tests'].values())}
    for name in [name for name in settings['worlds'] if name in used]:
        world = WorldSettings(**settings['worlds'][name])
        folder = data / world_name(settings['worlds'][name])
        for _ in tqdm(write_videos(folder, world, workers), f'world {name!r}', world.videos, unit='video', delay=2):
            pass
        write_motions(folder, world)


def write_config(training: Training, settings: Mapping[str, Any], data: Path) -> None:
    """Write the config of a training, which also `tools/train.py` alone can use."""
    config = training_config(settings, training.model, f'{data}/')
    config.randomness = {**config.get('randomness', {}), 'seed': training.seed}
    write_text(config.pretty_text, training.config)


def train(training: Training, arguments: argparse.Namespace, processes: Processes) -> str:
    """Train, or go on training, and note the result."""
    from mmpose_diffusion.engine.checkpoint_files import latest_checkpoint
    from mmpose_diffusion.engine.training_log import training_seconds

    command = [ROOT / 'tools/train.py', training.config, '--work-dir', training.folder, '--no-validate', '--resume']
    processes.run(command, training.folder / 'train.log')
    seconds = training_seconds(training.folder)
    checkpoint = latest_checkpoint(training.folder)
    if checkpoint is None:
        raise Failure(f'no checkpoint in {training.folder}: default_hooks.checkpoint has to write one')
    note = dict(checkpoint=checkpoint.name, seconds=seconds, code=code_version(), jobs=arguments.jobs)
    write_json(note, training.note)
    return f'trained {training.model!r}, seed {training.seed}: {seconds / 60:.1f} min'


def score(training: Training, arguments: argparse.Namespace, processes: Processes, progress: Progress) -> list[str]:
    """Score all wanted rows of a training in one process; returns what went wrong."""
    missing = [item for item in training.scores if item.row in progress.wanted and not item.path.exists()]
    if not missing:
        return []
    failures = []

    def read(line: str) -> None:
        if line.startswith(MARK):
            report = json.loads(line.removeprefix(MARK))
            place = f'row {report["row"]!r}, {report["test"]}, seed {training.seed}'
            if 'error' in report:
                failures.append(f'{place}: {report["error"]}')
            progress.step(f'failed: {failures[-1]}' if 'error' in report else f'scored {place}')

    command = [Path(__file__), arguments.rows, '--out', arguments.out, '--data', arguments.data]
    command += ['--only', *sorted({item.row for item in missing}), '--seeds', training.seed]
    processes.run([*command, '--score', training.model, training.seed], training.folder / 'scoring.log', read)
    return failures


def run(arguments: argparse.Namespace, settings: dict[str, Any]) -> int:
    """Do what is missing, write the table; returns the exit status."""
    wanted = set(arguments.only or [row['name'] for row in settings['rows']])
    plan = make_plan(settings, arguments.out)
    work = [training for training in plan if any(item.row in wanted for item in training.scores)]
    failures: list[str] = []
    with claimed(arguments.out) as lock:
        draw_worlds(settings, arguments.data, arguments.jobs)
        for training in work:
            if not training.note.exists():
                write_config(training, settings, arguments.data)
        processes, progress = Processes(lock), Progress(work, wanted, arguments.jobs)

        def work_on(training: Training) -> list[str]:
            stage = 'training'
            try:
                if not training.note.exists():
                    progress.step(train(training, arguments, processes))
                stage = 'scoring'
                return score(training, arguments, processes, progress)
            except Exception as error:  # whatever it is: it must not cost the other trainings
                reason = error if isinstance(error, Failure) else f'{type(error).__name__}: {error}'
                failure = f'{stage} of {training.model!r}, seed {training.seed}: {reason}'
                progress.step(f'failed: {failure}')
                return [failure]

        with ThreadPoolExecutor(arguments.jobs) as executor:
            pending = [executor.submit(work_on, training) for training in work]
            try:
                for future in as_completed(pending):
                    failures += future.result()
                    write_table(settings, plan, arguments.out, failures)
            except BaseException:
                processes.stop()
                executor.shutdown(cancel_futures=True)
                raise
            finally:
                progress.bar.close()
        problems = write_table(settings, plan, arguments.out, failures, is_final=not arguments.only)
    print(f'\n{(arguments.out / "table.md").read_text()}\n{arguments.out / "table.md"}')
    return 1 if problems else 0


def end_as_with_ctrl_c(*_: Any) -> None:
    if multiprocessing.parent_process() is None:
        raise KeyboardInterrupt
    sys.exit()  # a worker that draws a world


def main() -> None:
    arguments = parse_arguments()
    try:
        settings = read_settings(arguments)
        if arguments.score:
            model, seed = arguments.score[0], int(arguments.score[1])
            (training,) = [run for run in make_plan(settings, arguments.out) if (run.model, run.seed) == (model, seed)]
            score_training(training, set(arguments.only), settings, arguments.data, code_version())
            return
        signal.signal(signal.SIGTERM, end_as_with_ctrl_c)
        status = run(arguments, settings)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'ablation: {error}')
    except KeyboardInterrupt:
        sys.exit('\nStopped; the same command goes on from here')
    sys.exit(status)


if __name__ == '__main__':
    main()
