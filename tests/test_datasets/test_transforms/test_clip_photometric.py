import numpy as np
import pytest

from mmpose_diffusion.datasets.transforms import ClipPhotometricDistortion


def test_all_frames_get_the_same_draw():
    frame = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    distort = ClipPhotometricDistortion()
    changed = 0
    for _ in range(20):
        first, second, third = distort.transform({'img': [frame, frame, frame]})['img']
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)
        assert first.shape == frame.shape
        changed += not np.array_equal(first, frame)
    assert changed > 10


def test_clip_is_distorted_as_mmpose_distorts_each_frame():
    from mmpose.datasets.transforms import PhotometricDistortion

    frames = list(np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8))
    for seed in range(10):
        np.random.seed(seed)  # noqa: NPY002  MMPose draws from the global generator
        clip = ClipPhotometricDistortion().transform({'img': [frame.copy() for frame in frames]})['img']
        for frame, distorted in zip(frames, clip, strict=True):
            np.random.seed(seed)  # noqa: NPY002
            np.testing.assert_array_equal(distorted, PhotometricDistortion().transform({'img': frame.copy()})['img'])


def test_frames_from_the_cache_are_not_written_into():
    frame = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    before = frame.copy()
    frame.setflags(write=False)
    for _ in range(20):
        ClipPhotometricDistortion().transform({'img': [frame, frame]})
    np.testing.assert_array_equal(frame, before)


def test_frames_of_several_sizes_are_refused():
    with pytest.raises(ValueError, match='behind TopdownAffine'):
        ClipPhotometricDistortion().transform({'img': [np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)]})
