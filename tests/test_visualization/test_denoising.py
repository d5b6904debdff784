import numpy as np
import pytest

from mmpose_diffusion.visualization import choose_rows, denoising_strip
from mmpose_diffusion.visualization.denoising import blend_heatmaps, enlarge_heatmap, mark_maximum
from mmpose_diffusion.visualization.tile_layout import GAP, LABEL, MARGIN, TITLE, lay_out

COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]])


def tile(strip, row, column, height, width):
    """A tile cut out of a strip with titles on both sides."""
    y, x = MARGIN + TITLE + row * (height + GAP), MARGIN + LABEL + column * (width + GAP)
    return strip[y : y + height, x : x + width]


def single_cells(places, size=(8, 6)):
    """A heatmap for each (row, column), which is 1 there and 0 elsewhere."""
    maps = np.zeros((len(places), *size))
    for heatmap, place in zip(maps, places, strict=True):
        heatmap[place] = 1
    return maps


def test_a_column_per_step_shows_that_step_and_a_row_its_joints():
    image = np.full((32, 24, 3), 60, np.uint8)
    places = [[(1, 1), (6, 4), (4, 2)], [(2, 4), (5, 1), (4, 2)]]  # [step][joint]
    estimates = np.concatenate([single_cells(of_step) for of_step in places])
    rows = {'all': [0, 1, 2], 'first': [0], 'second': [1]}
    strip = denoising_strip(image, estimates, [900, 100], rows, COLORS, height=64)
    assert strip.dtype == np.uint8
    assert strip.shape == (2 * MARGIN + TITLE + 3 * 64 + 2 * GAP, 2 * MARGIN + LABEL + 3 * 48 + 2 * GAP, 3)
    for row, joints in enumerate(rows.values()):
        np.testing.assert_array_equal(tile(strip, row, 0, 64, 48), 60)
        for step in range(2):
            shown = tile(strip, row, 1 + step, 64, 48).astype(int)
            for joint in joints:
                y, x = 8 * places[step][joint][0], 8 * places[step][joint][1]
                around = shown[y - 5 : y + 6, x - 5 : x + 6]
                saturation = around[..., joint] - np.delete(around, joint, axis=-1).max(axis=-1)
                assert saturation.max() > 100, f'joint {joint} of step {step}'


def test_brightness_is_relative_to_the_highest_of_the_row_so_that_certainty_grows():
    image = np.zeros((32, 24, 3), np.uint8)
    faint, clear = 0.1 * np.ones((1, 8, 6)), 0.4 * np.ones((1, 8, 6))
    strip = denoising_strip(image, np.concatenate([faint, clear]), [9, 1], {'one': [0]}, COLORS[:1], height=64)
    middle = [int(tile(strip, 0, column, 64, 48)[30, 20, 0]) for column in (1, 2)]
    assert middle == [64, 255]


def test_annotation_is_marked_where_there_is_one():
    image, truth = np.full((32, 24, 3), 60, np.uint8), np.array([[0.25, 0.5], [np.nan, np.nan], [0.75, 0.5]])
    strip = denoising_strip(image, np.zeros((3, 8, 6)), [0], {'two': [0, 1]}, COLORS, truth, height=64)
    first = tile(strip, 0, 0, 64, 48)
    assert first[32, 12].tolist() == [255, 0, 0]
    ys, xs = np.nonzero((first != 60).any(axis=-1))
    assert xs.max() < 20, 'the second joint is not annotated, the third not in the row'
    assert abs(ys.mean() - 32) < 1


def test_estimates_must_be_of_these_steps():
    with pytest.raises(ValueError, match=r'2 steps of 3 keypoints need estimates \[6, h, w\], got \[9, 8, 6\]'):
        denoising_strip(np.zeros((8, 6, 3), np.uint8), np.zeros((9, 8, 6)), [5, 1], {'all': [0]}, COLORS)


def test_enlarging_keeps_cells_where_codecs_have_them():
    """Cell i of MSRAHeatmap lies at pixel i * stride."""
    large = enlarge_heatmap(single_cells([(2, 3)])[0], 48, 64)
    assert np.unravel_index(np.argmax(large), large.shape) == (16, 24)
    assert large[16, 24] == 1


def test_blending_is_the_colour_where_a_heatmap_is_one_and_the_dark_image_where_it_is_zero():
    image = np.full((16, 12, 3), 100, np.uint8)
    heatmaps = np.stack([np.ones((8, 6)), np.zeros((8, 6))])
    assert (blend_heatmaps(image, heatmaps, COLORS[:2]) == COLORS[0]).all()
    assert (blend_heatmaps(image, heatmaps[1:], COLORS[:1]) == 45).all()
    overshoot = blend_heatmaps(image, np.stack([5 * heatmaps[0], -heatmaps[0]]), COLORS[:2])
    np.testing.assert_array_equal(overshoot, blend_heatmaps(image, heatmaps, COLORS[:2]))


def test_the_cross_is_at_the_maximum():
    marked = mark_maximum(np.zeros((64, 48, 3), np.uint8), single_cells([(3, 2)])[0])
    assert (marked[24, 12:22] == 255).all()
    assert (marked[20:29, 16] == 255).all()


def test_rows_are_all_joints_and_those_chosen_joints_that_exist():
    rows = choose_rows(['nose', 'left_wrist'], ('left_wrist', 'tail'))
    assert rows == {'all joints': [0, 1], 'left_wrist': [1]}


def test_sheet_without_row_titles_has_no_margin_for_them():
    one = np.full((20, 30, 3), 7, np.uint8)
    sheet = lay_out([[one, one]], ['left', 'right'])
    assert sheet.shape == (2 * MARGIN + TITLE + 20, 2 * MARGIN + 60 + GAP, 3)
    assert (sheet[MARGIN + TITLE :, MARGIN : MARGIN + 30][:20] == 7).all()
