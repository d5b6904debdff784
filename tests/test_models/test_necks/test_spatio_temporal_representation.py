import pytest
import torch
from mmpose.registry import MODELS

from mmpose_diffusion.models.necks.spatio_temporal_representation import share_of_slots
from mmpose_diffusion.structures import FrameWindow
from mmpose_diffusion.testing import check_temporal_neck


def build(**options):
    torch.manual_seed(0)
    options = dict(in_channels=12, width=16, depth=2, num_heads=4, feature_size=(4, 6)) | options
    return MODELS.build(dict(type='SpatioTemporalRepresentationLearner', **options)).eval()


def maps(num_frames=5, size=(6, 4), seed=0):
    return torch.randn(2, num_frames, 12, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(key_frame_shortcut=True, drop_path_rate=0.2),
        dict(out_channels=7),
        dict(patch_size=2, key_frame_shortcut=True),
    ],
)
def test_promises_of_a_temporal_neck_hold(options):
    check_temporal_neck(build(**options))


@pytest.mark.parametrize('frame', range(5))
def test_every_frame_and_its_place_in_time_matter(frame):
    neck, clip, window = build(), maps(), FrameWindow.consecutive(2, 5)
    changed = clip.clone()
    changed[:, frame] = maps(seed=1)[:, frame]
    assert not torch.allclose(neck(changed, window).fused, neck(clip, window).fused)
    assert not torch.allclose(neck(clip.flip(1), window).fused, neck(clip, window).fused)


def test_every_cell_sees_every_cell_of_every_frame():
    neck, clip = build(), maps().requires_grad_()
    neck(clip, FrameWindow.consecutive(2, 5)).fused[0, :, 5, 3].sum().backward()
    assert (clip.grad[0].abs().sum(1) > 0).all()
    assert not clip.grad[1].any()


def test_frames_take_the_nearest_place_and_share_it_if_they_must():
    offsets = torch.tensor([[-3, -2, 0, 1, 9]])
    is_real = torch.tensor([[True, True, True, False, True]])
    slots, shares = share_of_slots(offsets, is_real, torch.tensor([-2, -1, 0, 1, 2]))
    assert slots.tolist() == [[0, 0, 2, 3, 4]]
    assert shares[0].tolist() == [[0.5, 0.5, 0, 0, 0], [0] * 5, [0, 0, 1, 0, 0], [0] * 5, [0, 0, 0, 0, 1]]


def test_key_frame_shortcut_passes_on_what_the_rest_has_lost():
    neck, window = build(key_frame_shortcut=True, out_channels=12), FrameWindow.consecutive(2, 5)
    with torch.no_grad():
        neck.aggregate[-1].weight.zero_()
        neck.shortcut.weight.copy_(torch.eye(12)[:, :, None, None])
    torch.testing.assert_close(neck(maps(), window).fused, maps()[:, 2])


def test_maps_of_another_size_get_interpolated_positions():
    neck = build()
    assert neck(maps(size=(8, 6)), FrameWindow.consecutive(2, 5)).fused.shape == (2, 12, 8, 6)
    same = neck._places(torch.Size((6, 4)))
    torch.testing.assert_close(same, neck.place_embedding.flatten(2).transpose(1, 2))


@pytest.mark.parametrize('frame_offsets', [(2, 0, -2), (-2, -1), (0, 0)])
def test_offsets_without_order_or_key_frame_are_refused(frame_offsets):
    with pytest.raises(ValueError, match='frame_offsets must ascend and contain 0'):
        build(frame_offsets=frame_offsets)


def test_patches_are_written_back_where_they_were_read():
    neck, clip = build(patch_size=2, depth=0), maps().requires_grad_()
    fused = neck(clip, FrameWindow.consecutive(2, 5)).fused
    assert fused.shape == (2, 12, 6, 4)
    fused[0, :, 3, 1].sum().backward()  # without attention a cell sees its own patch only: rows 2-3, columns 0-1
    seen = clip.grad[0].abs().sum(dim=(0, 1)) > 0
    assert seen.nonzero().tolist() == [[2, 0], [2, 1], [3, 0], [3, 1]]


def test_patches_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='patch_size=4 must divide both sides'):
        build(patch_size=4)
    with pytest.raises(ValueError, match=r'patch_size=2 must divide both sides of \[5, 4\] maps'):
        build(patch_size=2)(maps(size=(5, 4)), FrameWindow.consecutive(2, 5))


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match='width 16 cannot be split into 3 heads'):
        build(num_heads=3)
