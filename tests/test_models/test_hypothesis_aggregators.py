import pytest
import torch
from mmpose.registry import MODELS

NAMES = ['MeanCoordinates', 'MedianCoordinates', 'BestAgreement']


def build(name):
    return MODELS.build(dict(type=name))


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('shape', [(2, 1, 5, 2), (2, 4, 5, 2), (1, 5, 7, 17, 3)], ids=['one', 'keypoints', 'poses_3d'])
def test_hypotheses_disappear_and_the_order_of_them_does_not_matter(name, shape):
    generator = torch.Generator().manual_seed(0)
    coordinates, scores = torch.randn(shape, generator=generator), torch.rand(shape[:-1], generator=generator)
    merged, score = build(name)(coordinates, scores)
    assert merged.shape == (shape[0], *shape[2:])
    assert score.shape == (shape[0], *shape[2:-1])
    for values, again in zip((merged, score), build(name)(coordinates.flip(1), scores.flip(1)), strict=True):
        torch.testing.assert_close(again, values)
    if shape[1] == 1:
        torch.testing.assert_close(merged, coordinates[:, 0])


@pytest.mark.parametrize(('name', 'expected'), [('MedianCoordinates', 1.5), ('MeanCoordinates', 25.75)])
def test_a_far_hypothesis_moves_the_mean_but_not_the_median(name, expected):
    coordinates = torch.tensor([0.0, 1.0, 2.0, 100.0])[None, :, None, None]
    assert build(name)(coordinates, torch.ones(1, 4, 1))[0].item() == expected


def test_best_agreement_chooses_one_of_the_hypotheses_for_each_keypoint_with_its_score():
    # keypoint 0: three near 0 and two near 10; keypoint 1: the other way round
    coordinates = torch.tensor([[[0.0], [10]], [[0.1], [10.1]], [[0.2], [10.2]], [[10], [0]], [[10.1], [0.1]]])[None]
    scores = torch.arange(10.0).reshape(1, 5, 2)
    merged, score = build('BestAgreement')(coordinates, scores)
    torch.testing.assert_close(merged, torch.tensor([[[0.2], [10.0]]]))
    torch.testing.assert_close(score, torch.tensor([[4.0, 1.0]]))


def test_mean_heatmap_has_a_low_peak_where_hypotheses_disagree():
    heatmaps = torch.zeros(1, 2, 2, 4, 4)
    heatmaps[0, :, 0, 1, 1] = 1  # agreed
    heatmaps[0, 0, 1, 0, 0] = heatmaps[0, 1, 1, 3, 3] = 1
    merged = build('MeanHeatmap')(heatmaps)
    assert merged.amax(dim=(2, 3)).tolist() == [[1.0, 0.5]]
