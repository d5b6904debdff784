"""Bounds of the mutual information of two random vectors, from paired samples of them; all in nats.

Axes: N pairs (x_i, y_i), of D1 and D2 numbers; any axes before them are separate problems. Row i of a table [N, N]
looks from x_i at every y_j. What each bound promises, and how far off it is, is in docs/mutual_information.md.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal


def info_nce(scores: Tensor, candidates: Tensor | None = None) -> Tensor:
    """InfoNCE, a lower bound: how surely x_i picks its own partner y_i out of its candidates.

    `Representation Learning with Contrastive Predictive Coding` (2018). The mean over the rows is a lower bound
    whatever the scores are, best where they are the log density ratio, and never above the log of the number of
    candidates.

    Args:
        scores: how well x_i and y_j fit, [..., N, N].
        candidates: what row i chooses from, [..., N, N] bool with True on the diagonal. None: from all N.

    Returns:
        Contribution of each row, [..., N]; exactly 0 where a row has no candidate but its partner.
    """
    if candidates is None:
        candidates = torch.ones_like(scores, dtype=torch.bool)
    scores = scores.masked_fill(~candidates, float('-inf'))
    chosen = scores.diagonal(dim1=-2, dim2=-1) - scores.logsumexp(dim=-1)
    return chosen + candidates.sum(dim=-1).log()


def club(log_densities: Tensor, negatives: Tensor | None = None) -> Tensor:
    """CLUB, an upper bound: how much likelier y_i is under q(y | x_i) than the partners of others are.

    `CLUB: A Contrastive Log-ratio Upper Bound of Mutual Information` (ICML 2020). The mean over the rows is an upper
    bound where q is the true conditional density. Unlike the paper's, the partners of others do not include y_i, which
    would scale the estimate by 1 - 1/N: by half for two people.

    Args:
        log_densities: log q(y_j | x_i), [..., N, N].
        negatives: which y_j are the partners of others, [..., N, N] bool. None: all off the diagonal.

    Returns:
        Contribution of each row, [..., N]; exactly 0 where a row has no negative.
    """
    if negatives is None:
        size = log_densities.shape[-1]
        negatives = ~torch.eye(size, dtype=torch.bool, device=log_densities.device)
    negatives = negatives.to(log_densities.dtype)
    counts = negatives.sum(dim=-1)
    of_others = (negatives * log_densities).sum(dim=-1) / counts.clamp(min=1)
    return (log_densities.diagonal(dim1=-2, dim2=-1) - of_others) * (counts > 0)


class CosineCritic(nn.Module):
    """Scores for `info_nce`: cosine of the angle between linear projections of x and y, over a temperature.

    Args:
        x_channels: D1.
        y_channels: D2.
        width: channels of the projections.
        temperature: scores lie within -1 / temperature and 1 / temperature; the lower, the harder the choice.
    """

    def __init__(self, x_channels: int, y_channels: int, width: int, temperature: float) -> None:
        super().__init__()
        self.project_x = nn.Linear(x_channels, width)
        self.project_y = nn.Linear(y_channels, width)
        self.temperature = temperature

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x [..., N, D1], y [..., N, D2] -> scores [..., N, N]."""
        x, y = F.normalize(self.project_x(x), dim=-1), F.normalize(self.project_y(y), dim=-1)
        return x @ y.transpose(-2, -1) / self.temperature


class GaussianPredictor(nn.Module):
    """q(y | x) for `club`: independent normal distributions, mean and variance from a small MLP.

    Args:
        x_channels: D1.
        y_channels: D2.
        width: hidden channels of the MLP.
        max_log_variance: log variances stay within plus and minus this, so that no density explodes.
    """

    def __init__(self, x_channels: int, y_channels: int, width: int, max_log_variance: float = 8.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(x_channels, width), nn.ReLU(), nn.Linear(width, 2 * y_channels))
        self.max_log_variance = max_log_variance

    def forward(self, x: Tensor) -> Normal:
        """x [..., D1] -> distributions of the D2 numbers of y."""
        mean, log_variance = self.layers(x).chunk(2, dim=-1)
        log_variance = self.max_log_variance * torch.tanh(log_variance / self.max_log_variance)
        return Normal(mean, (log_variance / 2).exp(), validate_args=False)

    def frozen(self, x: Tensor) -> Normal:
        """As `forward`, but gradients reach x and none of the parameters."""
        constants = {name: weight.detach() for name, weight in self.named_parameters()}
        return torch.func.functional_call(self, constants, (x,))


def pairwise_log_density(distribution: Normal, y: Tensor) -> Tensor:
    """Table [..., N, N] of log q(y_j | x_i), of distributions [..., N, D2] and samples y [..., N, D2]."""
    distribution = Normal(distribution.loc.unsqueeze(-2), distribution.scale.unsqueeze(-2), validate_args=False)
    return distribution.log_prob(y.unsqueeze(-3)).sum(dim=-1)
