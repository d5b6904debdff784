"""Labels of any codec as one thing: where each key point lies, a distribution over the cells of a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...structures import describe_sample


def label_distributions(data_samples: Sequence[Any], size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Distributions [B, K, h, w] over the cells of a map of `size` (h, w), and the key points' weights [B, K].

    Heatmaps are pooled to the map's size and normalised. Labels of SimCC are distributions over columns and over rows:
    they are pooled to w and h, and their product is taken, since the smoothing is independent in x and y. The sums are
    exact where the size divides the label's; otherwise a cell borrows from what overlaps its neighbours. A key point
    without any label has weight 0.
    """
    weights = _stacked(data_samples, 'keypoint_weights').clamp(min=0)  # [B, K]
    height, width = size
    if all('heatmaps' in sample.get('gt_fields', ()) for sample in data_samples):
        heatmaps = torch.stack([sample.gt_fields.heatmaps for sample in data_samples]).float()  # [B, K, h', w']
        masses = F.adaptive_avg_pool2d(heatmaps.clamp(min=0), (height, width))
    else:
        rows = F.adaptive_avg_pool1d(_stacked(data_samples, 'keypoint_y_labels').clamp(min=0), height)
        columns = F.adaptive_avg_pool1d(_stacked(data_samples, 'keypoint_x_labels').clamp(min=0), width)
        masses = rows[..., :, None] * columns[..., None, :]  # [B, K, h, w]
    totals = masses.sum(dim=(2, 3), keepdim=True)
    if weights.shape != masses.shape[:2]:
        raise ValueError(
            f'labels have {masses.shape[1]} maps, but keypoint_weights are {list(weights.shape)} (people, key points): '
            'a distribution over places needs one map for each key point (UDPHeatmap: heatmap_type="gaussian")'
        )
    return masses / totals.clamp(min=torch.finfo(masses.dtype).tiny), weights * (totals.flatten(1) > 0)


def _stacked(data_samples: Sequence[Any], name: str) -> Tensor:
    """Label `name` [1, K, ...] of each sample, stacked: [B, K, ...]."""
    for position, sample in enumerate(data_samples):
        labels = sample.get('gt_instance_labels', {})
        if name not in labels:
            raise ValueError(
                f'{describe_sample(sample.metainfo, position)} has no label {name}: a distribution over places needs '
                'keypoint_weights and either heatmaps or keypoint_x_labels and keypoint_y_labels. Use GenerateTarget '
                f'with a heatmap or SimCC codec; there are {sorted(labels.keys())}'
            )
    return torch.cat([sample.gt_instance_labels.get(name) for sample in data_samples]).float()
