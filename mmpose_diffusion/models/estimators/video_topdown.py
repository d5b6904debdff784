"""Any MMPose top-down model, made to look at clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import ModuleList
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import ClipFeatures, FrameWindow
from .part_checks import (
    check_clip_features,
    check_gradient_frames,
    check_head,
    check_parts,
    check_test_cfg,
    choose_map,
    merge_losses,
)


@MODELS.register_module()
class VideoTopdownPoseEstimator(TopdownPoseEstimator):
    """Top-down pose estimator for clips: image backbone per frame, temporal neck, any head that reads one map.

    Clips [B, T, 3, H, W] are folded into the batch [B*T, 3, H, W] for backbone and neck, which therefore are those of
    an image model and load its checkpoints unchanged (keys `backbone.*`, `neck.*`, `head.*`). Their maps are unfolded
    to [B, T, C, h, w]; the temporal neck fuses them into `ClipFeatures`, whose last item stock heads read.

    Args:
        backbone: any MMPose image backbone.
        head: HeatmapHead, SimCCHead, RTMCCHead, IntegralRegressionHead, or a head of another package.
        neck: optional per-frame neck (`FeatureMapProcessor`, `FPN`, ...).
        temporal_neck: a `TemporalNeck`. None means `KeyFrameNeck`: no fusion.
        feature_index: which map to take where backbone and neck give several. None means there must be just one.
        gradient_frames: the frames whose passes through backbone and neck teach these two in training: 'all', or 'key'
            for the key frame alone. A neighbour then costs backbone and neck a forward pass only, whose memory is freed
            at once; batch normalisation sees key frames and neighbours as two batches.
        aux_losses: modules called with (features, batch_data_samples) in training. They return named losses, which are
            added to the head's under their own names.
        train_cfg: runtime options for training, handed to the head.
        test_cfg: runtime options for testing (`flip_test`, ...).
        data_preprocessor: normally `VideoPoseDataPreprocessor`.
        init_cfg: MMEngine's initialisation config.
        metainfo: data set meta information that overrides the batch's.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        neck: dict | None = None,
        temporal_neck: dict | None = None,
        feature_index: int | None = None,
        gradient_frames: str = 'all',
        aux_losses: Sequence[dict] | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list | None = None,
        metainfo: dict | None = None,
    ) -> None:
        if isinstance(data_preprocessor, dict):  # MMEngine would look for it in its own registry, without a scope
            data_preprocessor = MODELS.build(data_preprocessor)
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
            metainfo=metainfo,
        )
        check_head(self.head)
        if temporal_neck is None:
            temporal_neck = dict(type='KeyFrameNeck', in_channels=getattr(self.head, 'in_channels', None))
        self.temporal_neck = MODELS.build(temporal_neck)
        self.feature_index = feature_index
        # MMEngine's ModuleList, because torch's is skipped by init_weights.
        self.aux_losses = ModuleList([MODELS.build(loss) for loss in aux_losses or ()])
        self.gradient_frames = check_gradient_frames(gradient_frames, self.aux_losses)
        check_parts(getattr(self, 'neck', None), self.temporal_neck, self.head)
        check_test_cfg(self.head, self.test_cfg or {})

    def forward(self, inputs: Tensor, data_samples: Sequence[Any] | None = None, mode: str = 'tensor') -> Any:
        """Run clips [B, T, 3, H, W] in mode 'loss', 'predict' or 'tensor' (raw output of the head).

        Mode 'tensor' works without data samples; the frames then count as consecutive, the key frame in the middle.
        """
        if mode == 'tensor':
            inputs = torch.stack(list(inputs)) if isinstance(inputs, (list, tuple)) else inputs
            return self._forward(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    def _forward(self, inputs: Tensor, data_samples: Sequence[Any] | None = None) -> Any:
        """Run clips [B, T, 3, H, W] through the whole network, without decoding."""
        return self.head.forward(self.extract_feat(inputs, data_samples))

    def extract_feat(self, inputs: Tensor, data_samples: Sequence[Any] | None = None) -> ClipFeatures:
        """Extract the features of clips [B, T, 3, H, W]: maps of all frames, and the fused map of the key frame."""
        if inputs.ndim != 5 or inputs.shape[2] != 3 or 0 in inputs.shape:
            raise ValueError(
                f'{type(self).__name__} takes clips [B, T, 3, H, W], got {list(inputs.shape)}: use PackClipInputs and '
                'VideoPoseDataPreprocessor (a single image is a clip of one frame)'
            )
        batch_size, num_frames = inputs.shape[:2]
        if data_samples is None:
            window = FrameWindow.consecutive(batch_size, num_frames, inputs.device)
        else:
            window = FrameWindow.from_data_samples(data_samples, num_frames, inputs.device)
        return self.fuse_frame_maps(self.extract_clip_maps(inputs, window), window)

    def extract_clip_maps(self, clips: Tensor, window: FrameWindow) -> Tensor:
        """Maps [B, T, C, h, w] of the frames of clips [B, T, 3, H, W]; in training `gradient_frames` have gradient."""
        if self.gradient_frames == 'all' or window.num_frames == 1 or not self.training:
            return self.extract_frame_maps(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        # The key frame first: older torch, in mixed precision, uses weights again that it cast without gradient.
        key = self.extract_frame_maps(clips[:, window.key_index])  # [B, C, h, w]
        with torch.no_grad():
            neighbours = self.extract_frame_maps(clips[:, window.support_positions].flatten(0, 1))  # [B*(T-1), C, h, w]
        neighbours = neighbours.unflatten(0, (clips.shape[0], -1))
        earlier, later = neighbours[:, : window.key_index], neighbours[:, window.key_index :]
        return torch.cat([earlier, key[:, None], later], dim=1)

    def extract_frame_maps(self, images: Tensor) -> Tensor:
        """Maps [N, C, h, w] of single frames [N, 3, H, W], which need not belong to one clip.

        Whoever runs over a video can keep the maps of a frame and use them in every clip that contains it.
        """
        maps, source = self.backbone(images), f'backbone {type(self.backbone).__name__}'
        if self.with_neck:
            maps, source = self.neck(maps), f'neck {type(self.neck).__name__}'
        frames = choose_map(maps, self.feature_index, source)
        if frames.shape[1] != self.temporal_neck.in_channels:
            raise ValueError(
                f'{source} gives maps of {frames.shape[1]} channels, temporal neck {type(self.temporal_neck).__name__} '
                f'takes {self.temporal_neck.in_channels}: set temporal_neck.in_channels={frames.shape[1]}'
            )
        return frames

    def fuse_frame_maps(self, frames: Tensor, window: FrameWindow) -> ClipFeatures:
        """Features of clips from the maps [B, T, C, h, w] of their frames."""
        features = self.temporal_neck(frames, window)
        name, out_channels = type(self.temporal_neck).__name__, self.temporal_neck.out_channels
        check_clip_features(features, name, frames.shape[0], out_channels)  # len() would fix B in exports
        return features

    def loss(self, inputs: Tensor, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Losses of the head and of every auxiliary loss, for clips [B, T, 3, H, W]."""
        features = self.extract_feat(inputs, data_samples)
        losses = dict(self.head.loss(features, data_samples, train_cfg=self.train_cfg))
        for aux_loss in self.aux_losses:
            merge_losses(losses, aux_loss(features, data_samples), type(aux_loss).__name__)
        return losses

    def predict(self, inputs: Tensor, data_samples: Sequence[Any]) -> Sequence[Any]:
        """Predict the key frame's poses from clips [B, T, 3, H, W], written into the data samples.

        With `test_cfg.flip_test` the head receives the features of the clips and of their mirror images.
        """
        features = self.extract_feat(inputs, data_samples)
        if self.test_cfg.get('flip_test', False):
            features = [features, self.extract_feat(inputs.flip(-1), data_samples)]
        return self.predict_from_features(features, data_samples)

    def predict_from_features(
        self, features: ClipFeatures | list[ClipFeatures], data_samples: Sequence[Any]
    ) -> Sequence[Any]:
        """Predict poses from features (for flip test: a list of those of the clips and of their mirror images)."""
        predictions = self.head.predict(features, data_samples, test_cfg=self.test_cfg)
        instances, fields = predictions if isinstance(predictions, tuple) else (predictions, None)
        return self.add_pred_to_datasample(instances, fields, data_samples)

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum the losses as MMEngine does, and stop at a loss that is not finite, before it reaches the weights.

        Both the plain and the distributed training step come through here, with the terms still named. Reading the
        total waits for the accelerator, which the accuracy of MMPose's heads does in every step anyway. Automatic mixed
        precision does not need the exception for overflow that it grants gradients: it scales the loss afterwards.
        """
        total, log_vars = super().parse_losses(losses)
        if isinstance(total, Tensor) and not bool(torch.isfinite(total)):
            terms = {name: float(value) for name, value in log_vars.items() if name != 'loss'}
            broken = [name for name, value in terms.items() if 'loss' in name and not math.isfinite(value)]
            culprit = f'loss term {" and ".join(broken)}' if broken else 'the sum of the loss terms'
            raise FloatingPointError(
                f'{culprit} is not finite, so the weights were not updated. All terms of this step: {terms}. '
                'Usual causes: too high a learning rate, half precision, labels that are not finite'
            )
        return total, log_vars
