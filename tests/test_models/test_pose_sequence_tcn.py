import pytest
import torch
from mmpose.models.heads import TemporalRegressionHead
from mmpose.registry import MODELS

from mmpose_diffusion.engine import load_config

FRAMES, JOINTS = 21, 4


def build(**options):
    torch.manual_seed(0)
    sizes = dict(num_frames=FRAMES, num_joints=JOINTS, width=8, kernel_sizes=(3, 5)) | options
    return MODELS.build(dict(type='PoseSequenceTCN', **sizes)).double().eval()


def clips(frames=FRAMES):
    return torch.randn(2, frames, JOINTS, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def lift(network, keypoints_2d):
    return network(network.embed(keypoints_2d))


@torch.no_grad()
def test_each_frame_is_lifted_as_mmpose_lifts_the_middle_of_its_window():
    network, keypoints_2d = build(), clips()
    head = TemporalRegressionHead(8, JOINTS).double()
    head.conv.load_state_dict(network.output.state_dict())
    poses = lift(network, keypoints_2d)
    assert poses.shape == (2, FRAMES, JOINTS, 3)
    frames = torch.arange(FRAMES)
    for frame in frames:
        window = keypoints_2d[:, torch.arange(frame - 7, frame + 8).clamp(0, FRAMES - 1)]  # 3 * 5 frames
        alone = head(network.tcn(window.flatten(2).transpose(1, 2)))  # [B, J, 3]
        torch.testing.assert_close(poses[:, frame], alone)


@torch.no_grad()
def test_a_frame_knows_those_within_reach_and_nothing_of_other_clips():
    network, keypoints_2d = build(), clips()
    changed = keypoints_2d.clone()
    changed[0, 3] += 1
    difference = (lift(network, changed) - lift(network, keypoints_2d)).abs().amax(dim=(2, 3))
    assert (difference[0, : 3 + 7 + 1] > 1e-6).all()
    assert not difference[0, 3 + 7 + 1 :].any()
    assert not difference[1].any()


def test_clips_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r'got \[2, 20, 4, 2\].*num_frames=21'):
        build().embed(clips(20))


def test_checkpoints_of_other_joints_and_even_kernels_are_refused():
    with pytest.raises(ValueError, match=r'is for 15 coordinates \(three times num_joints\), this model has 12'):
        build().load_state_dict(build(num_joints=5).state_dict())
    with pytest.raises(ValueError, match=r'kernel_sizes must be two or more odd numbers, got \(3, 4\)'):
        build(kernel_sizes=(3, 4))


@torch.no_grad()
def test_mixed_precision_leaves_the_coordinates_alone():
    network = build().float()
    expected = lift(network, clips().float())
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(lift(network, clips().float()), expected)


def test_the_tiny_one_has_the_size_of_the_tiny_denoiser():
    sizes = [
        sum(weight.numel() for weight in MODELS.build(load_config(f'{name}_tiny_synthetic').model).parameters())
        for name in ('d3dp', 'tcn')
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
