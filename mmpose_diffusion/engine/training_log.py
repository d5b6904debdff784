"""What MMEngine's logger leaves of a training, also of one that was interrupted and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_log(work_dir: str | Path) -> list[dict[str, Any]]:
    """All that was logged in a work folder, trainings and validations, run after run."""
    logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))  # one for each run, named by its time
    return [json.loads(line) for log in logs for line in log.read_text().splitlines()]


def training_entries(work_dir: str | Path) -> dict[int, dict[str, Any]]:
    """Logged iteration -> what its line says, in order; of iterations that were done again the later line counts.

    Validations log their time under a `step` too, which is an epoch: what has no loss is no line of a training.
    """
    entries = {entry['iter']: entry for entry in read_log(work_dir) if 'loss' in entry}
    return dict(sorted(entries.items()))


def training_seconds(work_dir: str | Path) -> float:
    """Time of all iterations up to the last logged one; each line's time stands for those since the one before.

    That is all of them where the logger does not leave out the end of an epoch (`ignore_last=False`).
    """
    seconds, before = 0.0, 0
    for iteration, entry in training_entries(work_dir).items():
        seconds += entry['time'] * (iteration - before)
        before = iteration
    return seconds
