import pytest
import torch
from torch import nn

from mmpose_diffusion.models import KeyFrameNeck, SupportFusionNeck
from mmpose_diffusion.models.necks.support_fusion_neck import masked_mean_over_supports, offset_encoding
from mmpose_diffusion.structures import FrameWindow


def test_offsets_are_told_apart_by_direction_and_distance():
    encoded = offset_encoding(torch.tensor([-8, -1, 0, 1, 8]))
    assert encoded.unique(dim=0).shape == (5, 2)
    torch.testing.assert_close(encoded.flip(0), encoded * torch.tensor([-1.0, 1.0]))
    assert encoded.abs().max() < 3


def test_weights_with_the_option_to_decline_follow_the_formula():
    messages = torch.tensor([2.0, 4.0]).reshape(1, 2, 1, 1, 1)
    logits = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1, 1)
    e1, e2 = torch.tensor(1.0).exp(), torch.tensor(2.0).exp()
    both = masked_mean_over_supports(messages, logits, torch.tensor([[True, True]]))
    torch.testing.assert_close(both.squeeze(), (2 * e1 + 4 * e2) / (1 + e1 + e2))
    first = masked_mean_over_supports(messages, logits, torch.tensor([[True, False]]))
    torch.testing.assert_close(first.squeeze(), 2 * e1 / (1 + e1))


@pytest.mark.parametrize('num_supports', [0, 2])
def test_no_real_support_adds_nothing_instead_of_not_a_number(num_supports):
    maps = torch.randn(2, num_supports, 4, 3, 3, requires_grad=True)
    result = masked_mean_over_supports(maps, maps, torch.zeros(2, num_supports, dtype=torch.bool))
    assert torch.equal(result, torch.zeros(2, 4, 3, 3))
    result.sum().backward()
    assert maps.grad.isfinite().all()


@pytest.mark.parametrize('num_frames', [1, 5])
def test_clip_without_real_supports_gives_exactly_the_key_frame(num_frames):
    frames = torch.randn(2, num_frames, 16, 4, 3)
    window = FrameWindow.consecutive(2, num_frames)
    is_real = window.offsets == 0
    features = SupportFusionNeck(16)(frames, window._replace(is_real=is_real))
    assert torch.equal(features.fused, features.key)


def test_training_starts_close_to_the_key_frame():
    torch.manual_seed(0)
    neck = SupportFusionNeck(32)
    neck.init_weights()
    features = neck(torch.randn(2, 5, 32, 8, 6), FrameWindow.consecutive(2, 5))
    distance = (features.fused - features.key).norm() / features.key.norm()
    assert 0 < distance < 0.02


def test_result_depends_on_when_a_support_was_seen():
    torch.manual_seed(0)
    neck = SupportFusionNeck(16).eval()
    frames = torch.randn(1, 3, 16, 6, 4)
    near, far = (
        FrameWindow.consecutive(1, 3),
        FrameWindow.consecutive(1, 3)._replace(offsets=torch.tensor([[-9, 0, 9]])),
    )
    assert not torch.equal(neck(frames, near).fused, neck(frames, far).fused)


def test_width_must_suit_the_normalisation():
    with pytest.raises(ValueError, match='hidden_channels=20 must be a multiple of norm_groups=8'):
        SupportFusionNeck(16, hidden_channels=20)


def hidden_keypoint_clips(batch_size, generator, size=8):
    """Clips [B, 3, 2, 8, 8] of a spot that moves one cell per frame, and where the key frame does not show it.

    Channel 0 holds the spot, channel 1 noise. Target [B, 1, 8, 8] is the spot in the key frame, which half of the clips
    hide there: only the supports tell where it is.
    """
    row, column = torch.randint(1, size - 1, (2, batch_size), generator=generator)
    index = torch.arange(batch_size)
    frames = torch.zeros(batch_size, 3, 2, size, size)
    frames[:, :, 1] = 0.3 * torch.randn(batch_size, 3, size, size, generator=generator)
    for frame, shift in enumerate((-1, 0, 1)):
        frames[index, frame, 0, row, column + shift] = 1
    target = frames[:, 1, :1].clone()
    frames[: batch_size // 2, 1, 0] = 0
    return frames, target


def trained_error(neck, steps=80):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    head = nn.Conv2d(2, 1, 3, padding=1)
    optimizer = torch.optim.Adam([*neck.parameters(), *head.parameters()], lr=1e-2)
    window = FrameWindow.consecutive(32, 3)
    for _ in range(steps):
        frames, target = hidden_keypoint_clips(32, generator)
        loss = (head(neck(frames, window).fused) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    frames, target = hidden_keypoint_clips(32, generator)
    with torch.no_grad():
        return (head(neck(frames, window).fused) - target).square().sum(dim=(1, 2, 3)).mean().item()


def test_fusion_learns_where_a_hidden_keypoint_is_from_its_neighbours_in_time():
    torch.manual_seed(0)
    without, fused = trained_error(KeyFrameNeck(2)), trained_error(SupportFusionNeck(2, 16, dilations=(1, 2)))
    assert without > 0.4  # half of the spots cannot be known from the key frame
    assert fused < 0.25 * without
