import pytest
import torch

from mmpose_diffusion.diffusion import (
    HypothesisNoise,
    StepEmbedding,
    fold_hypotheses,
    pair_with_hypotheses,
    seed_from,
    sinusoidal_embedding,
    unfold_hypotheses,
)


def test_folding_and_unfolding_are_inverse_and_keep_samples_together():
    values = torch.arange(24).reshape(2, 3, 4)
    folded = fold_hypotheses(values)
    assert torch.equal(folded[3], values[1, 0])
    assert torch.equal(unfold_hypotheses(folded, 3), values)
    with pytest.raises(ValueError, match='batch of 6 does not hold 4 hypotheses'):
        unfold_hypotheses(folded, 4)


def test_each_noisy_signal_meets_the_condition_of_its_own_sample_without_a_copy():
    condition = torch.tensor([[10.0], [20.0]])
    values, condition_view = pair_with_hypotheses(torch.arange(6.0)[:, None], condition)
    assert fold_hypotheses(values + condition_view)[:, 0].tolist() == [10, 11, 12, 23, 24, 25]
    assert condition_view.data_ptr() == condition.data_ptr()
    with pytest.raises(ValueError, match='5 noisy signals cannot be shared out among 2 conditions'):
        pair_with_hypotheses(torch.zeros(5, 1), condition)


def test_seeds_depend_on_every_part_and_on_nothing_else():
    assert seed_from(0, 'a.jpg', 3) == 311268935
    assert len({seed_from(*parts) for parts in [(0, 'a', 3), (1, 'a', 3), (0, 'b', 3), (0, 'a', 4), (0,)]}) == 5


def test_noise_of_a_sample_does_not_depend_on_the_batch_or_the_number_of_hypotheses():
    together = HypothesisNoise.from_seeds([3, 4], 2)
    alone = HypothesisNoise.from_seeds([4], 3)
    for _ in range(2):  # also in later draws
        assert torch.equal(together.draw((5, 2))[2:], alone.draw((5, 2))[:2])
    assert together.batch_size == 2


def test_noise_from_a_generator_repeats_with_it_and_advances_it():
    first, again = (HypothesisNoise.from_generator(torch.Generator().manual_seed(1), 2).draw((3,)) for _ in range(2))
    assert torch.equal(first, again)
    generator = torch.Generator().manual_seed(1)
    HypothesisNoise.from_generator(generator, 2)
    assert not torch.equal(HypothesisNoise.from_generator(generator, 2).draw((3,)), first)


@pytest.mark.parametrize('count', [0, -1, 1.5, True])
def test_impossible_number_of_hypotheses_is_refused(count):
    with pytest.raises(ValueError, match='num_hypotheses must be an integer of at least 1'):
        HypothesisNoise.from_seeds([0], count)


def test_step_embedding_tells_all_steps_apart():
    embedded = sinusoidal_embedding(torch.arange(1000), 32)
    assert embedded.shape == (1000, 32)
    distance = torch.cdist(embedded, embedded) + torch.eye(1000)
    assert distance.min() > 0.1
    torch.testing.assert_close(embedded[5, :16], torch.sin(5 * 10000 ** (-torch.arange(16) / 15)))
    assert StepEmbedding(32)(torch.tensor([0, 999])).shape == (2, 32)
    with pytest.raises(ValueError, match='even and at least 4'):
        StepEmbedding(7)
