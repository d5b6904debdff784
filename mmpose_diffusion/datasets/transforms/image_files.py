"""Decode image files, and notice the ones that are cut."""

from __future__ import annotations

import cv2
import mmcv
import numpy as np

_JPEG_START, _JPEG_SCAN, _JPEG_END = b'\xff\xd8\xff', b'\xff\xda', b'\xff\xd9'


def is_cut_jpeg(content: bytes) -> bool:
    """Whether these bytes begin as a JPEG and stop before its end.

    Some decoders fill the missing part of a cut JPEG with grey and say nothing. A complete one has an end marker behind
    its last scan; an embedded thumbnail may have its own earlier in the file.
    """
    if not content.startswith(_JPEG_START):
        return False
    end = content.rfind(_JPEG_END)
    return end < 0 or content.find(_JPEG_SCAN, end) >= 0


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
