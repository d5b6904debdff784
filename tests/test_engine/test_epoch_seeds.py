from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mmpose_diffusion.engine import EpochSeedHook, seed_worker_from_epoch


class Draws(torch.utils.data.Dataset):
    """Each sample is what a transform would draw."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return np.random.rand(), float(torch.rand(()))  # noqa: NPY002


def run_epochs(epochs, num_workers, seed=0, rank=0):
    """The draws of each epoch, as a fresh process would make them."""
    loader = DataLoader(Draws(), batch_size=2, num_workers=num_workers, worker_init_fn=seed_worker_from_epoch)
    draws = {}
    for epoch in epochs:
        EpochSeedHook().before_train_epoch(SimpleNamespace(seed=seed, epoch=epoch, rank=rank))
        draws[epoch] = torch.stack([torch.stack(batch) for batch in loader]).tolist()
    return draws


@pytest.mark.parametrize('num_workers', [0, 2])
def test_resumed_run_draws_what_the_uninterrupted_one_drew(num_workers):
    whole = run_epochs([0, 1, 2], num_workers)
    assert run_epochs([2], num_workers)[2] == whole[2]
    assert whole[0] != whole[1] != whole[2]


@pytest.mark.parametrize('num_workers', [0, 2])
def test_seeds_ranks_and_workers_draw_differently(num_workers):
    draws = run_epochs([0], num_workers)[0]
    assert draws != run_epochs([0], num_workers, seed=1)[0]
    assert draws != run_epochs([0], num_workers, rank=1)[0]
    numbers = np.ravel(draws)
    assert len(set(numbers)) == numbers.size
