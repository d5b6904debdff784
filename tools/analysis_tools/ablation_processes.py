"""Several processes at a time, their progress, and a folder of which each belongs to one run of ablation.py."""

from __future__ import annotations

import fcntl
import os
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ablation_plan import Training, read_json
from tqdm import tqdm


class Failure(Exception):
    """A process that ended badly: what ended it, as far as it is known, and where its output is."""


def how_it_ended(code: int, last: str) -> str:
    """What to say about a process with this exit status, not 0, and this last line; below 0 it is a signal's number."""
    if code < 0:
        return f'killed by signal {-code}, {signal.strsignal(-code)}; its last line: {last or "none"}'
    return last or f'exit status {code}'


class Processes:
    """Runs commands, several at a time, and ends them together."""

    def __init__(self, lock: TextIO) -> None:
        self.lock = lock
        self.running: set[subprocess.Popen] = set()
        self.is_stopped = False

    def run(self, command: Sequence[Any], log: Path, read: Callable[[str], None] = lambda line: None) -> None:
        """Run a Python command with one thread; its output goes to `log` and, line by line, to `read`."""
        if self.is_stopped:
            raise Failure('stopped')
        log.parent.mkdir(parents=True, exist_ok=True)
        # Children inherit the lock: the folder stays taken while one of them lives, even if this process is killed.
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors='replace', env={**os.environ, 'OMP_NUM_THREADS': '1'}, pass_fds=[self.lock.fileno()],
        )  # fmt: skip
        self.running.add(process)
        last = ''
        with log.open('a') as file:
            for line in process.stdout:
                file.write(line)
                last = line.strip() or last
                read(line)
        code = process.wait()
        self.running.discard(process)
        if code:
            raise Failure('stopped' if self.is_stopped else f'{how_it_ended(code, last)} (all of it: {log})')

    def stop(self) -> None:
        """End all that run, and start no more."""
        self.is_stopped = True
        for process in list(self.running):
            process.terminate()


class Progress:
    """Says what is finished and about how long the rest takes; counts trainings and scores."""

    def __init__(self, plan: Sequence[Training], wanted: set[str], jobs: int) -> None:
        self.plan, self.wanted, self.jobs = plan, wanted, jobs
        self.lock = threading.Lock()
        done, total = self.done(), len(plan) + sum(score.row in wanted for run in plan for score in run.scores)
        self.bar = tqdm(total=total, initial=done, unit='', bar_format='{n_fmt} of {total_fmt} |{bar}| {desc}')

    def done(self) -> int:
        """Trainings and wanted scores that are there."""
        scores = (score.path.exists() for run in self.plan for score in run.scores if score.row in self.wanted)
        return sum(run.note.exists() for run in self.plan) + sum(scores)

    def step(self, line: str) -> None:
        """Say that something is finished, and what remains."""
        with self.lock:
            tqdm.write(line, file=sys.stdout)
            self.bar.set_description_str(self.remaining(), refresh=False)
            self.bar.update(self.done() - self.bar.n)

    def remaining(self) -> str:
        """An estimate from the mean time of what is finished."""
        trained = [read_json(run.note)['seconds'] for run in self.plan if run.note.exists()]
        scores = [score.path for run in self.plan for score in run.scores if score.row in self.wanted]
        scored = [read_json(path)['seconds'] for path in scores if path.exists()]
        left = [(trained, len(self.plan)), (scored, len(scores))]
        if any(total and not seconds for seconds, total in left):
            return ''
        rest = sum(statistics.fmean(seconds) * (total - len(seconds)) for seconds, total in left if total)
        return f'about {rest / self.jobs / 60:.0f} min to go'


@contextmanager
def claimed(folder: Path) -> Iterator[TextIO]:
    """Keep a second run out of the folder while this one, or a training it has left behind, works in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f'Another ablation.py, or a training that outlived one, works in {folder}: wait for it or end it')
        yield lock
