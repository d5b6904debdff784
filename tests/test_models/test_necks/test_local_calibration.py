import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import deform_conv2d

from mmpose_diffusion.models.necks.local_calibration import LocalCalibration, deformable_convolution


def centre_kernel(channels):
    return nn.init.dirac_(torch.empty(channels, channels, 3, 3)), torch.zeros(channels)


def test_without_offsets_and_modulation_it_is_a_dilated_convolution():
    maps, weight, bias = torch.randn(2, 4, 9, 7), torch.randn(4, 4, 3, 3), torch.randn(4)
    result = deformable_convolution(maps, weight, bias, torch.zeros(2, 36, 9, 7), torch.ones(2, 18, 9, 7), 2)
    torch.testing.assert_close(result, F.conv2d(maps, weight, bias, padding=2, dilation=2), rtol=1e-4, atol=1e-4)


def test_offsets_in_cells_move_each_group_of_channels_and_modulation_scales_it():
    maps = torch.randn(1, 4, 6, 8)
    offsets, modulation = torch.zeros(1, 2, 9, 2, 6, 8), torch.ones(1, 2, 9, 6, 8)
    offsets[:, 0, 4] = torch.tensor([1.0, -2.0])[:, None, None]  # centre tap: one row below, two columns to the left
    modulation[:, 1, 4] = 0.5
    result = deformable_convolution(maps, *centre_kernel(4), offsets.flatten(1, 3), modulation.flatten(1, 2), 3)
    expected = torch.cat((torch.zeros(1, 2, 6, 8), 0.5 * maps[:, 2:]), dim=1)
    expected[:, :2, :-1, 2:] = maps[:, :2, 1:, :-2]
    torch.testing.assert_close(result, expected)


def test_training_on_a_processor_computes_what_the_operator_does():
    torch.manual_seed(0)
    maps, weight, bias = torch.randn(2, 4, 5, 6), torch.randn(3, 4, 3, 3), torch.randn(3)
    offsets, modulation = 2 * torch.randn(2, 36, 5, 6), torch.rand(2, 18, 5, 6)
    leaves = [tensor.double().requires_grad_() for tensor in (maps, weight, bias, offsets, modulation)]
    trained = deformable_convolution(*leaves, 2)
    operator = deform_conv2d(leaves[0], leaves[3], *leaves[1:3], padding=2, dilation=2, mask=leaves[4])
    with torch.no_grad():
        torch.testing.assert_close(deformable_convolution(*leaves, 2), operator)
    torch.testing.assert_close(trained, operator)
    gradients = (torch.autograd.grad(result.sin().sum(), leaves) for result in (trained, operator))
    for ours, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, reference)


def test_predicts_small_offsets_and_a_modulation_around_one_for_each_tap_and_group():
    torch.manual_seed(0)
    offsets, modulation = LocalCalibration(6, 1, 3, 2).layers[0].predict(*torch.randn(2, 2, 6, 9, 7))
    assert offsets.shape == (2, 2 * 9 * 3, 9, 7)
    assert modulation.shape == (2, 9 * 3, 9, 7)
    assert 0 < offsets.abs().max() < 0.05
    assert 0 < (modulation - 1).abs().max() < 0.05


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    layer = LocalCalibration(2, 1, 2, 1, hidden_channels=4).double().layers[0]
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.steer.weight, std=0.1)
    inputs = [torch.randn(1, 2, 4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(layer, inputs, eps=1e-6, atol=1e-5)


def test_cells_that_move_differently_are_brought_back():
    """Half of the map moves up, half of it down: no global transformation undoes that."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    calibration = LocalCalibration(2, 1, 1, 1, hidden_channels=8)
    optimizer = torch.optim.Adam(calibration.parameters(), lr=1e-2)
    for _ in range(60):
        coarse = torch.randn(8, 2, 5, 5, generator=generator)
        keys = F.interpolate(coarse, (12, 10), mode='bicubic')
        supports = torch.cat((keys[..., :5].roll(1, dims=2), keys[..., 5:].roll(-1, dims=2)), dim=3)
        error = (calibration(supports, keys) - keys)[:, :, 2:-2].square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert error < 0.3 * (supports - keys)[:, :, 2:-2].square().mean()
