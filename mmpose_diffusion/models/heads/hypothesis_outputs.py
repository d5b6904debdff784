"""Hypotheses as part of a prediction: in pixels of the image, with their covariance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.structures import InstanceData


def input_to_image(coordinates: np.ndarray, metainfo: Mapping[str, Any]) -> np.ndarray:
    """Pixels of the network's input [..., 2] -> pixels of the image, as MMPose's estimator does for keypoints."""
    missing = [name for name in ('input_center', 'input_scale', 'input_size') if name not in metainfo]
    if missing:
        raise ValueError(f'hypotheses cannot be placed in the image: the metainfo lacks {", ".join(missing)}')
    center, scale, size = (np.asarray(metainfo[name]) for name in ('input_center', 'input_scale', 'input_size'))
    return coordinates / size * scale + center - 0.5 * scale


def sample_covariance(hypotheses: np.ndarray) -> np.ndarray:
    """Unbiased covariance over the hypotheses: [K, H, D] -> [K, D, D]."""
    centered = hypotheses - hypotheses.mean(axis=1, keepdims=True)
    return np.einsum('khi,khj->kij', centered, centered) / (hypotheses.shape[1] - 1)


def add_hypotheses(prediction: InstanceData, keypoints: np.ndarray, metainfo: Mapping[str, Any]) -> None:
    """Write one person's hypotheses, keypoints [H, K, 2] in pixels of the network's input, into the prediction.

    Adds, in pixels of the image, `keypoint_hypotheses` [1, K, H, 2] and `keypoint_covariances` [1, K, 2, 2]. The
    keypoint is the second axis of both because MMPose selects keypoints along it in every field named keypoint... .
    """
    hypotheses = input_to_image(keypoints, metainfo).swapaxes(0, 1)  # [K, H, 2]
    prediction.keypoint_hypotheses = hypotheses[None].astype(np.float32)
    prediction.keypoint_covariances = sample_covariance(hypotheses)[None].astype(np.float32)
