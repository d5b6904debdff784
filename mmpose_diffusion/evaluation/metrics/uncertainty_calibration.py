"""Whether the spread of the hypotheses tells how far off a joint is, as a metric of MMPose."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS
from scipy.stats import spearmanr

from ..functional.calibration import (
    LEVELS,
    calibration_error,
    coverage,
    finite_sample_levels,
    gaussian_levels,
    has_area,
    mahalanobis_squared,
)
from ..functional.joint_subsets import ANNOTATED, check_rule
from ..functional.json_values import to_numpy
from .annotated_person import read_annotated_person, sample_label, without_ears


@METRICS.register_module()
class UncertaintyCalibration(BaseMetric):
    """How often the ellipse around a predicted joint holds the exact joint, for predictions in ground-truth boxes.

    The model must predict hypotheses (`test_cfg.output_hypotheses=True`, 3 or more). Two ellipses are looked at, both
    around the predicted joint, with the covariance C of its hypotheses:

    - the plain one, as it is drawn from `keypoint_covariances`: C is taken for the true covariance;
    - `predictive`: wider, since H draws know their own mean and covariance only roughly (Hotelling; with H = 5 much
      wider). If the joint were one more draw from the Gaussian of the hypotheses and the prediction their mean, this
      one would be right and the plain one too small. To judge the model read this one, to judge the picture the other.

    Results, percentages of joints unless said otherwise:
        coverage_50, coverage_90: joints inside the plain ellipse of that level.
        calibration_error: mean distance of coverage from level over the levels 5, 10 ... 95, in percentage points.
        predictive_coverage_50, predictive_coverage_90, predictive_calibration_error: the same of the wider ellipse.
        spread_error_correlation: rank correlation (Spearman, -1 to 1) of the spread (root of the trace of C) and the
            distance from the exact joint, both in pixels of the network's input. NaN if either never changes.
        no_spread: joints whose hypotheses all lie on a line or a point, as they may on the grid of a coarse heatmap; an
            ellipse without area holds nothing.
    The prefix is `calibration`, or `calibration_<subset>`.

    Args:
        subset, blur_thr, fast_thr: which joints, as in `KeypointError`.
        curve_file: write the curve as json: `level`, `coverage` and `predictive_coverage`, shares of 1.
        collect_device: `'cpu'` or `'gpu'`.
        prefix: of the metric names.
    """

    def __init__(
        self,
        subset: str = ANNOTATED,
        blur_thr: float = 0.25,
        fast_thr: float = 0.5,
        curve_file: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        self.rule = check_rule(subset, blur_thr, fast_thr)
        self.curve_file = curve_file
        name = 'calibration' if subset == ANNOTATED else f'calibration_{subset}'
        super().__init__(collect_device=collect_device, prefix=prefix or name)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the error, the covariance and the levels of each sample's joints, in pixels of the input."""
        for sample in data_samples:
            covariances, num_hypotheses = _read_hypotheses(sample)
            person = read_annotated_person(sample, self.rule, type(self).__name__)
            errors = (person.predicted - person.exact) * person.crop_scale  # [K, 2]
            covariances = covariances * np.outer(person.crop_scale, person.crop_scale)  # [K, 2, 2]
            squared = mahalanobis_squared(errors, covariances)
            self.results.append(
                {
                    'error': np.linalg.norm(errors, axis=-1),
                    'spread': np.sqrt(np.trace(covariances, axis1=-2, axis2=-1)),
                    'level': gaussian_levels(squared),
                    'predictive_level': finite_sample_levels(squared, num_hypotheses),
                    'has_no_spread': ~has_area(covariances),
                    'is_counted': person.is_counted,
                    'num_hypotheses': num_hypotheses,
                }
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Pool the joints of all samples."""
        is_counted = without_ears(np.stack([sample['is_counted'] for sample in results]), self.dataset_meta)
        error, spread, level, predictive, has_no_spread = (
            np.stack([sample[key] for sample in results])[is_counted]
            for key in ('error', 'spread', 'level', 'predictive_level', 'has_no_spread')
        )
        values = {
            **_describe(level, ''),
            **_describe(predictive, 'predictive_'),
            'spread_error_correlation': _rank_correlation(spread, error),
            'no_spread': 100 * float(np.mean(has_no_spread)) if len(has_no_spread) else float('nan'),
        }
        if self.curve_file is not None:
            self._write_curve(level, predictive)
        counts = sorted({sample['num_hypotheses'] for sample in results})
        MMLogger.get_current_instance().info(
            f'Calibration of {len(level)} {self.rule.name} joints, boxes: ground truth, hypotheses: '
            f'{", ".join(map(str, counts))}. In the 50 % and 90 % ellipse: {values["coverage_50"]:.1f} % and '
            f'{values["coverage_90"]:.1f} % (predictive: {values["predictive_coverage_50"]:.1f} % and '
            f'{values["predictive_coverage_90"]:.1f} %); spread and error: rank correlation '
            f'{values["spread_error_correlation"]:.2f}; without spread: {values["no_spread"]:.1f} %'
        )
        return values

    def _write_curve(self, level: np.ndarray, predictive: np.ndarray) -> None:
        curve = {
            'level': LEVELS.tolist(),
            'coverage': coverage(level, LEVELS).tolist(),
            'predictive_coverage': coverage(predictive, LEVELS).tolist(),
        }
        Path(self.curve_file).parent.mkdir(parents=True, exist_ok=True)
        Path(self.curve_file).write_text(json.dumps(curve, indent=2) + '\n')


def _describe(level: np.ndarray, name: str) -> dict[str, float]:
    return {
        f'{name}coverage_50': 100 * float(coverage(level, 0.5)),
        f'{name}coverage_90': 100 * float(coverage(level, 0.9)),
        f'{name}calibration_error': 100 * calibration_error(level),
    }


def _rank_correlation(spread: np.ndarray, error: np.ndarray) -> float:
    if len(spread) < 2 or np.ptp(spread) == 0 or np.ptp(error) == 0:
        return float('nan')
    return float(spearmanr(spread, error).statistic)


def _read_hypotheses(sample: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """Covariances [K, 2, 2] in pixels of the image, and the number of hypotheses they come from."""
    label, predicted = sample_label(sample), sample['pred_instances']
    if 'keypoint_hypotheses' not in predicted or 'keypoint_covariances' not in predicted:
        raise ValueError(
            f'{label} has no keypoint_hypotheses and keypoint_covariances: UncertaintyCalibration needs a model that '
            'samples (a diffusion head), with test_cfg.output_hypotheses=True and test_cfg.num_hypotheses of 3 or more'
        )
    covariances = to_numpy(predicted['keypoint_covariances'])  # [1, K, 2, 2]
    num_hypotheses = predicted['keypoint_hypotheses'].shape[2]
    if num_hypotheses < 3:
        raise ValueError(f'{label} has {num_hypotheses} hypotheses, an ellipse needs 3: set test_cfg.num_hypotheses')
    if len(covariances) != 1 or not np.isfinite(covariances).all():
        raise ValueError(f'{label}: expected finite covariances of one person, got shape {covariances.shape}')
    return covariances[0], num_hypotheses
