"""Decode image files, and notice the ones that are cut."""

from __future__ import annotations

import re

import cv2
import mmcv
import numpy as np

_JPEG_START, _JPEG_END = b'\xff\xd8\xff', b'\xd9'
_JPEG_MARKER = re.compile(rb'\xff([^\x00\xff\xd0-\xd7])')  # what is left out occurs inside a scan


def is_cut_jpeg(content: bytes) -> bool:
    """Whether these bytes begin as a JPEG and stop before its end marker.

    Some decoders fill the missing part of a cut JPEG with grey and say nothing. Segments are skipped by their length,
    so that neither an embedded thumbnail nor what follows the end marker is taken for the image. A file that lacks
    nothing but the two bytes of the end marker counts as cut too: no decoder could tell.
    """
    if not content.startswith(_JPEG_START):
        return False
    position = 2
    while marker := _JPEG_MARKER.search(content, position):
        if marker[1] == _JPEG_END:
            return False
        position = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], 'big')
    return True


def decode_image(content: bytes, color_type: str = 'color', backend: str = 'cv2') -> np.ndarray:
    """Decode the bytes of an image file into [H, W, 3] uint8, blue first. A ValueError says what is wrong with them."""
    if len(content) == 0:
        raise ValueError('the file is empty')
    if is_cut_jpeg(content):
        raise ValueError(f'the JPEG is cut short after {len(content)} bytes')
    try:
        image = mmcv.imfrombytes(content, flag=color_type, channel_order='bgr', backend=backend)
    except (cv2.error, OSError, SyntaxError) as error:  # the decoders' own ways to refuse; Pillow uses SyntaxError
        raise ValueError(f'the {backend} decoder refuses it ({error})') from error
    if image is None:
        raise ValueError(f'the {backend} decoder cannot read it ({len(content)} bytes)')
    return image
