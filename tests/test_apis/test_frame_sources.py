"""Frames of good and bad videos, folders and lists."""

import cv2
import numpy as np
import pytest

from mmpose_diffusion.apis.frame_sources import ASSUMED_FPS, open_frames

from .conftest import write_video


def pictures(count, size=(48, 64)):
    """Frames of a moving pattern, each of a brightness of its own."""
    pattern = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 60, (*size, 3), dtype=np.uint8), (9, 9), 3)
    return [np.roll(pattern, 2 * index, axis=1) + np.uint8(20 + 160 * index / count) for index in range(count)]


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr('mmpose_diffusion.apis.frame_sources.print_log', lambda line, **_: lines.append(line))
    return lines


def brightness(frames):
    return [float(frame.image.mean()) for frame in frames]


@pytest.mark.parametrize('codec', ['mp4v', 'MJPG'])
def test_video_is_read_frame_by_frame_with_its_frame_rate(tmp_path, codec):
    images = pictures(10)
    path = write_video(tmp_path / f'walk.{"avi" if codec == "MJPG" else "mp4"}', images, fps=29.97, codec=codec)
    source = open_frames(path)
    assert (source.name, source.is_video, source.num_frames) == ('walk', True, 10)
    assert source.fps == pytest.approx(29.97, abs=1e-3)
    for _ in range(2):  # each iteration reads anew
        frames = list(source)
        assert [frame.index for frame in frames] == list(range(10))
        np.testing.assert_allclose(brightness(frames), [image.mean() for image in images], atol=3)
    assert open_frames(path, fps=7).fps == 7


def jpeg_places(content):
    """Where the frames of an .avi of JPEGs begin."""
    return [place for place in range(len(content)) if content[place : place + 3] == b'\xff\xd8\xff']


def test_video_that_ends_in_the_middle_gives_what_it_has(tmp_path, log):
    path = tmp_path / 'walk.avi'
    write_video(path, pictures(20), codec='MJPG')
    content = path.read_bytes()
    path.write_bytes(content[: jpeg_places(content)[10] + 300])
    frames = list(open_frames(path))
    assert 10 <= len(frames) <= 11
    assert f'walk ends after {len(frames)} of the 20 frames' in log[0]


@pytest.mark.parametrize(('damaged', 'lost'), [(range(10, 11), True), (range(12), True), (range(15, 20), False)])
def test_corrupt_frames_of_a_video_are_skipped_over(tmp_path, damaged, lost):
    path = tmp_path / 'walk.avi'
    write_video(path, pictures(20), codec='MJPG')
    content = bytearray(path.read_bytes())
    places = [*jpeg_places(content), len(content)]
    for index in damaged:
        content[places[index] : places[index] + 300] = bytes(300)
    path.write_bytes(content)
    frames = list(open_frames(path))
    assert [frame.index for frame in frames] == list(range(20 if lost else 15))  # at the end there is nothing to bridge
    assert [frame.index for frame in frames if frame.image is None] == (list(damaged) if lost else [])


@pytest.mark.parametrize('content', [b'', b'no video at all', None], ids=['empty', 'text', 'no frames'])
def test_video_without_frames_is_refused(tmp_path, content):
    path = tmp_path / 'walk.avi'
    if content is None:
        cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25, (64, 48)).release()
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match='walk.avi is not a video with frames'):
        open_frames(path)


@pytest.mark.parametrize('fps', [0, -5, float('nan'), float('inf')])
def test_impossible_frame_rates_are_refused_or_replaced(tmp_path, fps, monkeypatch):
    path = write_video(tmp_path / 'walk.avi', pictures(3), codec='MJPG')
    with pytest.raises(ValueError, match='fps'):
        open_frames(path, fps=fps)
    get = cv2.VideoCapture.get

    class Capture:
        def __init__(self, path):
            self.capture = cv2_capture(path)

        def __getattr__(self, name):
            return getattr(self.capture, name)

        def get(self, key):
            return fps if key == cv2.CAP_PROP_FPS else get(self.capture, key)

    cv2_capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, 'VideoCapture', Capture)
    assert open_frames(path).fps == ASSUMED_FPS


def test_folder_is_read_in_the_order_of_its_numbers_and_broken_images_are_named(tmp_path, log):
    for index, image in enumerate(pictures(12)):
        cv2.imwrite(str(tmp_path / f'frame_{index}.png'), image)
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / 'frame_3.png').write_bytes(b'broken')
    source = open_frames(tmp_path, images_are_video=True)
    frames = list(source)
    assert 'frame_3.png' in log[0]
    assert (source.is_video, source.num_frames, source.name) == (True, 12, tmp_path.name)
    assert [frame.image is None for frame in frames] == [index == 3 for index in range(12)]
    assert (np.diff(brightness(frame for frame in frames if frame.image is not None)) > 0).all()
    assert not open_frames(tmp_path).is_video


def test_arrays_and_paths_are_images(tmp_path):
    image = pictures(1)[0]
    cv2.imwrite(str(tmp_path / 'one.png'), image)
    for inputs in (image, [image], str(tmp_path / 'one.png'), [tmp_path / 'one.png']):
        source = open_frames(inputs)
        (frame,) = source
        np.testing.assert_array_equal(frame.image, image)
        assert not source.is_video


@pytest.mark.parametrize(
    ('inputs', 'error', 'message'),
    [
        ('missing.mp4', FileNotFoundError, 'missing.mp4'),
        (['missing.jpg'], FileNotFoundError, '1 of 1 images .* missing.jpg'),
        ([], ValueError, 'empty list'),
        (3, TypeError, 'int'),
        (np.zeros((4, 4), np.uint8), ValueError, r'image 0 .* uint8 \(4, 4\)'),
        (np.zeros((4, 4, 3)), ValueError, 'image 0 .* float64'),
        ('webcam:77', OSError, 'camera 77'),
    ],
)
def test_what_cannot_be_read_is_named(inputs, error, message):
    with pytest.raises(error, match=message):
        list(open_frames(inputs))


def test_a_camera_is_read_until_it_ends(tmp_path, monkeypatch):
    """A video file in the place of the device; opening and reading are OpenCV's."""
    images = pictures(10)
    path, opened = write_video(tmp_path / 'device.avi', images, fps=15, codec='MJPG'), []
    open_file = cv2.VideoCapture
    monkeypatch.setattr(cv2, 'VideoCapture', lambda number: opened.append(number) or open_file(path))
    source = open_frames('webcam:1')
    assert source.is_live
    assert (opened, source.name, source.is_video, source.num_frames, source.fps) == ([1], 'webcam', True, None, 15)
    np.testing.assert_allclose(brightness(source), [image.mean() for image in images], atol=3)


def test_what_is_only_named_webcam_is_no_camera(tmp_path):
    (tmp_path / 'webcam').mkdir()
    cv2.imwrite(str(tmp_path / 'webcam/0.png'), pictures(1)[0])
    for path in (tmp_path / 'webcam', write_video(tmp_path / 'webcam.mp4', pictures(3))):
        source = open_frames(path)
        assert (source.name, source.is_live) == ('webcam', False)


def test_lists_hold_no_videos_and_folders_hold_images(tmp_path):
    path = write_video(tmp_path / 'walk.mp4', pictures(3))
    with pytest.raises(ValueError, match='walk.mp4 is a video'):
        open_frames([path])
    with pytest.raises(ValueError, match='no image files'):
        open_frames(tmp_path)


def test_only_broken_images_are_an_error(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'broken')
    with pytest.raises(ValueError, match='none of 1 frames'):
        list(open_frames(tmp_path / 'a.jpg'))
