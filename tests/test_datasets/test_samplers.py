from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler

from mmpose_diffusion.datasets.samplers import ContiguousBatchSampler, ContiguousSampler

counts = st.integers(0, 60)


def rank_sampler(monkeypatch, length, rank, world_size):
    monkeypatch.setattr('mmpose_diffusion.datasets.samplers.get_dist_info', lambda: (rank, world_size))
    return ContiguousSampler(range(length))


@pytest.mark.parametrize(('length', 'world_size'), [(12, 3), (10, 4), (9, 4), (7, 1), (2, 4), (0, 2)])
def test_gathered_results_are_each_sample_once_after_mmengine_drops_the_surplus(monkeypatch, length, world_size):
    parts = [list(rank_sampler(monkeypatch, length, rank, world_size)) for rank in range(world_size)]
    assert len({len(part) for part in parts}) == 1
    assert len(parts[0]) == len(rank_sampler(monkeypatch, length, 0, world_size))
    gathered = list(chain.from_iterable(zip(*parts, strict=True)))[:length]
    assert sorted(gathered) == list(range(length))


def test_each_process_evaluates_one_contiguous_part(monkeypatch):
    parts = [list(rank_sampler(monkeypatch, 10, rank, 3)) for rank in range(3)]
    assert parts == [[0, 1, 2, 3], [4, 5, 6, 6], [7, 8, 9, 9]]


@given(counts, st.integers(1, 7), st.integers(0, 5))
def test_batches_cover_all_samples_once(length, batch_size, num_workers):
    batches = list(ContiguousBatchSampler(range(length), batch_size, num_workers))
    assert sorted(chain.from_iterable(batches)) == list(range(length))
    assert all(0 < len(batch) <= batch_size for batch in batches)
    assert len(batches) == len(ContiguousBatchSampler(range(length), batch_size, num_workers))


@given(counts, st.integers(1, 7), st.integers(1, 5))
def test_each_worker_sees_its_samples_in_order_and_without_holes(length, batch_size, num_workers):
    batches = list(ContiguousBatchSampler(range(length), batch_size, num_workers))
    for worker in range(num_workers):
        own = list(chain.from_iterable(batches[worker::num_workers]))  # how a DataLoader hands batches out
        assert own == list(range(own[0], own[0] + len(own))) if own else True


@given(counts, st.integers(1, 7), st.integers(1, 5))
def test_drop_last_leaves_out_only_the_batch_that_is_not_full(length, batch_size, num_workers):
    sampler = ContiguousBatchSampler(range(length), batch_size, num_workers, drop_last=True)
    batches = list(sampler)
    assert all(len(batch) == batch_size for batch in batches)
    assert len(batches) == len(sampler) == length // batch_size


@example(101, 2, 10, 4, True)
@given(counts, st.integers(1, 5), st.integers(1, 7), st.integers(0, 5), st.sampled_from([True, False]))
def test_distributed_results_are_each_sample_once_in_whatever_batches(
    length, world_size, batch_size, num_workers, contiguous
):
    ranks = []
    for rank in range(world_size):
        with pytest.MonkeyPatch.context() as patch:
            sampler = rank_sampler(patch, length, rank, world_size)
            if not contiguous and length:
                patch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, world_size))
                sampler = DefaultSampler(range(length), shuffle=False, seed=0)
        ranks.append(list(chain.from_iterable(ContiguousBatchSampler(sampler, batch_size, num_workers))))
    gathered = list(chain.from_iterable(zip(*ranks, strict=True)))[:length]  # as mmengine.dist.collect_results does
    assert sorted(gathered) == list(range(length))


def test_impossible_batch_size_is_refused():
    with pytest.raises(ValueError, match='batch_size >= 1'):
        ContiguousBatchSampler(range(3), 0)
