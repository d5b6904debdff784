"""Writes the table of ablation.py from the scores that are there, with what a reader must know to judge it."""

from __future__ import annotations

import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ablation_curves import curves_of
from ablation_plan import Training, read_json, write_json, write_text
from ablation_table import markdown, metric_columns, unknown_columns


def read_records(plan: Sequence[Training]) -> dict[tuple[str, str], dict[int, dict[str, Any]]]:
    """All scores that are there: (row, test) -> seed -> record, with the seconds of the training."""
    records: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for training in plan:
        if training.note.exists():
            note = read_json(training.note)
            for item in training.scores:
                if item.path.exists():
                    record = {**read_json(item.path), 'row': item.row, 'training': note}
                    records.setdefault((item.row, item.test), {})[training.seed] = record
    return records


def write_table(
    settings: Mapping[str, Any], plan: Sequence[Training], out: Path, failures: Sequence[str], is_final: bool = False
) -> list[str]:
    """Write table.md and table.json; returns all that went wrong, in the end also columns that no row has."""
    records = read_records(plan)
    scores = [record for by_seed in records.values() for record in by_seed.values()]
    names, tests, planned = [row['name'] for row in settings['rows']], list(settings['tests']), len(settings['seeds'])
    arguments = (records, names, tests, settings['columns'], planned)
    header, cells = metric_columns(*arguments)
    costs = [cost_cells([record for record in scores if record['row'] == name]) for name in names]
    lines = [[name, *line, *cost] for name, line, cost in zip(names, cells, costs, strict=True)]
    parts = [markdown(['row', *header, 'parameters, M', 'training, min'], lines)]
    if reference := settings.get('reference'):
        header, cells = metric_columns(*arguments, reference=reference)
        lines = [[name, *line] for name, line in zip(names, cells, strict=True)]
        parts += [f'Difference to "{reference}", seed by seed:', markdown(['row', *header], lines)]
    problems = [*failures, *(unknown_columns(records, settings['columns']) if is_final else [])]
    if problems:
        parts += ['Failed:', '\n'.join(f'- {problem}' for problem in problems)]
    about = describe(settings, scores)
    parts += ['\n'.join(f'- {line}' for line in about)]
    write_text('\n\n'.join(parts) + '\n', out / 'table.md')
    if curves := settings.get('curves'):
        draw_curves(curves, records, settings, out)
    write_json(dict(columns=settings['columns'], about=about, failed=problems, scores=scores), out / 'table.json')
    return problems


def draw_curves(
    curves: Mapping[str, Any], records: Mapping[tuple[str, str], dict], settings: Mapping[str, Any], out: Path
) -> None:
    """Write curves_<test>.svg for every test world."""
    from mmpose_diffusion.visualization.plots import plot_scores

    names, key = [row['name'] for row in settings['rows']], settings['columns'][curves['column']]
    for test in settings['tests']:
        points = curves_of(records, names, test, curves['rows'], key)
        lines = {title: [(x, list(values.values())) for x, values in line] for title, line in points.items() if line}
        picture = plot_scores(lines, curves.get('xlabel', ''), curves.get('ylabel', curves['column']))
        (out / f'curves_{test}.svg').write_bytes(picture)


def cost_cells(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Parameters and training time of a row."""
    if not records:
        return ['–', '–']
    minutes = statistics.fmean(record['training']['seconds'] for record in records) / 60
    return [f'{records[0]["parameters"] / 1e6:.2f}', f'{minutes:.1f}']


def describe(settings: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader must know to judge the table or to repeat it."""
    import mmpose
    import torch

    def names(values: Iterable[Any]) -> str:
        return ', '.join(sorted({str(value) for value in values})) or 'none yet'

    def world(name: str) -> str:
        return f'{name} ({", ".join(f"{key} {value}" for key, value in settings["worlds"][name].items())})'

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    tests = '; '.join(world(name) for name in dict.fromkeys(test['world'] for test in settings['tests'].values()))
    return [
        f'Mean ± standard deviation over the seeds {", ".join(map(str, settings["seeds"]))}, (1 of 3) where two are '
        f'missing. Person boxes: {names(record["boxes"] for record in records)}.',
        f'Trained on {world(settings["train"]["world"])}; scored on {tests}.',
        f'Command: `python {shlex.join(sys.argv)}`',
        f'Machine: {os.cpu_count()} cores ({platform.machine()}), {device}; trainings at a time, which their time '
        f'depends on: {names(record["training"]["jobs"] for record in records)}.',
        f'Versions: Python {platform.python_version()}, torch {torch.__version__}, mmpose {mmpose.__version__}; '
        f'mmpose_diffusion {names(record["training"]["code"] for record in records)} (training), '
        f'{names(record["code"] for record in records)} (scoring).',
        f'Date: {datetime.now():%Y-%m-%d}.',
    ]


def code_version() -> str:
    """Version of the package and commit of the checkout."""
    from mmpose_diffusion import __version__

    describe_commit = ['git', '-C', Path(__file__).parent, 'describe', '--always', '--dirty']
    git = subprocess.run(describe_commit, capture_output=True, text=True, check=False)
    return f'{__version__} {git.stdout.strip()}'.strip()
