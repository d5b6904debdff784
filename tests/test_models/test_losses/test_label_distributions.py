import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import KEYPOINT_CODECS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.models.losses.label_distributions import label_distributions
from mmpose_diffusion.testing import CODECS, INPUT_SIZE

WIDTH, HEIGHT = INPUT_SIZE
CODECS = {**CODECS, 'udp': dict(CODECS['heatmap'], type='UDPHeatmap')}
# Pixels between two places of the label, and how far its codec rounds the key point: UDP not at all.
PLACES = {'heatmap': 4.0, 'udp': (63 / 15, 95 / 23), 'integral': 4.0, 'simcc': 0.5, 'rtmcc': 0.5}
ROUNDING = {'heatmap': 2.0, 'udp': 0.0, 'integral': 2.0, 'simcc': 0.25, 'rtmcc': 0.25}


def labelled(codec, keypoints):
    """One sample for keypoints [1, K, 2] in pixels."""
    encoded = KEYPOINT_CODECS.build(CODECS[codec]).encode(keypoints, np.ones(keypoints.shape[:2], np.float32))
    sample = PoseDataSample(gt_instance_labels=InstanceData(), metainfo=dict(id=0))
    for name in ('keypoint_weights', 'keypoint_x_labels', 'keypoint_y_labels'):
        if name in encoded:
            sample.gt_instance_labels.set_field(torch.from_numpy(encoded[name]), name)
    if 'heatmaps' in encoded:
        sample.gt_fields = PixelData(heatmaps=torch.from_numpy(encoded['heatmaps']))
    return sample


def inside(num_keypoints=5, margin=24, seed=0):
    """Key points [1, K, 2] so far from the border that no label is cut."""
    rng = np.random.default_rng(seed)
    return rng.uniform(margin, np.array(INPUT_SIZE) - margin, (1, num_keypoints, 2)).astype(np.float32)


def label_density(sample):
    """What the label says of one person at its own resolution, [K, rows, columns], written with numpy."""
    if 'gt_fields' in sample:
        return sample.gt_fields.heatmaps.double().numpy()
    x, y = (sample.gt_instance_labels.get(f'keypoint_{axis}_labels')[0].double().numpy() for axis in 'xy')
    return np.einsum('ki,kj->kij', y, x)


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize('size', [(24, 16), (12, 8), (6, 2), (1, 1)])
def test_a_cell_has_the_share_of_the_label_that_lies_in_it(codec, size):
    sample = labelled(codec, inside())
    distributions, weights = label_distributions([sample], size)
    density = label_density(sample)
    rows, columns = (length // side for length, side in zip(density.shape[1:], size, strict=True))
    sums = density.reshape(-1, size[0], rows, size[1], columns).sum(axis=(2, 4))
    shares = sums / density.sum(axis=(1, 2))[:, None, None]
    np.testing.assert_allclose(distributions[0], shares, atol=1e-5)
    assert torch.equal(weights, torch.ones(1, 5))


@pytest.mark.parametrize('codec', CODECS)
def test_mean_of_the_finest_distribution_is_the_key_point_as_the_codec_rounds_it(codec):
    keypoints = inside()
    sample = labelled(codec, keypoints)
    (distributions,), _ = label_distributions([sample], label_density(sample).shape[1:])
    rows, columns = (torch.arange(length, dtype=torch.float) for length in distributions.shape[1:])
    means = torch.stack([(distributions.sum(dim=1) @ columns), (distributions.sum(dim=2) @ rows)], dim=1)
    error = (means * torch.tensor(PLACES[codec]) - torch.from_numpy(keypoints[0])).abs()
    assert error.max() <= ROUNDING[codec] + 0.02


@pytest.mark.parametrize('codec', [name for name in CODECS if name != 'udp'])
def test_a_key_point_one_cell_further_has_its_distribution_one_cell_further(codec):
    keypoints, cell = inside(), 8
    (before,), _ = label_distributions([labelled(codec, keypoints)], (HEIGHT // cell, WIDTH // cell))
    (after,), _ = label_distributions([labelled(codec, keypoints + (cell, -cell))], (HEIGHT // cell, WIDTH // cell))
    torch.testing.assert_close(after[:, :-1, 1:], before[:, 1:, :-1], atol=1e-3, rtol=0)


def test_all_codecs_put_a_key_point_into_the_same_cell():
    keypoints = np.array([[[28, 28], [36, 60], [20, 44]]], np.float32)  # centres of cells of 8 pixels
    for codec in CODECS:
        (distributions,), _ = label_distributions([labelled(codec, keypoints)], (HEIGHT // 8, WIDTH // 8))
        cells = distributions.flatten(1).argmax(dim=1)
        assert torch.equal(cells, torch.tensor([3 * 8 + 3, 7 * 8 + 4, 5 * 8 + 2])), codec


@pytest.mark.parametrize('codec', CODECS)
def test_odd_sizes_and_cut_labels_still_sum_to_one_and_no_label_weighs_nothing(codec):
    keypoints = np.array([[[1, 1], [WIDTH - 2, 40], [-500, 40]]], np.float32)
    distributions, weights = label_distributions([labelled(codec, keypoints)], (7, 5))
    torch.testing.assert_close(distributions[0, :2].sum(dim=(1, 2)), torch.ones(2))
    assert (distributions >= 0).all()
    assert distributions.isfinite().all()
    assert weights.tolist() == [[1, 1, 0]]
