"""Many hypotheses in, one answer out: without looking at the ground truth."""

from __future__ import annotations

from mmpose.registry import MODELS
from torch import Tensor, nn


class HypothesisAggregator(nn.Module):
    """Base of the aggregators, and how a head tells what to hand over.

    Attributes:
        merges: 'heatmaps', called with heatmaps [B, H, K, h, w] -> [B, K, h, w]; or 'coordinates', called with
            coordinates [B, H, ..., D] and scores [B, H, ...] -> the same two without H.
    """

    merges = 'coordinates'


@MODELS.register_module()
class MeanHeatmap(HypothesisAggregator):
    """Average the heatmaps and decode once. Where hypotheses disagree the peak gets low, and so does the score."""

    merges = 'heatmaps'

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Heatmaps [B, H, K, h, w] -> [B, K, h, w]."""
        return heatmaps.mean(dim=1)


@MODELS.register_module()
class MeanCoordinates(HypothesisAggregator):
    """Average the coordinates: best for the squared error, drawn away by single far hypotheses."""

    def forward(self, coordinates: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates [B, H, ..., D], scores [B, H, ...] -> [B, ..., D], [B, ...]."""
        return coordinates.mean(dim=1), scores.mean(dim=1)


@MODELS.register_module()
class MedianCoordinates(HypothesisAggregator):
    """Median of each coordinate over the hypotheses; of an even number, the middle between the two inner ones."""

    def forward(self, coordinates: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates [B, H, ..., D], scores [B, H, ...] -> [B, ..., D], [B, ...]."""
        ordered = coordinates.sort(dim=1).values
        last = coordinates.shape[1] - 1
        return (ordered[:, last // 2] + ordered[:, (last + 1) // 2]) / 2, scores.mean(dim=1)


@MODELS.register_module()
class BestAgreement(HypothesisAggregator):
    """For each keypoint the hypothesis that lies nearest to all others on average: never between two modes."""

    def forward(self, coordinates: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates [B, H, ..., D], scores [B, H, ...] -> [B, ..., D], [B, ...]."""
        distances = (coordinates[:, :, None] - coordinates[:, None]).norm(dim=-1)  # [B, H, H, ...]
        best = distances.mean(dim=2).argmin(dim=1, keepdim=True)  # [B, 1, ...]
        chosen = coordinates.take_along_dim(best[..., None], dim=1)
        return chosen.squeeze(1), scores.take_along_dim(best, dim=1).squeeze(1)
