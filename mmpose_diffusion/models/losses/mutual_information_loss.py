"""Supervision of what a temporal neck takes from the support frames, by mutual information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...structures import ClipFeatures
from .label_distributions import label_distributions
from .mutual_information_estimators import CosineCritic, GaussianPredictor, club, info_nce, pairwise_log_density

# What each term does. Those of the second kind need what only an aligning neck gives, the aligned support maps.
TERMS = {
    'label_fused': 'the fused map tells where the key points are',
    'label_added': 'the enhanced map tells what the key frame leaves open',
    'keep_key': 'the fused map still holds what the key frame showed',
    'keep_support': 'the enhanced map still holds what the support frames showed',
}
ALIGNED_TERMS = {
    'label_aligned': 'each aligned support map tells where the key points are',
    'redundancy': 'each aligned support map does not repeat the key frame',
}


@MODELS.register_module()
class MutualInformationLoss(BaseModule):
    """The mutual information loss of FAMI-Pose, in terms that can be switched on one by one.

    `Temporal Feature Alignment and Mutual Information Maximization for Video-Based Human Pose Estimation` (CVPR 2022)
    wants the enhanced support features to add what the key frame does not tell about the labels, and to lose nothing on
    the way. docs/mutual_information.md derives the terms and says what each one bounds, and where the paper's sum of
    terms is only a surrogate. Here:

    * `label_fused`, `label_aligned`, `label_added`: Kullback-Leibler divergence of the labels' places from those that a
      1x1 convolution predicts; of `label_added` it reads the key frame's map (which gets no gradient) beside the
      enhanced one.
    * `keep_key`, `keep_support`: InfoNCE between the fused map and the key frame's, between the enhanced map and each
      support frame's. Both are maximised; what is to be kept gets no gradient.
    * `redundancy`: CLUB between each aligned support map and the key frame's, minimised while it is positive. Its
      q(key | aligned) learns from `loss_mi_redundancy_likelihood` alone, which reaches no features.

    Feature terms compare the mean over the cells of each map: people stand elsewhere in a support frame, so vectors of
    one cell would not be of one thing, and people, unlike cells, are independent samples. Negatives are the other
    people of the batch on this process; clips of one person in one video are no negatives of each other. In a batch
    without negatives, of one person say, these terms are 0.

    Args:
        in_channels: channels of the per-frame maps, and of aligned ones.
        num_keypoints: number of key points K.
        weights: weight of each term. Absent or 0: the term does not exist.
        fused_channels: channels of the fused map. None: `in_channels`.
        enhanced: what carries the supports' information: 'aligned', the aligned support maps, or 'fused', the fused
            map, for temporal necks that do not align.
        temperature: of the scores of InfoNCE.
        width: channels of InfoNCE's projections, and hidden channels of q in CLUB.
        likelihood_weight: factor of q's own loss. Adam does not feel it; it keeps q's gradients, which have nothing to
            do with the pose, from using up what `clip_grad` allows the model.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        num_keypoints: int,
        weights: Mapping[str, float],
        fused_channels: int | None = None,
        enhanced: str = 'aligned',
        temperature: float = 0.1,
        width: int = 128,
        likelihood_weight: float = 1e-3,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        fused_channels = in_channels if fused_channels is None else fused_channels
        for name, value in (
            ('in_channels', in_channels),
            ('num_keypoints', num_keypoints),
            ('fused_channels', fused_channels),
            ('width', width),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f'MutualInformationLoss: {name} must be a positive integer, got {value!r}')
        for name, value in (('temperature', temperature), ('likelihood_weight', likelihood_weight)):
            if not is_number(value) or not value > 0:
                raise ValueError(f'MutualInformationLoss: {name} must be a number above 0, got {value!r}')
        self.channels = dict(in_channels=in_channels, fused_channels=fused_channels)
        self.weights = checked_weights(weights, enhanced)
        self.enhanced = enhanced
        self.num_keypoints = num_keypoints
        self.likelihood_weight = likelihood_weight
        enhanced_channels = in_channels if enhanced == 'aligned' else fused_channels
        builders = dict(
            label_fused=lambda: nn.Conv2d(fused_channels, num_keypoints, 1),
            label_aligned=lambda: nn.Conv2d(in_channels, num_keypoints, 1),
            label_added=lambda: nn.Conv2d(in_channels + enhanced_channels, num_keypoints, 1),
            keep_key=lambda: CosineCritic(fused_channels, in_channels, width, temperature),
            keep_support=lambda: CosineCritic(enhanced_channels, in_channels, width, temperature),
            redundancy=lambda: GaussianPredictor(in_channels, in_channels, width),
        )
        self.estimators = nn.ModuleDict({term: builders[term]() for term in self.weights})

    def forward(self, features: ClipFeatures, batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Terms of the loss for a batch of clips, by name; in single precision whatever the model runs in."""
        with torch.autocast(features.fused.device.type, enabled=False):
            return self._terms(features, batch_data_samples)

    def _terms(self, features: ClipFeatures, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        # What is compared with gets no gradient: the neck shall keep it, not the backbone make it easy to keep.
        key, supports = features.key.detach().float(), features.supports.detach().float()
        fused = features.fused.float()[:, None]  # [B, 1, C', h, w]
        everyone = torch.ones(len(fused), 1, dtype=torch.bool, device=fused.device)  # [B, 1]
        is_real = features.window.support_is_real.to(fused.device)  # [B, S]
        if self.enhanced == 'aligned':
            enhanced, exists = self._aligned(features).float(), is_real  # [B, S, C, h, w]
        else:
            enhanced, exists = fused, everyone
        self._check_channels(in_channels=key, fused_channels=fused)
        different = different_people(data_samples).to(fused.device)  # [B, B]

        losses = {}
        for term, weight in self.weights.items():
            estimator = self.estimators[term]
            if term == 'label_fused':
                loss = self._label_loss(estimator, fused, everyone, data_samples)
            elif term == 'label_aligned':
                loss = self._label_loss(estimator, enhanced, exists, data_samples)
            elif term == 'label_added':
                loss = self._label_loss(estimator, beside(key, enhanced), exists, data_samples)
            elif term == 'keep_key':
                loss = keep_loss(estimator, pooled(fused), pooled(key[:, None]), everyone, different)
            elif term == 'keep_support':
                loss = keep_loss(estimator, pooled(enhanced), pooled(supports), is_real, different)
            else:
                loss, likelihood = redundancy_losses(
                    estimator, pooled(enhanced), pooled(key[:, None]), exists, different
                )
                losses[f'loss_mi_{term}_likelihood'] = self.likelihood_weight * likelihood
            losses[f'loss_mi_{term}'] = weight * loss
        return losses

    def _aligned(self, features: ClipFeatures) -> Tensor:
        """Aligned support maps [B, S, C, h, w]; those of a clip of one frame are none, whoever made its features."""
        if features.aligned is not None:
            return features.aligned
        if features.window.num_frames == 1:
            return features.supports
        raise ValueError(
            "MutualInformationLoss with enhanced='aligned' needs aligned support maps, and this temporal neck gives "
            "none (ClipFeatures.aligned is None): take a neck that aligns, or set enhanced='fused' and the weights of "
            f'{" and ".join(ALIGNED_TERMS)} to 0'
        )

    def _check_channels(self, **maps: Tensor) -> None:
        """Refuse maps [..., C, h, w] with other channels than the option of that name says."""
        for name, tensor in maps.items():
            if tensor.shape[-3] != self.channels[name]:
                raise ValueError(
                    f'MutualInformationLoss has {name}={self.channels[name]}, but those maps have '
                    f'{tensor.shape[-3]} channels: set {name}={tensor.shape[-3]}'
                )

    def _label_loss(self, predictor: nn.Module, maps: Tensor, exists: Tensor, data_samples: Sequence[Any]) -> Tensor:
        """Mean over visible key points of KL(labels || q(y | maps)), for S maps [B, S, C, h, w] of each person."""
        labels, weights = label_distributions(data_samples, maps.shape[-2:])  # [B, K, h, w], [B, K]
        if labels.shape[1] != self.num_keypoints:
            raise ValueError(
                f'MutualInformationLoss has num_keypoints={self.num_keypoints}, the labels have {labels.shape[1]}'
            )
        logits = predictor(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])  # [B, S, K, h, w]
        log_probabilities = logits.flatten(3).log_softmax(dim=3)
        labels = labels.flatten(2)[:, None].expand_as(log_probabilities)
        divergence = F.kl_div(log_probabilities, labels, reduction='none').sum(dim=3)  # [B, S, K]
        return weighted_mean(divergence, weights[:, None] * exists[:, :, None])


def is_number(value: Any) -> bool:
    """Whether an option is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def checked_weights(weights: Mapping[str, float], enhanced: str) -> dict[str, float]:
    """The weights that are not 0, of terms that exist."""
    if enhanced not in ('aligned', 'fused'):
        raise ValueError(f"MutualInformationLoss: enhanced must be 'aligned' or 'fused', got {enhanced!r}")
    unknown = sorted(set(weights) - {*TERMS, *ALIGNED_TERMS})
    if unknown:
        known = ', '.join([*TERMS, *ALIGNED_TERMS])
        raise ValueError(f'MutualInformationLoss: unknown terms {unknown} in weights; there are {known}')
    wrong = {term: value for term, value in weights.items() if not is_number(value) or not 0 <= value < float('inf')}
    if wrong:
        raise ValueError(f'MutualInformationLoss: weights must be numbers of 0 or above, got {wrong}')
    weights = {term: weight for term, weight in weights.items() if weight}
    if not weights:
        raise ValueError('MutualInformationLoss: all weights are 0; for no such loss leave it out of aux_losses')
    if enhanced == 'fused' and set(weights) & set(ALIGNED_TERMS):
        raise ValueError(
            f"MutualInformationLoss: {sorted(set(weights) & set(ALIGNED_TERMS))} need enhanced='aligned'. With "
            "enhanced='fused' label_aligned would be label_fused, and redundancy cancels: set their weights to 0"
        )
    return weights


def different_people(data_samples: Sequence[Any]) -> Tensor:
    """Table [B, B] bool of samples that show different people, as far as video and track id tell.

    Samples that do not say both count as different from all others.
    """
    people = []
    for position, sample in enumerate(data_samples):
        person = (sample.metainfo.get('video'), sample.metainfo.get('track_id'))
        people.append(position if None in person else person)
    return torch.tensor([[one != other for other in people] for one in people])


def pooled(maps: Tensor) -> Tensor:
    """Mean over the cells of S maps [B, S, C, h, w], sorted by map: [S, B, C], each a problem of B samples."""
    return maps.mean(dim=(3, 4)).transpose(0, 1)


def beside(key: Tensor, enhanced: Tensor) -> Tensor:
    """The key frame's map [B, C, h, w] before the channels of each enhanced map [B, S, C', h, w]."""
    if key.shape[-2:] != enhanced.shape[-2:]:
        raise ValueError(
            f'label_added sees the maps of the key frame, {list(key.shape[-2:])}, and the enhanced ones, '
            f'{list(enhanced.shape[-2:])}, cell by cell: they must have one size'
        )
    return torch.cat((key[:, None].expand(-1, enhanced.shape[1], -1, -1, -1), enhanced), dim=2)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of values by weights of the same shape or one that expands to it; 0 where all weights are."""
    weights = weights.to(values.dtype).expand_as(values)
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, 1)


def keep_loss(critic: nn.Module, x: Tensor, y: Tensor, is_real: Tensor, different: Tensor) -> Tensor:
    """Minus InfoNCE up to a constant, for x [S or 1, B, D1] and y [S, B, D2] of which `is_real` [B, S] exist.

    The log of the number of candidates, which no gradient feels, is left out: the loss is then 0 at best.
    """
    exists = is_real.T  # [S, B]
    negatives = different & exists[:, None]  # [S, B, B]
    candidates = negatives | torch.eye(len(different), dtype=torch.bool, device=different.device)
    bound = info_nce(critic(x.expand(len(y), -1, -1), y), candidates)  # [S, B]
    counts = candidates.sum(dim=2)
    return weighted_mean(counts.log() - bound, exists & (counts > 1))


def redundancy_losses(
    predictor: GaussianPredictor, x: Tensor, y: Tensor, is_real: Tensor, different: Tensor
) -> tuple[Tensor, Tensor]:
    """CLUB where it is positive, and minus the log likelihood of q per channel, for x [S, B, D1] and y [1, B, D2].

    CLUB without a floor could fall for ever: features would lead a fixed q to predict the opposite. Information is
    never negative, so the floor keeps it an upper bound.
    """
    exists, y = is_real.T, y.expand(len(x), -1, -1)  # [S, B], [S, B, D2]
    negatives = different & exists[:, None]  # [S, B, B]
    bound = club(pairwise_log_density(predictor.frozen(x), y), negatives)  # [S, B]
    likelihood = predictor(x.detach()).log_prob(y).mean(dim=2)  # [S, B]
    return weighted_mean(bound, exists & negatives.any(dim=2)).clamp(min=0), -weighted_mean(likelihood, exists)
