"""Sizes of a video's frames, read from the header of one of its images."""

from __future__ import annotations

import os.path as osp

from PIL import Image


class ImageSizes:
    """Function from image name to (height, width), or None where no image can be read.

    All frames of a video have one size, so the first readable image of each folder answers for its neighbours.

    Args:
        root: folder that image names are relative to.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._size_of_folder: dict[str, tuple[int, int]] = {}

    def __call__(self, name: str) -> tuple[int, int] | None:
        """Size of the image `name`."""
        path = osp.join(self.root, name)
        folder = osp.dirname(path)
        if folder not in self._size_of_folder and osp.isfile(path):
            try:
                with Image.open(path) as image:
                    self._size_of_folder[folder] = image.height, image.width
            except OSError:  # a broken image: whoever needs its pixels will name it
                return None
        return self._size_of_folder.get(folder)
