"""Estimators against the mutual information of correlated Gaussians, -d/2 * log(1 - rho^2) nats."""

import math

import pytest
import torch
from torch.distributions import Normal

from mmpose_diffusion.models.losses.mutual_information_estimators import (
    CosineCritic,
    GaussianPredictor,
    club,
    info_nce,
    pairwise_log_density,
)


def correlated_gaussians(num_pairs, channels, correlation, seed=0):
    """Pairs x, y [N, d] of unit normals with that correlation in each channel."""
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, num_pairs, channels, generator=generator)
    return x, correlation * x + math.sqrt(1 - correlation**2) * noise


def information(channels, correlation):
    return -channels / 2 * math.log(1 - correlation**2)


def true_conditional(x, correlation):
    scale = torch.full_like(x, math.sqrt(1 - correlation**2))
    return Normal(correlation * x, scale)


def averaged(estimate, channels, correlation, num_pairs=256, batches=12):
    """Mean over batches of N pairs of what an estimate makes of the true densities.

    CLUB reads log p(y_j | x_i); the best scores of InfoNCE are the log density ratio, which is that less log p(y_j).
    """
    values = []
    for seed in range(batches):
        x, y = correlated_gaussians(num_pairs, channels, correlation, seed)
        table = pairwise_log_density(true_conditional(x, correlation), y)  # [N, N]
        if estimate is info_nce:
            table = table - Normal(0.0, 1.0).log_prob(y).sum(dim=1)
        values.append(estimate(table).mean())
    return torch.stack(values).mean().item()


@pytest.mark.parametrize(('channels', 'correlation'), [(1, 0.0), (1, 0.5), (2, 0.5), (4, 0.6), (8, 0.4)])
def test_info_nce_with_the_best_scores_is_just_below_the_closed_form(channels, correlation):
    truth = information(channels, correlation)
    bound = averaged(info_nce, channels, correlation, batches=30)
    assert truth - 0.05 - 0.05 * truth < bound < truth + 0.03


def test_info_nce_is_capped_by_the_log_of_the_number_of_candidates():
    truth = information(8, 0.99)
    assert truth > 15
    for num_pairs in (4, 64):
        bound = averaged(info_nce, 8, 0.99, num_pairs, batches=5)
        assert 0.95 * math.log(num_pairs) < bound <= math.log(num_pairs) + 1e-6


def test_info_nce_grows_towards_the_truth_with_the_number_of_candidates():
    bounds = [averaged(info_nce, 4, 0.8, num_pairs, batches=20) for num_pairs in (2, 8, 64, 256)]
    assert bounds == sorted(bounds)
    assert bounds[-1] < information(4, 0.8) + 0.02


@pytest.mark.parametrize(('channels', 'correlation'), [(1, 0.0), (1, 0.3), (2, 0.5), (4, 0.6), (8, 0.9)])
def test_club_with_the_true_conditional_is_above_the_closed_form_by_what_mathematics_says(channels, correlation):
    """With q = p the expectation of CLUB is d * rho^2 / (1 - rho^2): the information and the reverse divergence."""
    expected = channels * correlation**2 / (1 - correlation**2)
    bound = averaged(club, channels, correlation)
    assert bound == pytest.approx(expected, rel=0.05, abs=0.01)
    assert bound > information(channels, correlation) - 0.01


def test_club_of_few_pairs_is_not_smaller_on_average():
    expected = 2 * 0.25 / 0.75
    assert averaged(club, 2, 0.5, num_pairs=2, batches=1500) == pytest.approx(expected, rel=0.15)


def train(module, loss, channels, correlation, steps=120, num_pairs=128):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), lr=2e-2)
    for step in range(steps):
        optimizer.zero_grad()
        loss(*correlated_gaussians(num_pairs, channels, correlation, seed=1000 + step)).backward()
        optimizer.step()


@pytest.mark.parametrize('correlation', [0.0, 0.6])
def test_predictor_learned_by_likelihood_gives_an_upper_bound(correlation):
    torch.manual_seed(0)
    predictor = GaussianPredictor(3, 3, 32)
    train(predictor, lambda x, y: -predictor(x).log_prob(y).mean(), 3, correlation)
    x, y = correlated_gaussians(2048, 3, correlation)
    with torch.no_grad():
        bound = club(pairwise_log_density(predictor(x), y)).mean().item()
    assert bound > information(3, correlation) - 0.02
    assert bound == pytest.approx(3 * correlation**2 / (1 - correlation**2), rel=0.15, abs=0.05)


@pytest.mark.parametrize('correlation', [0.0, 0.8])
def test_learned_critic_gives_a_lower_bound(correlation):
    torch.manual_seed(0)
    critic = CosineCritic(3, 3, 16, temperature=0.3)
    train(critic, lambda x, y: -info_nce(critic(x, y)).mean(), 3, correlation)
    with torch.no_grad():
        batches = (correlated_gaussians(128, 3, correlation, seed) for seed in range(10))
        bound = torch.stack([info_nce(critic(x, y)).mean() for x, y in batches]).mean().item()
    truth = information(3, correlation)
    assert bound < truth + 0.02
    assert correlation == 0 or bound > 0.6 * truth


def test_rows_choose_from_their_candidates_only():
    scores = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    candidates = torch.eye(4, dtype=torch.bool)
    candidates[0, 2] = True
    bounds = info_nce(scores, candidates)
    expected = math.log(2) + scores[0, 0] - torch.logsumexp(scores[0, [0, 2]], 0)
    torch.testing.assert_close(bounds, torch.stack([expected, *torch.zeros(3)]))
    negatives = candidates & ~torch.eye(4, dtype=torch.bool)
    torch.testing.assert_close(club(scores, negatives), torch.stack([scores[0, 0] - scores[0, 2], *torch.zeros(3)]))


@pytest.mark.parametrize('estimate', [info_nce, club])
def test_one_pair_has_information_zero_and_gradient_zero(estimate):
    scores = torch.tensor([[3.0]], requires_grad=True)
    value = estimate(scores).sum()
    value.backward()
    assert value == 0
    assert scores.grad == 0


def test_leading_axes_are_separate_problems():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 3, 5, 4, generator=generator)
    predictor, critic = GaussianPredictor(4, 4, 8), CosineCritic(4, 4, 8, temperature=0.1)
    with torch.no_grad():
        for estimate in (lambda x, y: club(pairwise_log_density(predictor(x), y)), lambda x, y: info_nce(critic(x, y))):
            torch.testing.assert_close(
                estimate(x, y), torch.stack([estimate(*pair) for pair in zip(x, y, strict=True)])
            )


def test_frozen_predictor_lets_gradients_through_to_its_input_only():
    predictor = GaussianPredictor(4, 3, 8)
    x, y = torch.randn(5, 4, requires_grad=True), torch.randn(5, 3)
    frozen = predictor.frozen(x).log_prob(y)
    torch.testing.assert_close(frozen, predictor(x).log_prob(y))
    frozen.sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in predictor.parameters())
