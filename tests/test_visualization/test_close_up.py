import cv2
import numpy as np
import pytest

from mmpose_diffusion.visualization import close_up


def test_points_and_spread_move_with_the_image():
    image = np.zeros((100, 120, 3), np.uint8)
    cv2.circle(image, (70, 40), 3, (255, 255, 255), cv2.FILLED)
    view = close_up(image, np.array([65.0, 45.0]), np.array([30.0, 40.0]), height=160)
    assert view.image.shape == (160, 120, 3)
    spot = np.argwhere(view.image[..., 0] > 127)[:, ::-1]
    np.testing.assert_allclose(spot.mean(axis=0), view.to_close_up([70, 40]), atol=0.6)
    drawn = np.cov(spot.T)
    expected = view.to_close_up_covariances(np.cov(np.argwhere(image[..., 0] > 127)[:, ::-1].T))
    np.testing.assert_allclose(drawn, expected, rtol=0.15, atol=1)


def test_outside_of_the_image_is_grey():
    view = close_up(np.full((10, 10, 3), 255, np.uint8), np.zeros(2), np.array([10.0, 10.0]), height=20)
    assert (view.image[0, 0] == 96).all()
    assert (view.image[15, 15] == 255).all()


@pytest.mark.parametrize('size', [(0, 5), (5, -1), (5, 5, 5)])
def test_empty_parts_are_refused(size):
    with pytest.raises(ValueError, match='positive size'):
        close_up(np.zeros((8, 8, 3), np.uint8), np.zeros(2), np.array(size))
