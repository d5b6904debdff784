"""Ellipses around predicted joints, on Gaussians for which the answer is known."""

import numpy as np
import pytest
from scipy.stats import chi2, f

from mmpose_diffusion.evaluation.functional.calibration import (
    calibration_error,
    coverage,
    finite_sample_levels,
    gaussian_levels,
    has_area,
    mahalanobis_squared,
)

COVARIANCE = np.array([[4.0, 1.5], [1.5, 1.0]])


def draw(num_hypotheses, count=20000):
    """Squared distance of one more draw from the mean of H draws, in their covariance; `count` times."""
    random = np.random.default_rng(0)
    draws = random.multivariate_normal([3, -2], COVARIANCE, (count, num_hypotheses + 1))  # [N, H + 1, 2]
    hypotheses, joints = draws[:, :-1], draws[:, -1]
    centered = hypotheses - hypotheses.mean(axis=1, keepdims=True)
    covariances = np.einsum('nhi,nhj->nij', centered, centered) / (num_hypotheses - 1)
    return mahalanobis_squared(joints - hypotheses.mean(axis=1), covariances)


def test_levels_are_those_of_the_distributions():
    squared = np.linspace(0, 30, 50)
    np.testing.assert_allclose(gaussian_levels(squared), chi2.cdf(squared, 2), atol=1e-12)
    for count in (3, 5, 10):
        ratio = squared * (count - 2) / (2 * (count - 1) * (1 + 1 / count))
        np.testing.assert_allclose(finite_sample_levels(squared, count), f.cdf(ratio, 2, count - 2), atol=1e-12)
    np.testing.assert_allclose(finite_sample_levels(squared, 10**7), gaussian_levels(squared), atol=1e-5)


@pytest.mark.parametrize('num_hypotheses', [3, 5, 10, 50])
def test_draws_of_the_hypotheses_own_gaussian_lie_inside_as_often_as_promised(num_hypotheses):
    squared = draw(num_hypotheses)
    predictive = finite_sample_levels(squared, num_hypotheses)
    np.testing.assert_allclose(coverage(predictive, np.array([0.5, 0.9])), [0.5, 0.9], atol=0.015)
    assert calibration_error(predictive) < 0.01
    # The plain ellipse holds fewer, by as much as the theory says.
    expected = finite_sample_levels(chi2.ppf(0.9, 2), num_hypotheses)
    assert coverage(gaussian_levels(squared), 0.9) == pytest.approx(expected, abs=0.015)
    assert expected < 0.9


def test_known_covariance_is_covered_and_a_wrong_one_is_found_out():
    errors = np.random.default_rng(0).multivariate_normal([0, 0], COVARIANCE, 20000)
    covariances = np.broadcast_to(COVARIANCE, (len(errors), 2, 2))
    assert coverage(gaussian_levels(mahalanobis_squared(errors, covariances)), 0.9) == pytest.approx(0.9, abs=0.01)
    for factor in (0.25, 4):  # standard deviations of half and twice the right size: level q becomes 1 - (1 - q)^factor
        levels = gaussian_levels(mahalanobis_squared(errors, factor * covariances))
        assert coverage(levels, 0.5) == pytest.approx(1 - 0.5**factor, abs=0.015)
        assert calibration_error(levels) > 0.2


def test_distance_does_not_depend_on_the_coordinates():
    random = np.random.default_rng(0)
    errors, matrix = random.normal(size=(10, 2)), np.array([[2.0, 0.3], [0.0, 5.0]])
    covariances = np.broadcast_to(COVARIANCE, (10, 2, 2))
    squared = mahalanobis_squared(errors, covariances)
    np.testing.assert_allclose(squared, np.einsum('ni,ij,nj->n', errors, np.linalg.inv(COVARIANCE), errors))
    np.testing.assert_allclose(mahalanobis_squared(errors @ matrix.T, matrix @ covariances @ matrix.T), squared)


def test_ellipse_without_area_holds_only_what_lies_on_it():
    line, point = np.array([[1.0, 0.0], [0.0, 0.0]]), np.zeros((2, 2))
    errors = np.array([[1.0, 0.0], [1.0, 1e-3], [0.0, 0.0], [0.1, 0.0]])
    squared = mahalanobis_squared(errors, np.stack([line, line, point, point]))
    np.testing.assert_array_equal(squared, [1, np.inf, 0, np.inf])
    np.testing.assert_array_equal(gaussian_levels(squared)[[1, 3]], [1, 1])
    np.testing.assert_array_equal(finite_sample_levels(squared, 5)[[1, 3]], [1, 1])
    assert has_area(np.stack([line, point, COVARIANCE])).tolist() == [False, False, True]


def test_two_hypotheses_are_no_ellipse():
    with pytest.raises(ValueError, match='3 hypotheses'):
        finite_sample_levels(np.ones(1), 2)
