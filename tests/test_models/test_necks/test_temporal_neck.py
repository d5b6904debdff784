import pytest
import torch

from mmpose_diffusion.models import KeyFrameNeck, TemporalNeck
from mmpose_diffusion.structures import FrameWindow


class MeanNeck(TemporalNeck):
    def fuse(self, frames, window):
        return frames.mean(dim=1)


def test_subclass_only_fuses_and_gets_clip_features():
    frames, window = torch.randn(2, 3, 4, 6, 5), FrameWindow.consecutive(2, 3)
    features = MeanNeck(4, 4)(frames, window)
    assert features.frames is frames
    assert features.window is window
    assert features.aligned is None
    torch.testing.assert_close(features.fused, frames.mean(1))


def test_neck_without_fusion_method_cannot_be_built():
    with pytest.raises(TypeError, match='abstract'):
        TemporalNeck(4, 4)


@pytest.mark.parametrize('channels', [0, -1, None, 2.0, True, (4,)])
def test_channels_must_be_positive_integers(channels):
    with pytest.raises(ValueError, match='MeanNeck: in_channels must be a positive integer'):
        MeanNeck(channels, 4)


@pytest.mark.parametrize(
    ('shape', 'window', 'message'),
    [
        ((2, 4, 6, 5), FrameWindow.consecutive(2, 3), r'MeanNeck takes maps \[B, T, C, h, w\]'),
        ((2, 3, 8, 6, 5), FrameWindow.consecutive(2, 3), 'in_channels=4, got maps of 8'),
        ((2, 3, 4, 6, 5), FrameWindow.consecutive(2, 5), r'describes \[2, 5\] .* the maps are \[2, 3\]'),
        ((2, 3, 4, 6, 5), FrameWindow.consecutive(1, 3), r'describes \[1, 3\]'),
    ],
)
def test_maps_that_do_not_fit_are_refused(shape, window, message):
    with pytest.raises(ValueError, match=message):
        MeanNeck(4, 4)(torch.zeros(shape), window)


@pytest.mark.parametrize('key_index', [0, 1, 2])
def test_key_frame_neck_passes_the_key_frame_on(key_index):
    frames = torch.randn(2, 3, 4, 6, 5)
    features = KeyFrameNeck(4)(frames, FrameWindow.consecutive(2, 3, key_index=key_index))
    assert torch.equal(features.fused, frames[:, key_index])
    assert list(KeyFrameNeck(4).parameters()) == []
