"""2D pose sequences in, 3D pose sequences out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import MODELS
from torch import Tensor

from .part_checks import check_test_cfg


@MODELS.register_module()
class DiffusionPoseLifter(BasePoseEstimator):
    """Lifts clips of 2D poses [B, F, J, 2] to 3D, all frames at once, by a head that does all the work.

    The heads are `DiffusionPoseHead` and, to compare with, `PoseRegressionHead`. The 2D poses are in normalised screen
    coordinates. A result's `pred_instances` are the F frames of the clip: `keypoints` [F, J, 3] in metres relative to
    the root joint.

    Args:
        head: the head.
        train_cfg: runtime options for training, handed to the head.
        test_cfg: runtime options for testing, handed to the head.
        data_preprocessor: None is MMEngine's, which stacks the clips.
        init_cfg: MMEngine's initialisation config.
        metainfo: data set meta information that overrides the batch's.
    """

    def __init__(
        self,
        head: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list | None = None,
        metainfo: dict | None = None,
    ) -> None:
        # Not MMPose's constructor: it wants a backbone.
        BaseModel.__init__(self, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.metainfo = self._load_metainfo(metainfo)
        self.train_cfg, self.test_cfg = train_cfg or {}, test_cfg or {}
        self.head = MODELS.build(head)
        check_test_cfg(self.head, self.test_cfg)

    def forward(self, inputs: Tensor, data_samples: Sequence[Any] | None = None, mode: str = 'tensor') -> Any:
        """Run clips [B, F, J, 2] in mode 'loss', 'predict' or 'tensor' (raw output of the head)."""
        if mode == 'tensor':  # MMPose would leave the samples out, and with them the actions
            return self._forward(torch.stack(inputs) if isinstance(inputs, list) else inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    def _forward(self, inputs: Tensor, data_samples: Sequence[Any] | None = None) -> Tensor:
        """2D poses [B, F, J, 2] -> what the head makes of them at once, [B, F, J, 3]."""
        return self.head(inputs, data_samples)

    def loss(self, inputs: Tensor, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Losses of 2D poses [B, F, J, 2]."""
        return self.head.loss(inputs, data_samples, train_cfg=self.train_cfg)

    def predict(self, inputs: Tensor, data_samples: Sequence[Any]) -> Sequence[Any]:
        """2D poses [B, F, J, 2] -> the data samples with `pred_instances`."""
        predictions = self.head.predict(inputs, data_samples, test_cfg=self.test_cfg)
        for sample, prediction in zip(data_samples, predictions, strict=True):
            sample.pred_instances = prediction
        return data_samples
