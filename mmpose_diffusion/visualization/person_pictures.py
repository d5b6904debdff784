"""Pictures of one evaluated person: the pose beside its annotation, and how it came out of noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mmcv
import numpy as np
from mmengine import fileio
from mmpose.structures import PoseDataSample

from .close_up import CloseUp, close_up
from .denoising import JOINTS, choose_rows, denoising_strip
from .pose_video import PoseDrawer
from .tile_layout import lay_out

LOWEST_SCORE = 0.1  # lower than usual, or errors would hide; below it are joints that the data set never annotates


class PersonPainter:
    """Draws what an evaluation knows about a person, in an enlarged part of the image.

    Works for every top-down model: what a sample does not carry is not drawn.

    Args:
        metainfo: of the data set: names, skeleton and colours of the keypoints.
        share: of the probability that an uncertainty ellipse holds.
        joints: that have a row of their own in a denoising strip, where the data set has them.
        height: of the close-up, in pixels.
    """

    def __init__(
        self, metainfo: Mapping[str, Any], share: float = 0.9, joints: Sequence[str] = JOINTS, height: int = 384
    ) -> None:
        self.drawer = PoseDrawer(metainfo, score_threshold=LOWEST_SCORE, share=share)
        self.joints, self.height = joints, height
        self.names = [metainfo['keypoint_id2name'][index] for index in range(len(metainfo['keypoint_id2name']))]

    def draw_pose(self, sample: PoseDataSample) -> np.ndarray:
        """RGB picture [H, W, 3]: annotated pose, if there is one, and predicted pose with its ellipses."""
        view = self._close_up(sample, self.height)
        tiles = {}
        annotated = annotated_keypoints(sample)
        if annotated is not None:
            keypoints, is_annotated = annotated
            is_drawn = np.where(is_annotated, 1.0, -1.0)
            tiles['annotated'] = self._draw(view, keypoints[None], is_drawn[None])
        predicted = sample.pred_instances
        covariances = predicted.get('keypoint_covariances')
        title = 'predicted' if covariances is None else f'predicted, {100 * self.drawer.share:g} % ellipses'
        tiles[title] = self._draw(view, predicted.keypoints, predicted.keypoint_scores, covariances)
        return lay_out([list(tiles.values())], list(tiles))

    def draw_denoising(self, sample: PoseDataSample, steps: Sequence[int]) -> np.ndarray | None:
        """RGB picture [H, W, 3] of the heatmaps of each step, or None for a model that makes none.

        The sample must come from a head with `test_cfg.output_estimates`; `steps` are the head's.
        """
        estimates = sample.get('pred_fields', {}).get('heatmap_estimates')
        if estimates is None:
            return None
        view = self._close_up(sample, self.height // 2)
        height, width = view.image.shape[:2]
        annotated = annotated_keypoints(sample)
        truth = None
        if annotated is not None:
            keypoints, is_annotated = annotated
            truth = np.where(is_annotated[:, None], view.to_close_up(keypoints), np.nan) / (width, height)
        return denoising_strip(
            view.image[..., ::-1],
            estimates.cpu().numpy(),
            steps,
            choose_rows(self.names, self.joints),
            self.drawer.keypoint_colors_bgr[:, ::-1],
            truth,
            height,
        )

    def _draw(
        self, view: CloseUp, keypoints: np.ndarray, scores: np.ndarray, covariances: np.ndarray | None = None
    ) -> np.ndarray:
        if covariances is not None:
            covariances = view.to_close_up_covariances(covariances)
        return self.drawer.draw(view.image, view.to_close_up(keypoints), scores, covariances)[..., ::-1]

    @staticmethod
    def _close_up(sample: PoseDataSample, height: int) -> CloseUp:
        """What the network saw of the key frame, from the image file."""
        image = mmcv.imfrombytes(fileio.get(sample.img_path))
        if image is None:
            raise ValueError(f'{sample.img_path} is not an image, so nothing can be drawn on it')
        return close_up(image, sample.input_center, sample.input_scale, height)


def annotated_keypoints(sample: PoseDataSample) -> tuple[np.ndarray, np.ndarray] | None:
    """Annotated keypoints [K, 2] of a sample and which of them are annotated [K]; None for a detector's box."""
    if not isinstance(sample.get('raw_ann_info'), Mapping):  # keypoints are placeholders then
        return None
    truth = sample.gt_instances
    visible = np.asarray(truth.keypoints_visible)  # [1, K], or [1, K, 2] with weights
    is_annotated = (visible[..., 0] if visible.ndim == 3 else visible)[0] > 0
    return np.asarray(truth.keypoints)[0, :, :2], is_annotated
