"""The promises of a temporal neck are worth something only if a neck that breaks one is caught."""

import pytest
import torch
from torch import nn

from mmpose_diffusion.models import KeyFrameNeck, SupportFusionNeck, TemporalNeck
from mmpose_diffusion.testing import check_temporal_neck, random_clips


class MeanOverTheBatch(TemporalNeck):
    """People of a batch leak into each other."""

    def fuse(self, frames, window):
        return frames[:, window.key_index] + frames.mean(dim=(0, 1))


class FlattenedAttention(TemporalNeck):
    """Tokens (position, batch, frame) folded into (position * frame, batch), as a published model did."""

    def fuse(self, frames, window):
        batch, num_frames, channels, height, width = frames.shape
        tokens = frames.permute(3, 4, 0, 1, 2).reshape(-1, batch, channels)
        mixed = (tokens @ tokens.transpose(1, 2)).softmax(-1) @ tokens
        return mixed.reshape(num_frames, height, width, batch, channels).mean(0).permute(2, 3, 0, 1)


class DependsOnPlace(TemporalNeck):
    """The first clip of a batch is special."""

    def fuse(self, frames, window):
        first = torch.arange(len(frames)) == 0
        return frames[:, window.key_index] + first[:, None, None, None]


class TrustsBorderRepeats(TemporalNeck):
    """Frames outside the video count as evidence."""

    def fuse(self, frames, window):
        return frames.mean(dim=1)


class IdleBranch(TemporalNeck):
    """A parameter that a single frame does not reach."""

    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels)
        self.gain = nn.Parameter(torch.ones(1))

    def fuse(self, frames, window):
        key = frames[:, window.key_index]
        return key * self.gain if window.num_frames > 1 else key


class FixedLength(TemporalNeck):
    """Only three frames."""

    def fuse(self, frames, window):
        return frames[:, 0] + frames[:, 1] + frames[:, 2]


class OtherWidth(TemporalNeck):
    """Promises more channels than it gives."""

    def fuse(self, frames, window):
        return frames[:, window.key_index, :-1]


@pytest.mark.parametrize(
    ('neck', 'message'),
    [
        (MeanOverTheBatch, 'a clip alone and in a batch must give the same'),
        (FlattenedAttention, 'a clip alone and in a batch must give the same'),
        (DependsOnPlace, 'a clip alone and in a batch|order of the batch'),
        (TrustsBorderRepeats, 'frames that are not real must carry no weight'),
        (IdleBranch, r"1 frames: parameters without gradient: \['gain'\]"),
        (OtherWidth, 'promised 4 channels'),
    ],
)
def test_broken_promise_is_named(neck, message):
    with pytest.raises(AssertionError, match=message):
        check_temporal_neck(neck(4, 4))


def test_neck_for_one_clip_length_is_caught():
    with pytest.raises(IndexError):
        check_temporal_neck(FixedLength(4, 4))


@pytest.mark.parametrize('neck', [KeyFrameNeck(8), SupportFusionNeck(8, 16)])
def test_kept_promises_pass(neck):
    check_temporal_neck(neck)


def test_random_clips_repeat_the_nearest_real_frame_outside_the_video():
    clip = random_clips(num_frames=5, is_real=(False, False, True, True, False))['inputs'][0]
    assert torch.equal(clip[0], clip[2])
    assert torch.equal(clip[1], clip[2])
    assert torch.equal(clip[4], clip[3])
    assert not torch.equal(clip[3], clip[2])
