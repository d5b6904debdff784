import cv2
import numpy as np
import pytest
from scipy.stats import chi2

from mmpose_diffusion.visualization import PoseDrawer, draw_ellipses, ellipse_of

RED = (0.0, 0.0, 255.0)


def rotated(variances, angle):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag(variances) @ turn.T


@pytest.mark.parametrize('share', [0.5, 0.9, 0.99])
@pytest.mark.parametrize('angle', [-1.2, -0.3, 0.0, 0.7, np.pi / 2])
def test_axes_and_angle_are_those_of_the_chi_squared_quantile(share, angle):
    ellipse = ellipse_of(rotated([9.0, 4.0], angle), share)
    np.testing.assert_allclose(ellipse.axes, np.sqrt(np.array([9, 4]) * chi2.ppf(share, df=2)))
    np.testing.assert_allclose(ellipse.angle, angle, atol=1e-9)


def test_many_covariances_give_what_each_alone_gives():
    covariances = np.stack([rotated([5, 1], angle) for angle in (0.1, 0.4, -0.9, 1.3)]).reshape(2, 2, 2, 2)
    together = ellipse_of(covariances)
    assert together.axes.shape == (2, 2, 2)
    for place in np.ndindex(2, 2):
        alone = ellipse_of(covariances[place])
        np.testing.assert_allclose(together.axes[place], alone.axes)
        np.testing.assert_allclose(together.angle[place], alone.angle)


def test_an_ellipse_holds_its_share_of_gaussian_points():
    covariance = rotated([30.0, 6.0], 0.6)
    points = np.random.default_rng(0).multivariate_normal([0, 0], covariance, 20000)
    ellipse = ellipse_of(covariance, 0.8)
    x, y = np.cos(ellipse.angle), np.sin(ellipse.angle)
    along, across = points @ (x, y), points @ (-y, x)
    inside = (along / ellipse.axes[0]) ** 2 + (across / ellipse.axes[1]) ** 2 <= 1
    assert inside.mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize('share', [0, 1, 90])
def test_a_share_is_a_probability(share):
    with pytest.raises(ValueError, match='between 0 and 1'):
        ellipse_of(np.eye(2), share)


def test_covariances_that_are_none_are_refused():
    with pytest.raises(ValueError, match='finite covariances'):
        ellipse_of(np.full((2, 2), np.nan))


def test_drawn_ellipse_covers_the_ellipse_and_leaves_the_input_alone():
    image = np.full((120, 160, 3), 200, np.uint8)
    covariance, center = rotated([160.0, 20.0], 0.5), np.array([70.0, 60.0])
    drawn = draw_ellipses(image, center[None], covariance[None], [RED])
    assert (image == 200).all()
    pixels = np.argwhere((drawn != 200).any(axis=-1))[:, ::-1] - center
    distances = np.einsum('ni,ij,nj->n', pixels, np.linalg.inv(covariance), pixels)
    limit = chi2.ppf(0.9, df=2)
    inside = np.pi * np.sqrt(np.linalg.det(covariance)) * limit  # area
    assert (distances <= limit).sum() == pytest.approx(inside, rel=0.03)
    assert distances.max() < 2 * limit, 'only the outline may be outside'


def test_small_and_hidden_ellipses_show():
    image = np.full((60, 60, 3), 200, np.uint8)
    point = draw_ellipses(image, np.array([[30.0, 30.0]]), np.zeros((1, 2, 2)), [RED])
    assert (point[30, 30] != 200).any(), 'no spread at all is still a keypoint'
    centers, covariances = np.full((2, 2), 30.0), np.stack([4 * np.eye(2), 60 * np.eye(2)])
    colors = [RED, (255.0, 0.0, 0.0)]
    both = draw_ellipses(image, centers, covariances, colors, opacity=1)
    assert both[30, 30].tolist() == list(RED), 'the small one lies on top, whatever the order'
    np.testing.assert_array_equal(both, draw_ellipses(image, centers, covariances[::-1], colors[::-1], opacity=1))


def test_keypoints_far_away_do_not_stop_the_drawing():
    image = np.zeros((40, 40, 3), np.uint8)
    centers = np.array([[np.nan, 3], [1e9, 1e9], [20, 20]])
    covariances = np.stack([np.eye(2), np.eye(2), 1e12 * np.eye(2)])
    assert draw_ellipses(image, centers, covariances, [RED] * 3)[20, 20, 2] > 0


def test_pose_drawer_adds_ellipses_of_seen_keypoints_in_their_colours():
    image = np.full((100, 100, 3), 128, np.uint8)
    keypoints, scores = np.full((1, 17, 2), 20.0), np.zeros((1, 17))
    keypoints[0, 7], scores[0, 7] = (60, 50), 1.0
    covariances = np.broadcast_to(25 * np.eye(2), (1, 17, 2, 2))
    drawer = PoseDrawer()
    plain, with_ellipses = drawer.draw(image, keypoints, scores), drawer.draw(image, keypoints, scores, covariances)
    changed = np.argwhere((plain != with_ellipses).any(axis=-1))
    assert np.linalg.norm(changed - (50, 60), axis=1).max() < 5 * np.sqrt(chi2.ppf(0.9, df=2)) + 5
    tint = with_ellipses[50, 66].astype(float) - 128
    direction = drawer.keypoint_colors_bgr[7] - 128
    assert tint @ direction / np.linalg.norm(tint) / np.linalg.norm(direction) > 0.99


def test_drawing_on_a_view_of_an_image_works():
    flipped = np.zeros((30, 30, 3), np.uint8)[:, ::-1, ::-1]
    assert draw_ellipses(flipped, np.array([[15.0, 15.0]]), np.eye(2)[None] * 9, [RED]).max() > 0
    assert cv2.countNonZero(np.ascontiguousarray(flipped[..., 0])) == 0
