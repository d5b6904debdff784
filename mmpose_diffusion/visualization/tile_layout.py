"""Pictures of one size on a sheet of paper, with titles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP, MARGIN, TITLE, LABEL = 4, 12, 30, 104  # pixels: between tiles, around all, above columns, before rows
PAPER, INK, FAINT_INK = (255, 255, 255), (30, 30, 30), (120, 120, 120)


def lay_out(
    tiles: Sequence[Sequence[np.ndarray]], columns: Sequence[str], rows: Sequence[str] = (), corner: str = ''
) -> np.ndarray:
    """Put RGB tiles [row][column] of one size on white paper, with titles of columns and, if given, of rows.

    `corner` is written in fainter ink above the titles of the rows.
    """
    height, width = tiles[0][0].shape[:2]
    left, top = MARGIN + (LABEL if rows else 0), MARGIN + TITLE
    size = (left + len(columns) * (width + GAP) - GAP + MARGIN, top + len(tiles) * (height + GAP) - GAP + MARGIN)
    paper = Image.new('RGB', size, PAPER)
    draw = ImageDraw.Draw(paper)
    title_height = MARGIN + TITLE / 2 - 4
    draw.text((MARGIN, title_height), corner, font=font(13), anchor='lm', fill=FAINT_INK)
    for number, title in enumerate(columns):
        draw.text((left + number * (width + GAP) + width / 2, title_height), title, INK, font(15), 'mm')
    for number, row in enumerate(tiles):
        y = top + number * (height + GAP)
        if rows:  # at most two lines
            draw.multiline_text((MARGIN, y + height / 2), rows[number].replace(' ', '\n', 1), INK, font(15), 'lm')
        for column, tile in enumerate(row):
            paper.paste(Image.fromarray(tile), (left + column * (width + GAP), y))
    return np.array(paper)


def font(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(size)
