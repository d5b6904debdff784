import pickle

import cv2
import numpy as np
import pytest

from mmpose_diffusion.datasets.transforms import LoadClip, SampleClip, UnreadableFrameError
from mmpose_diffusion.datasets.transforms.frame_cache import FrameCache


@pytest.fixture
def frames(tmp_path):
    """Ten image files; all pixels of frame f are 10 * f."""
    paths = [str(tmp_path / f'{number:06d}.png') for number in range(10)]
    for number, path in enumerate(paths):
        cv2.imwrite(path, np.full((6, 8, 3), 10 * number, dtype=np.uint8))
    return paths


def load(loader, offsets=(-1, 0, 1), **sample):
    return loader.transform(SampleClip(offsets=offsets).transform(sample))


def values(results):
    return [int(frame[0, 0, 0]) for frame in results['img']]


def test_frames_of_a_video_come_in_order_of_time(frames):
    results = load(LoadClip(), video_frames=frames, key_frame_index=4)
    assert values(results) == [30, 40, 50]
    assert results['img_path'] == frames[4]
    assert results['img_shape'] == results['ori_shape'] == (6, 8)
    assert results['broken_frames'] == ()


def test_colours_stay_blue_green_red(tmp_path):
    blue = np.zeros((4, 4, 3), dtype=np.uint8)
    blue[..., 0] = 200
    cv2.imwrite(str(tmp_path / 'blue.png'), blue)
    results = load(LoadClip(), offsets=(0,), img_path=str(tmp_path / 'blue.png'))
    np.testing.assert_array_equal(results['img'][0], blue)


def test_single_array_fills_the_clip_and_is_not_touched():
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    results = load(LoadClip(), img=image, img_path='00000000.jpg')
    assert all(frame is image for frame in results['img'])
    assert image.flags.writeable
    assert results['img_path'] == '00000000.jpg'


def test_frames_may_be_given_as_arrays():
    arrays = [np.full((4, 4, 3), value, dtype=np.uint8) for value in (1, 2, 3)]
    assert values(load(LoadClip(), frames=arrays, key_frame_index=2)) == [2, 3, 3]


@pytest.mark.parametrize('array', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), 'a.jpg'])
def test_array_that_is_no_colour_image_is_refused(array):
    with pytest.raises(ValueError, match=r'img\[0\] must be a uint8 array of shape \(height, width, 3\)'):
        LoadClip().transform(SampleClip(offsets=(0,)).transform({'img': array}))


def test_frames_of_a_video_file(tmp_path):
    path = str(tmp_path / 'video.avi')
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for number in range(6):
        writer.write(np.full((48, 64, 3), 40 * number, dtype=np.uint8))
    writer.release()
    loader = LoadClip()
    for key, expected in ((3, (80, 120, 160)), (0, (0, 0, 40)), (5, (160, 200, 200))):
        results = load(loader, video_path=path, key_frame_index=key)
        np.testing.assert_allclose(values(results), expected, atol=3)
    assert results['frame_is_real'] == (True, True, False)
    assert loader.num_decoded_frames == 6  # frames 4 and 3 were there already
    pickle.loads(pickle.dumps(loader))


def test_missing_video_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.mp4'):
        load(LoadClip(), video_path=str(tmp_path / 'nothing.mp4'), key_frame_index=0)


def test_neighbouring_windows_and_people_decode_each_frame_once(frames):
    loader = LoadClip()
    for key in range(10):
        for _ in range(3):
            load(loader, offsets=(-2, -1, 0, 1, 2), video_frames=frames, key_frame_index=key)
    assert loader.num_decoded_frames == 10


def test_without_cache_each_clip_decodes_its_own_frames_once(frames):
    loader = LoadClip(cache_megabytes=0)
    first = load(loader, offsets=(-2, -1, 0, 1, 2), video_frames=frames, key_frame_index=0)
    assert first['num_decoded_frames'] == 3  # the border repeats need no decoding
    assert load(loader, video_frames=frames, key_frame_index=5)['num_decoded_frames'] == 3
    assert load(loader, video_frames=frames, key_frame_index=5)['num_decoded_frames'] == 3


def test_cached_frames_cannot_be_written_into(frames):
    results = load(LoadClip(), video_frames=frames, key_frame_index=4)
    with pytest.raises(ValueError, match='read-only'):
        results['img'][0][:] = 0


def test_cache_keeps_its_limit_and_drops_the_oldest_frame():
    frame_bytes = 100 * 100 * 3
    cache = FrameCache(max_bytes=3 * frame_bytes + 3 * FrameCache.BYTES_PER_ENTRY)
    decoded = []

    def decode(key):
        return cache.get(key, lambda: decoded.append(key) or np.zeros((100, 100, 3), np.uint8))

    for key in 'abcadab':
        decode(key)
        assert cache.num_bytes <= cache.max_bytes
    assert ''.join(decoded) == 'abcdb'  # `a` was used again before `d` came, so `b` had to go
    assert len(cache) == 3


def test_frame_larger_than_the_cache_is_passed_through():
    cache = FrameCache(max_bytes=1000)
    assert cache.get('a', lambda: np.zeros((100, 100, 3), np.uint8)).shape == (100, 100, 3)
    assert (len(cache), cache.num_bytes) == (0, 0)


def test_copy_for_a_worker_starts_with_an_empty_cache(frames):
    loader = LoadClip()
    load(loader, video_frames=frames, key_frame_index=4)
    copy = pickle.loads(pickle.dumps(loader))
    assert len(loader.cache) == 3
    assert (len(copy.cache), copy.cache.num_bytes) == (0, 0)
    assert values(load(copy, video_frames=frames, key_frame_index=4)) == [30, 40, 50]


def break_file(path, how):
    with open(path, 'rb') as file:
        content = file.read()
    if how == 'missing':
        import os

        os.remove(path)
        return
    broken = {'cut': content[: len(content) // 2], 'empty': b'', 'no image': b'hello ' * 100}[how]
    with open(path, 'wb') as file:
        file.write(broken)


@pytest.mark.parametrize('how', ['missing', 'cut', 'empty', 'no image'])
def test_broken_support_frame_is_replaced_counted_and_marked(frames, how):
    break_file(frames[6], how)
    loader = LoadClip()
    results = load(loader, offsets=(-2, -1, 0, 1, 2), video_frames=frames, key_frame_index=5)
    assert values(results) == [30, 40, 50, 50, 70]
    assert results['frame_is_real'] == (True, True, True, False, True)
    assert results['broken_frames'] == (3,)
    assert loader.num_broken_frames == 1


def test_broken_key_frame_is_replaced_by_its_nearest_neighbour_and_stays_the_key(frames):
    break_file(frames[5], 'missing')
    results = load(LoadClip(), offsets=(-2, 0, 1), video_frames=frames, key_frame_index=5)
    assert values(results) == [30, 60, 60]
    assert results['broken_frames'] == (1,)
    assert results['frame_is_real'] == (True, True, True)
    assert results['img_path'] == frames[5]


def test_clip_without_a_readable_frame_is_grey_in_the_annotated_size(tmp_path):
    results = load(LoadClip(), img_path=str(tmp_path / 'nothing.jpg'), img_shape=(30, 40), bbox=np.zeros((1, 4)))
    assert {frame.shape for frame in results['img']} == {(30, 40, 3)}
    assert values(results) == [128, 128, 128]
    assert results['broken_frames'] == (0, 1, 2)


def test_clip_without_readable_frame_or_size_is_large_enough_for_the_box(tmp_path):
    results = load(LoadClip(), img_path=str(tmp_path / 'nothing.jpg'), bbox=np.array([[5.0, 5.0, 20.5, 31.0]]))
    assert results['img_shape'] == (31, 21)


def test_broken_frame_is_named_once_in_the_log(frames, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmpose_diffusion.datasets.transforms.load_clip.print_log', lambda message, **_: lines.append(message)
    )
    break_file(frames[5], 'missing')
    for loader in (LoadClip(), LoadClip(cache_megabytes=0)):
        lines.clear()
        for key in (4, 5, 6, 5):
            load(loader, video_frames=frames, key_frame_index=key)
        assert len(lines) == 1
        assert frames[5] in lines[0]
        assert 'the file is missing' in lines[0]


def test_broken_file_is_tried_once_while_it_is_in_the_cache(frames):
    break_file(frames[5], 'cut')
    loader = LoadClip()
    for _ in range(5):
        load(loader, video_frames=frames, key_frame_index=5)
    assert loader.num_decoded_frames == 3


@pytest.mark.parametrize('how', ['missing', 'cut', 'empty'])
def test_strict_loading_raises_and_names_the_file(frames, how):
    break_file(frames[6], how)
    with pytest.raises(UnreadableFrameError, match=frames[6]):
        load(LoadClip(strict=True), video_frames=frames, key_frame_index=5)


def test_clip_must_be_sampled_before_it_is_loaded():
    with pytest.raises(ValueError, match='put SampleClip before it'):
        LoadClip().transform({'img_path': 'a.jpg'})
