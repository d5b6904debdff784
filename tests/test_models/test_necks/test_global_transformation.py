import pytest
import torch
import torch.nn.functional as F

from mmpose_diffusion.models.necks.global_transformation import GlobalTransformation, affine_warp

IDENTITY = torch.tensor([[1.0, 0, 0], [0, 1, 0]])


def blobs(number, generator, channels=4, size=(16, 12), blobs_each=2, spread=2.0):
    """Smooth maps [N, C, h, w]: in each channel a few Gaussian blobs, away from the border."""
    rows, columns = (torch.arange(length) + 0.5 for length in size)
    shape = (number, channels, blobs_each, 1, 1)
    row, column = ((0.2 + 0.6 * torch.rand(shape, generator=generator)) * length for length in size)
    heights = 0.5 + torch.rand(shape, generator=generator)
    squared = (columns - column) ** 2 + (rows[:, None] - row) ** 2  # [N, C, blobs, h, w]
    return (heights * torch.exp(-squared / (2 * spread**2))).sum(dim=2)


def test_identity_changes_nothing():
    maps = torch.randn(2, 3, 7, 5)
    torch.testing.assert_close(affine_warp(maps, IDENTITY.expand(2, 2, 3)), maps)


def test_translation_by_whole_cells_moves_the_cells_and_fills_with_zero():
    maps = torch.randn(1, 3, 6, 8)
    matrix = IDENTITY.clone()
    matrix[:, 2] = torch.tensor([2 * 2 / 8, -2 * 1 / 6])  # read two columns to the right, one row above
    expected = torch.zeros_like(maps)
    expected[:, :, 1:, :-2] = maps[:, :, :-1, 2:]
    torch.testing.assert_close(affine_warp(maps, matrix[None]), expected)


@pytest.mark.parametrize('autocast', [False, True])
def test_warp_agrees_with_torch_in_full_precision(autocast):
    maps, matrices = torch.randn(3, 4, 6, 5), torch.randn(3, 2, 3)
    places = F.affine_grid(matrices, list(maps.shape), align_corners=False)
    expected = F.grid_sample(maps, places, align_corners=False)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        torch.testing.assert_close(affine_warp(maps, matrices), expected, rtol=1e-4, atol=1e-5)


def test_translation_has_two_free_numbers_and_affine_six():
    torch.manual_seed(0)
    supports, keys = torch.randn(2, 3, 4, 8, 6)
    for kind, free in (('translation', [[0, 0, 1], [0, 0, 1]]), ('affine', [[1, 1, 1], [1, 1, 1]])):
        matrices = GlobalTransformation(4, kind).predict(supports, keys)
        assert torch.equal(matrices != IDENTITY, torch.tensor(free, dtype=torch.bool).expand(3, 2, 3)), kind


@pytest.mark.parametrize('kind', ['translation', 'affine'])
def test_starts_within_a_hundredth_of_a_cell_of_the_identity(kind):
    torch.manual_seed(0)
    supports, keys = torch.randn(2, 2, 48, 96, 72)
    change = GlobalTransformation(48, kind).predict(supports, keys) - IDENTITY
    assert change.any()
    assert change.abs().sum(dim=2).max() * 96 / 2 < 0.05


def train_to_undo(transformation, random_matrices, steps=200):
    """Train on maps warped at random; returns fresh warp matrices, their predicted inverses and the error left."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(transformation.parameters(), lr=3e-3)
    for step in range(steps + 1):
        keys = blobs(16 if step < steps else 64, generator)
        matrices = random_matrices(len(keys), generator)
        supports = affine_warp(keys, matrices)
        error = (transformation(supports, keys) - keys).square().mean()
        if step < steps:
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
    with torch.no_grad():
        return matrices, transformation.predict(supports, keys), (error / (supports - keys).square().mean()).item()


def random_translations(number, generator):
    """Up to two cells in each direction on maps of 16x12."""
    matrices = IDENTITY.repeat(number, 1, 1)
    matrices[:, :, 2] += (2 * torch.rand(number, 2, generator=generator) - 1) * torch.tensor([4 / 12, 4 / 16])
    return matrices


def random_affine(number, generator):
    """A translation, and up to 20 % of stretching and shearing."""
    matrices = random_translations(number, generator)
    matrices[:, :, :2] += 0.4 * (torch.rand(number, 2, 2, generator=generator) - 0.5)
    return matrices


def test_translation_of_the_support_frame_is_recovered():
    torch.manual_seed(0)
    matrices, predicted, error = train_to_undo(GlobalTransformation(4, 'translation', 16), random_translations)
    in_cells = torch.tensor([12 / 2, 16 / 2])
    true_shift, undone = matrices[..., 2] * in_cells, predicted[..., 2] * in_cells
    moved, left = true_shift.norm(dim=1).mean(), (true_shift + undone).norm(dim=1).mean()
    assert moved > 1.3
    assert left < 0.3 * moved
    assert error < 0.15


def test_affine_transformation_of_the_support_frame_is_mostly_undone():
    torch.manual_seed(0)
    _, _, error = train_to_undo(GlobalTransformation(4, 'affine', 16), random_affine)
    assert error < 0.25
