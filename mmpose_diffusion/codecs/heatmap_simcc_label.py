"""Keypoints as heatmaps and as coordinate classes at once."""

from __future__ import annotations

import numpy as np
from mmpose.codecs import MSRAHeatmap, SimCCLabel, UDPHeatmap
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS

DECODINGS = ('heatmap', 'simcc', 'fusion')


@KEYPOINT_CODECS.register_module()
class HeatmapSimCCLabel(BaseKeypointCodec):
    """Heatmaps by one codec of MMPose, smoothed coordinate labels (SimCC) by another, on the same input.

    A list of both codecs in MMPose's `GenerateTarget` would give each keypoint two rows of weights, which cannot be
    packed beside one row of labels. Here a keypoint counts as much as it does for the codec that trusts it less: one
    whose heatmap or label has left the crop has no target in one of the branches.

    Args:
        heatmap: config of MSRAHeatmap, or of UDPHeatmap with Gaussians.
        simcc: options of SimCCLabel. `simcc_split_ratio` is the split factor k, bins per pixel; `sigma` is in bins.
            `input_size` is that of the heatmaps.
    """

    label_mapping_table = SimCCLabel.label_mapping_table
    field_mapping_table = MSRAHeatmap.field_mapping_table

    def __init__(self, heatmap: dict, simcc: dict) -> None:
        super().__init__()
        self.heatmap = KEYPOINT_CODECS.build(heatmap)
        if not isinstance(self.heatmap, (MSRAHeatmap, UDPHeatmap)) or self._heatmap_type != 'gaussian':
            raise ValueError(
                f'heatmap must be one Gaussian map for each keypoint, {heatmap} makes something else: '
                "use MSRAHeatmap, or UDPHeatmap with heatmap_type='gaussian'"
            )
        for name in ('sigma', 'simcc_split_ratio'):
            values = simcc.get(name, 1)
            for value in values if isinstance(values, list | tuple) else [values]:
                if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                    raise ValueError(f'simcc: {name} must be a number above 0, got {values!r}')
        self.simcc = KEYPOINT_CODECS.build({'type': 'SimCCLabel', 'input_size': self.heatmap.input_size, **simcc})
        self.input_size, self.heatmap_size = tuple(self.heatmap.input_size), tuple(self.heatmap.heatmap_size)
        self.split_factor = self.simcc.simcc_split_ratio
        self._check_simcc()
        self.num_bins = tuple(round(side * self.split_factor) for side in self.input_size)  # (x, y)

    @property
    def _heatmap_type(self) -> str:
        return getattr(self.heatmap, 'heatmap_type', 'gaussian')

    def _check_simcc(self) -> None:
        if tuple(self.simcc.input_size) != self.input_size:
            raise ValueError(
                f'simcc has input_size={tuple(self.simcc.input_size)}, heatmap has input_size={self.input_size}: leave '
                'it out of simcc, whose bins then cover the input of the heatmaps'
            )
        if self.split_factor < 1:
            raise ValueError(
                f'simcc_split_ratio (the split factor, bins per pixel) must be at least 1, got {self.split_factor}: '
                'coarser bins than pixels cannot name a pixel'
            )
        if self.split_factor % 1:
            raise ValueError(
                f'simcc_split_ratio={self.split_factor} puts the pixels of a mirror image between the bins: choose a '
                'whole number'
            )
        if self.simcc.decode_visibility:
            raise ValueError('HeatmapSimCCLabel decodes keypoints and scores: leave out decode_visibility')

    def encode(self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None) -> dict:
        """Keypoints [1, K, 2] in pixels of the input -> heatmaps [K, h, w], labels [1, K, bins], weights [1, K]."""
        maps = self.heatmap.encode(keypoints, keypoints_visible)
        labels = self.simcc.encode(keypoints, keypoints_visible)
        weights = np.minimum(maps['keypoint_weights'], labels['keypoint_weights'])
        return {**maps, **labels, 'keypoint_weights': weights}

    def decode(
        self, heatmaps: np.ndarray, simcc_x: np.ndarray, simcc_y: np.ndarray, by: str = 'fusion'
    ) -> tuple[np.ndarray, np.ndarray]:
        """One person's keypoints [1, K, 2] in pixels of the input, and scores [1, K].

        Args:
            heatmaps: [K, h, w], 1 at the peak of a perfect one.
            simcc_x: [K, bins along x], 1 at the peak of a perfect one.
            simcc_y: [K, bins along y], the same.
            by: 'heatmap' or 'simcc' decode as MMPose's codec of that branch does, 'fusion' averages both, see
                `fuse_keypoints`.
        """
        if by not in DECODINGS:
            raise ValueError(f'keypoints are decoded by {", ".join(DECODINGS)}, got {by!r}')
        branches = []
        if by != 'simcc':
            branches.append(self.heatmap.decode(heatmaps))
        if by != 'heatmap':  # with a batch axis, which the codec's use_dark wants; it may write into its input
            branches.append(self.simcc.decode(simcc_x[None].copy(), simcc_y[None].copy()))
        return branches[0] if len(branches) == 1 else fuse_keypoints(*map(np.stack, zip(*branches, strict=True)))


def fuse_keypoints(keypoints: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average the answers of branches in coordinate space, weighted by their confidence.

    Scores are confidences on one scale: the height of the peak beside that of a perfect one, hence cut to [0, 1] (a
    peak higher than perfect is not more than certain). Of keypoints [branches, N, K, 2] and scores [branches, N, K] it
    makes keypoints [N, K, 2] and scores [N, K], both averaged with the confidences as weights; a branch without
    confidence has no say, and where no branch has any, all count alike.
    """
    confidences = scores.clip(0, 1)
    total = confidences.sum(axis=0)
    equal = np.full_like(confidences, 1 / len(confidences))
    weights = np.divide(confidences, total, out=equal, where=np.broadcast_to(total > 0, equal.shape))
    return (weights[..., None] * keypoints).sum(axis=0), (weights * confidences).sum(axis=0)
