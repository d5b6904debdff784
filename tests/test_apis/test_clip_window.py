"""Every frame meets exactly the neighbours that the data set would give it, and no more are held."""

import gc
import weakref

import numpy as np
import pytest
from mmengine.dataset import Compose

from mmpose_diffusion.apis.clip_window import key_frames, window_frames
from mmpose_diffusion.apis.frame_sources import Frame
from mmpose_diffusion.datasets.transforms import LoadClip, SampleClip


def numbered(count, broken=(), sizes=None):
    """Frames whose pixels are their number."""
    for index in range(count):
        size = (4, 4) if sizes is None else sizes[index]
        image = None if index in broken else np.full((*size, 3), index % 256, np.uint8)
        yield Frame(index, image, f'{index:06d}.jpg')


@pytest.mark.parametrize('offsets', [(0,), (-1, 0, 1), (-2, -1, 0, 1, 2), (-4, -2, 0, 1), (-3, 0), (0, 2)])
@pytest.mark.parametrize('count', [1, 2, 7])
@pytest.mark.parametrize('broken', [(), (1,), (0, 3, 4), (6,)])
def test_clips_are_those_of_the_data_set(offsets, count, broken):
    pipeline = Compose([SampleClip(offsets), LoadClip()])
    video = [frame.image for frame in numbered(count, broken)]
    keys = list(key_frames(numbered(count, broken), -offsets[0], offsets[-1]))
    assert [key.frame.index for key in keys] == list(range(count))
    for key in keys:
        expected = pipeline(dict(frames=video, key_frame_index=key.frame.index))
        found = pipeline(dict(frames=[frame.image for frame in key.frames], key_frame_index=key.position))
        assert [image[0, 0, 0] for image in found['img']] == [image[0, 0, 0] for image in expected['img']]
        assert found['frame_is_real'] == expected['frame_is_real']
        if any(video[index] is not None for index in expected['clip_frame_indices']):
            frames, is_real = window_frames(key, offsets)
            assert [frame.image[0, 0, 0] for frame in frames] == [image[0, 0, 0] for image in expected['img']]
            assert tuple(is_real) == expected['frame_is_real']


def test_frames_of_another_size_are_another_video():
    sizes = [(4, 4)] * 3 + [(6, 6)] * 2 + [(4, 4)]
    keys = list(key_frames(numbered(6, sizes=sizes), 2, 2))
    assert [[frame.index for frame in key.frames] for key in keys] == [[0, 1, 2]] * 3 + [[3, 4]] * 2 + [[5]]
    assert [key.position for key in keys] == [0, 1, 2, 0, 1, 0]


def test_no_more_frames_are_held_than_a_clip_has():
    alive = 0

    def count(change):
        nonlocal alive
        alive += change

    def frames():
        for frame in numbered(300):
            count(1)
            weakref.finalize(frame.image, count, -1)
            yield frame
            del frame

    most = 0
    for key in key_frames(frames(), 2, 2):
        del key
        most = max(most, alive)
    gc.collect()
    assert most <= 6  # five of the window and one of the loop
    assert alive == 0
