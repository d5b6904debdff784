"""Crops that stand and move, and maps that are moved along."""

import numpy as np
import pytest
import torch

from mmpose_diffusion.apis.streaming import Crop, moved_maps


def crop(center, size):
    return Crop(np.zeros(4), np.array(center, dtype=float), np.array(size, dtype=float))


def picture_of(place):
    """Maps [1, 1, 24, 18] of a smooth function of the position in the image, seen through a crop."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(18.0), indexing='ij')
    x = float(place.center[0]) + ((x + 0.5) / 18 - 0.5) * float(place.size[0])
    y = float(place.center[1]) + ((y + 0.5) / 24 - 0.5) * float(place.size[1])
    return (torch.sin(x / 20) + torch.cos(y / 15))[None, None]


@pytest.mark.parametrize('target', [crop((106, 80), (90, 120)), crop((100, 71), (90, 120)), crop((103, 77), (99, 132))])
def test_maps_move_with_the_crop(target):
    source = crop((100, 80), (90, 120))
    moved = moved_maps(picture_of(source), source, target)
    inner = (..., slice(4, -4), slice(4, -4))  # the border shows what the source did not
    error = (moved - picture_of(target))[inner].abs().max()
    assert error < 0.05 * (picture_of(source) - picture_of(target))[inner].abs().max()


def test_mirrored_maps_move_the_other_way():
    source, target = crop((100, 80), (90, 120)), crop((109, 83), (90, 120))
    maps = picture_of(source)[0]
    both = moved_maps(torch.stack([maps, maps.flip(-1)]), source, target)
    torch.testing.assert_close(both[1].flip(-1), both[0])


def test_maps_of_the_same_place_stay_as_they_are():
    maps = torch.randn(2, 3, 8, 6)
    assert moved_maps(maps, crop((5, 5), (9, 12)), crop((5, 5), (9, 12))) is maps


def test_a_crop_holds_a_person_who_trembles_and_not_one_who_leaves_or_comes_closer():
    # 80 high in a crop of 100: the height decides about the size.
    place = Crop(np.array([35.0, 10, 65, 90]), np.array([50.0, 50]), np.array([75.0, 100]))
    assert place.holds(np.array([36, 9, 66, 92]))
    assert place.holds(np.array([30, 10, 70, 90]))  # arms stretched
    assert not place.holds(np.array([40, 10, 70, 90]))
    assert not place.holds(np.array([35, 15, 65, 95]))
    assert not place.holds(np.array([34, 7, 66, 93]))
    assert not place.holds(np.array([36, 13, 64, 87]))
