"""Orders of evaluation that let each worker walk through its own stretch of video and decode every frame once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from typing import Any

from mmengine.dist import get_dist_info
from mmpose.registry import DATA_SAMPLERS
from torch.utils.data import Sampler


def split_evenly(length: int, parts: int) -> list[range]:
    """Cut range(length) into contiguous parts whose lengths differ by at most one, longer ones first."""
    quotient, remainder = divmod(length, parts)
    starts = [part * quotient + min(part, remainder) for part in range(parts + 1)]
    return [range(start, stop) for start, stop in zip(starts[:-1], starts[1:], strict=True)]


@DATA_SAMPLERS.register_module()
class ContiguousSampler(Sampler):
    """Evaluation in the order of the data set, each process taking one contiguous part of it.

    MMEngine's DefaultSampler deals samples out to the processes like cards, so that every process decodes every frame.
    Here the parts differ by at most one sample; a shorter one repeats its own last sample, which MMEngine drops when it
    gathers the results (it interleaves them and cuts the surplus off the end).

    Args:
        dataset: the data set to evaluate.
        seed: not used; MMEngine hands it to every sampler.
    """

    def __init__(self, dataset: Sized, seed: int | None = None) -> None:
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self.num_samples = math.ceil(len(dataset) / self.world_size)

    def __iter__(self) -> Iterator[int]:
        part = split_evenly(len(self.dataset), self.world_size)[self.rank]
        yield from part
        if 0 < len(self.dataset) and len(part) < self.num_samples:
            yield part[-1] if len(part) else len(self.dataset) - 1

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the order is the same in every epoch."""


@DATA_SAMPLERS.register_module()
class ContiguousBatchSampler(Sampler):
    """Batches in an order that gives every worker of a DataLoader one contiguous part of the samples.

    A DataLoader hands batch i to worker i modulo `num_workers`. Here batch i is the next batch of that worker's own
    part, so that a worker meets neighbouring frames one after the other and its frame cache works as in a single
    process. The batches of the parts come out interleaved, the last batch of the sampler last: MMEngine cuts what a
    distributed sampler repeated off the end of the results.

    Args:
        sampler: the indices of this process, in the order of the data set.
        batch_size: samples in a batch.
        num_workers: the `num_workers` of the DataLoader. Another value gives the same samples, but more decoding.
        drop_last: leave out a last batch that is not full.
    """

    def __init__(self, sampler: Any, batch_size: int, num_workers: int = 1, drop_last: bool = False) -> None:
        if batch_size < 1 or num_workers < 0:
            raise ValueError(
                f'ContiguousBatchSampler needs batch_size >= 1 and num_workers >= 0, got {batch_size} and {num_workers}'
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.num_workers = max(num_workers, 1)
        self.drop_last = drop_last

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        indices = list(self.sampler)
        batches = [indices[start : start + self.batch_size] for start in range(0, len(indices), self.batch_size)]
        batches = batches[: len(self)]
        parts = split_evenly(len(self), self.num_workers)  # counted from the end, so that the last batch stays last
        for turn in reversed(range(len(self))):
            worker, position = turn % self.num_workers, turn // self.num_workers
            yield batches[-1 - parts[worker][position]]
