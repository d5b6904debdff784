import numpy as np
import pytest

from mmpose_diffusion.evaluation.functional.camera_projection import (
    denormalise_points,
    mirror_camera,
    normalise_points,
    project,
    undistort,
)

CAMERA = np.array([2.29, 2.287, 0.025, 0.0289, -0.207, 0.2477, -0.0031, -0.00098, -0.00142])


@pytest.fixture
def points():
    """Points a few metres before a camera, within its picture."""
    random = np.random.default_rng(0)
    depth = random.uniform(3, 7, (40, 1))
    return np.concatenate([random.uniform(-0.42, 0.42, (40, 2)) * depth, depth], axis=-1)


def test_a_pinhole_camera_divides_by_the_depth(points):
    camera = np.array([2, 3, 0.1, -0.2, 0, 0, 0, 0, 0])
    expected = points[:, :2] / points[:, 2:] * [2, 3] + [0.1, -0.2]
    np.testing.assert_allclose(project(points, camera), expected)


def test_distortion_is_the_published_formula(points):
    fx, fy, cx, cy, k1, k2, k3, p1, p2 = CAMERA
    for (x, y, z), seen in zip(points, project(points, CAMERA), strict=True):
        u, v = x / z, y / z
        r2 = u * u + v * v
        g = 1 + k1 * r2 + k2 * r2 * r2 + k3 * r2 * r2 * r2 + p1 * u + p2 * v
        np.testing.assert_allclose(seen, [fx * (u * g + p1 * r2) + cx, fy * (v * g + p2 * r2) + cy], rtol=1e-12)


def test_what_is_far_beside_the_view_is_clipped():
    np.testing.assert_allclose(project(np.array([9.0, -9.0, 1.0]), np.array([1.0, 1, 0, 0, 0, 0, 0, 0, 0])), [1, -1])


def test_undistorting_undoes_the_lens(points):
    np.testing.assert_allclose(undistort(project(points, CAMERA), CAMERA), points[:, :2] / points[:, 2:], atol=1e-12)


def test_the_unit_does_not_matter(points):
    np.testing.assert_allclose(project(1000 * points, CAMERA), project(points, CAMERA))


def test_cameras_are_broadcast(points):
    cameras = np.stack([CAMERA, CAMERA * 1.1])
    seen = project(np.stack([points, points]), cameras[:, None])
    np.testing.assert_allclose(seen[1], project(points, cameras[1]))


def test_the_mirrored_camera_sees_the_mirrored_points_mirrored(points):
    mirrored = project(points * [-1, 1, 1], mirror_camera(CAMERA))
    np.testing.assert_allclose(mirrored, project(points, CAMERA) * [-1, 1])


def test_the_width_is_two_units_and_the_aspect_is_kept():
    corners = np.array([[0, 0], [1920, 1080], [960, 540], [960, 0]])
    expected = [[-1, -0.5625], [1, 0.5625], [0, 0], [0, -0.5625]]
    np.testing.assert_allclose(normalise_points(corners, (1920, 1080)), expected)
    np.testing.assert_allclose(denormalise_points(np.array(expected), (1920, 1080)), corners)
