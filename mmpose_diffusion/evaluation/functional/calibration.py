"""Do the ellipses around predicted joints hold the joints as often as they promise?

The level of a joint is that of the smallest ellipse around its prediction that holds it: 0.3 on the 30 % ellipse. If
the ellipses are right, levels are spread evenly over 0 ... 1, and the share of joints inside the q % ellipse is q %.
"""

import numpy as np

LEVELS = np.arange(1, 20) / 20
"""Where the curve of coverage is compared with the diagonal: 5 %, 10 % ... 95 %."""


def mahalanobis_squared(errors: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Squared distance e^T C^-1 e in standard deviations, [N], of errors [N, 2] with covariances [N, 2, 2].

    Infinite for an error in a direction in which the covariance is zero: all hypotheses agree, and are wrong.
    """
    variances, axes = np.linalg.eigh(np.asarray(covariances, dtype=np.float64))  # [N, 2], [N, 2, 2]
    along = np.einsum('nij,ni->nj', axes, np.asarray(errors, dtype=np.float64)) ** 2
    has_spread = _is_positive(variances)
    with np.errstate(divide='ignore', invalid='ignore'):
        terms = np.where(has_spread, along / variances, np.where(along > 0, np.inf, 0.0))
    return terms.sum(axis=-1)


def has_area(covariances: np.ndarray) -> np.ndarray:
    """Whether the ellipses of covariances [N, 2, 2] are more than a line or a point, bool [N]."""
    return _is_positive(np.linalg.eigvalsh(covariances)).all(axis=-1)


def gaussian_levels(squared: np.ndarray) -> np.ndarray:
    """Levels of the ellipses of a Gaussian whose covariance is known: chi-squared with 2 degrees of freedom."""
    return 1 - np.exp(-0.5 * squared)


def finite_sample_levels(squared: np.ndarray, num_hypotheses: int) -> np.ndarray:
    """Levels of the ellipses that hold one more draw, when mean and covariance are those of H draws.

    With few draws the sample covariance C is itself uncertain: the ellipse that `gaussian_levels` calls that of 90 %
    holds 64 % of further draws from the same Gaussian with H = 5, and 78 % with H = 10. Exact is Hotelling's law:
    d^2 = e^T C^-1 e, with e the distance of the next draw from the mean of the H draws, obeys

        d^2 (H - 2) / (2 (H - 1) (1 + 1 / H))  ~  F(2, H - 2),

    whose distribution function is 1 - (1 + 2 f / (H - 2))^-(H - 2)/2.
    """
    if num_hypotheses < 3:
        raise ValueError(f'an ellipse needs 3 hypotheses or more, got {num_hypotheses}')
    degrees = num_hypotheses - 2
    scaled = squared / ((num_hypotheses - 1) * (1 + 1 / num_hypotheses))  # 2 f / (H - 2)
    return 1 - (1 + scaled) ** (-degrees / 2)


def coverage(levels: np.ndarray, nominal: np.ndarray | float) -> np.ndarray:
    """Share of the N joints inside the ellipse of each nominal level [...]; NaN of no joints."""
    if not len(levels):
        return np.full(np.shape(nominal), np.nan)
    return (levels[:, None] <= np.ravel(nominal)).mean(axis=0).reshape(np.shape(nominal))


def calibration_error(levels: np.ndarray) -> float:
    """Mean distance of the coverage of the ellipses of `LEVELS` from what they promise, from 0 to about 0.5."""
    return float(np.abs(coverage(levels, LEVELS) - LEVELS).mean())


def _is_positive(variances: np.ndarray) -> np.ndarray:
    """Which of the variances [N, 2] along the axes of an ellipse are more than the rounding of float32."""
    return variances > np.maximum(1e-6 * variances.max(axis=-1, keepdims=True), 1e-12)
