import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from mmpose_diffusion.evaluation.functional.pose3d_errors import (
    AUC_DISTANCES,
    align_by_scale,
    align_by_similarity,
    joint_errors,
    share_within,
    velocity_errors,
)


@pytest.fixture
def poses():
    """Predictions and targets [3, 17, 3], in millimetres."""
    random = np.random.default_rng(0)
    target = random.normal(0, 300, (3, 17, 3))
    return target + random.normal(0, 80, target.shape), target


def test_joint_errors_are_distances():
    assert joint_errors(np.array([[[3.0, 4, 0], [1, 1, 1]]]), np.array([[[0.0, 0, 0], [1, 1, 3]]])).tolist() == [[5, 2]]


def test_a_moved_turned_and_scaled_pose_is_aligned_perfectly(poses):
    _, target = poses
    turned = 0.3 * Rotation.from_rotvec([1, 2, -0.5]).apply(target[0]) + [5, -7, 1]
    np.testing.assert_allclose(align_by_similarity(turned[None], target[:1]), target[:1], atol=1e-9)


def test_alignment_is_the_best_similarity_transform(poses):
    predicted, target = poses
    aligned = align_by_similarity(predicted, target)

    def squared_error(parameters, pose, goal):
        moved = np.exp(parameters[6]) * Rotation.from_rotvec(parameters[:3]).apply(pose) + parameters[3:6] * 100
        return ((moved - goal) ** 2).sum() / 1e4

    for pose, goal, result in zip(predicted, target, aligned, strict=True):
        found = minimize(squared_error, np.zeros(7), (pose, goal), tol=1e-12)
        np.testing.assert_allclose(((result - goal) ** 2).sum() / 1e4, found.fun, rtol=1e-6)


def test_rotation_agrees_with_scipy(poses):
    predicted, target = poses
    for pose, goal, result in zip(predicted, target, align_by_similarity(predicted, target), strict=True):
        p, t = pose - pose.mean(0), goal - goal.mean(0)
        rotation, _ = Rotation.align_vectors(t, p)
        turned = rotation.apply(p)
        scale = (turned * t).sum() / (p**2).sum()
        np.testing.assert_allclose(result, scale * turned + goal.mean(0), atol=1e-6)


def test_a_mirror_image_is_not_reflected(poses):
    _, target = poses
    mirrored = target * [-1, 1, 1]
    aligned = align_by_similarity(mirrored, target)
    assert joint_errors(aligned, target).mean() > 50
    for pose, result in zip(mirrored, aligned, strict=True):
        p, r = pose - pose.mean(0), result - result.mean(0)
        assert np.linalg.det(p.T @ p) > 0
        assert np.linalg.det(np.linalg.lstsq(p, r, rcond=None)[0]) > 0


def test_scaling_is_least_squares_about_the_root(poses):
    predicted, target = poses
    np.testing.assert_allclose(align_by_scale(0.25 * target, target), target)
    aligned = align_by_scale(predicted, target)
    best = ((aligned - target) ** 2).sum()
    for factor in (0.99, 1.01):
        assert ((factor * aligned - target) ** 2).sum() > best
    scales = aligned[..., 0, 0] / predicted[..., 0, 0]
    np.testing.assert_allclose(aligned, predicted * scales[:, None, None])


def test_collapsed_poses_are_aligned_without_nan(poses):
    _, target = poses
    collapsed = np.zeros_like(target)
    np.testing.assert_allclose(align_by_scale(collapsed, target), 0)
    np.testing.assert_allclose(align_by_similarity(collapsed, target), np.tile(target.mean(1, keepdims=True), (17, 1)))


def test_velocity_of_a_constant_offset_is_right_and_of_a_drift_is_not():
    target = np.cumsum(np.random.default_rng(0).normal(size=(8, 17, 3)), axis=0)
    np.testing.assert_allclose(velocity_errors(target + [1, 2, 3], target), 0, atol=1e-12)
    drift = np.arange(8)[:, None, None] * np.array([0, 3, 4])
    np.testing.assert_allclose(velocity_errors(target + drift, target), np.full((7, 17), 5))


def test_gaps_have_no_velocity():
    target = np.zeros((5, 1, 3))
    predicted = target.copy()
    predicted[3:] += 9
    assert velocity_errors(predicted, target, np.array([0, 5, 10, 25, 30])).ravel().tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match='ascend'):
        velocity_errors(predicted, target, np.array([0, 1, 2, 2, 3]))


def test_share_within_has_closed_forms():
    errors = np.array([[10.0, 149.0, 150.0, 400.0], [0.0, 0.0, 0.0, 0.0]])
    assert share_within(errors, 150).tolist() == [50, 100]
    expected = [np.mean([100 * np.mean(row < distance) for distance in range(0, 151, 5)]) for row in errors]
    np.testing.assert_allclose(share_within(errors, AUC_DISTANCES), expected)
    np.testing.assert_allclose(share_within(np.zeros(3), AUC_DISTANCES), 100 * 30 / 31)
