"""A stock head that supervises the features of a clip while training, and is not asked afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import ClipFeatures

MAPS = ('fused', 'key')


@MODELS.register_module()
class AuxiliaryHead(BaseModule):
    """Deep supervision: the loss of another head on the clip's features, beside that of the model's own head.

    Meant for heads whose own loss teaches the features slowly. A diffusion head's is one: where little noise was drawn,
    the noisy heatmaps give the answer away and the features have nothing to learn. Prediction does not change.

    Args:
        head: any stock head; needs no decoder. The codec's targets must suit it as well as the model's own head.
        reads: the map it sees: 'fused' (behind the temporal neck) or 'key' (the key frame's, before it).
        weight: factor of its losses.
        prefix: put before the names of its terms, so that they do not collide with those of the model's head.
    """

    def __init__(self, head: dict, reads: str = 'fused', weight: float = 1.0, prefix: str = 'auxiliary_') -> None:
        super().__init__()
        if reads not in MAPS:
            raise ValueError(f'AuxiliaryHead reads one of {", ".join(MAPS)}, got {reads!r}')
        self.head, self.reads, self.weight, self.prefix = MODELS.build(head), reads, weight, prefix

    def forward(self, features: ClipFeatures, batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Named losses of the head on one map of the clips."""
        losses = self.head.loss((getattr(features, self.reads),), batch_data_samples, train_cfg={'compute_acc': False})
        return {self.prefix + name: value * self.weight for name, value in losses.items() if 'loss' in name}
