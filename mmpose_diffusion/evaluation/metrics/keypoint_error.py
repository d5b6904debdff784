"""Distance between predicted and exact joints, as a metric of MMPose."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from ..functional.joint_subsets import ANNOTATED, check_rule
from ..functional.keypoint_error import summarize_errors
from .annotated_person import read_annotated_person, sample_label, without_ears


@METRICS.register_module()
class KeypointError(BaseMetric):
    """How far joints are off, for predictions in ground-truth boxes: finer than AP, which asks for half a head size.

    Pixels are those of the network's input, in which heatmap cells and bins of coordinates have a size: an error below
    one is sub-pixel. Results:
        mean_px, median_px: of all joints.
        mean_head, median_head: the same in head sizes of PoseTrack.
        close_share: percentage of the joints within half a head size of their place.
        close_mean_px, close_median_px: of these alone: what resolution costs. Joints mixed up would hide it.
        joints: how many there are.
    Every joint counts the same, whatever its score. The prefix is `keypoint_error`, or `keypoint_error_<subset>`.

    Args:
        subset: which joints: `'annotated'`, or of a synthetic world `'fast'`, `'blurred'`, `'occluded'`,
            `'hard_to_see'`; see `evaluation.functional.joint_subsets`.
        blur_thr: a joint that moves by so many head sizes while the shutter is open is blurred.
        fast_thr: a joint that moves by so many head sizes from frame to frame is fast.
        collect_device: `'cpu'` or `'gpu'`.
        prefix: of the metric names.
    """

    def __init__(
        self,
        subset: str = ANNOTATED,
        blur_thr: float = 0.25,
        fast_thr: float = 0.5,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        self.rule = check_rule(subset, blur_thr, fast_thr)
        name = 'keypoint_error' if subset == ANNOTATED else f'keypoint_error_{subset}'
        super().__init__(collect_device=collect_device, prefix=prefix or name)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the distances of each sample's joints."""
        for sample in data_samples:
            person = read_annotated_person(sample, self.rule, type(self).__name__)
            if not person.head_size > 0:
                raise ValueError(
                    f'{sample_label(sample)} has no bbox_head of a size above zero, the unit of its errors'
                )
            offset = person.predicted - person.exact  # [K, 2]
            self.results.append(
                {
                    'pixels': np.linalg.norm(offset * person.crop_scale, axis=-1),
                    'heads': np.linalg.norm(offset, axis=-1) / person.head_size,
                    'is_counted': person.is_counted,
                }
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Pool the joints of all samples."""
        pixels, heads, is_counted = (
            np.stack([sample[key] for sample in results]) for key in ('pixels', 'heads', 'is_counted')
        )
        is_counted = without_ears(is_counted, self.dataset_meta)
        values = summarize_errors(pixels[is_counted], heads[is_counted])
        MMLogger.get_current_instance().info(
            f'Error of {int(is_counted.sum())} {self.rule.name} joints, boxes: ground truth: median '
            f'{values["median_px"]:.2f} pixels of the input; of the {values["close_share"]:.1f} % within half a head '
            f'size: mean {values["close_mean_px"]:.2f}, median {values["close_median_px"]:.2f} pixels'
        )
        return {**values, 'joints': int(is_counted.sum())}
