import cv2
import numpy as np
import pytest

from mmpose_diffusion.datasets.transforms.image_files import decode_image, is_cut_jpeg


@pytest.fixture
def jpeg():
    coarse = np.random.default_rng(0).integers(0, 255, (8, 12, 3), dtype=np.uint8)
    return cv2.imencode('.jpg', cv2.resize(coarse, (120, 80)))[1].tobytes()


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9, 0.999])
def test_cut_jpeg_is_noticed_wherever_it_stops(jpeg, share):
    content = jpeg[: int(len(jpeg) * share)]
    assert is_cut_jpeg(content)
    with pytest.raises(ValueError, match=f'cut short after {len(content)} bytes'):
        decode_image(content)


def test_complete_jpeg_is_not_called_cut(jpeg):
    assert not is_cut_jpeg(jpeg)
    assert not is_cut_jpeg(jpeg + b'\x00' * 100)  # padding behind the end
    assert not is_cut_jpeg(jpeg + b'trailer \xff\xda of a camera')
    assert decode_image(jpeg).shape == (80, 120, 3)


def test_end_of_an_embedded_thumbnail_is_not_the_end(jpeg):
    segment = jpeg[:2] + b'\xff\xe1' + (len(jpeg) + 2).to_bytes(2, 'big') + jpeg + jpeg[2:]
    assert not is_cut_jpeg(segment)
    assert is_cut_jpeg(segment[:-200])


def test_progressive_jpeg_has_many_scans(jpeg):
    progressive = cv2.imencode('.jpg', decode_image(jpeg), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert progressive.count(b'\xff\xda') > 1
    assert not is_cut_jpeg(progressive)
    assert is_cut_jpeg(progressive[:-100])


def test_file_without_its_end_marker_counts_as_cut_also_if_it_is_padded(jpeg):
    assert is_cut_jpeg(jpeg[:-2])
    assert is_cut_jpeg(jpeg[: len(jpeg) // 2] + b'\x00' * (len(jpeg) // 2))


def test_other_formats_are_left_to_the_decoder():
    image = np.full((5, 7, 3), 9, dtype=np.uint8)
    content = cv2.imencode('.png', image)[1].tobytes()
    assert not is_cut_jpeg(content)
    np.testing.assert_array_equal(decode_image(content), image)
    np.testing.assert_array_equal(decode_image(content, backend='pillow'), image)


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('content', [b'', b'no image at all', b'\x89PNG\r\n\x1a\n'])
def test_bytes_that_are_no_image_are_refused_by_every_backend(content, backend):
    with pytest.raises(ValueError, match='empty|refuses|cannot read'):
        decode_image(content, backend=backend)
