"""Random numbers that differ from epoch to epoch and are the same when a run is resumed.

MMEngine seeds once, at the start of a run, and gives data workers the same seed whenever they start. So a resumed run
draws other augmentations and other noise than the run it continues, and workers that start anew in every epoch repeat
the first epoch's augmentations.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch.utils.data import get_worker_info


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  MMPose's transforms draw from the global generator
    torch.manual_seed(seed)


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed every process anew before each epoch, from the run's seed, the epoch and the rank."""

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed before the data loader starts its workers."""
        sequence = np.random.SeedSequence([runner.seed or 0, runner.epoch, runner.rank])
        seed_everything(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


@FUNCTIONS.register_module()
def seed_worker_from_epoch(worker_id: int, **_: Any) -> None:
    """Seed a data worker from what torch gave it, which follows from the main process's seed of this epoch."""
    info = get_worker_info()
    seed_everything(info.seed)
