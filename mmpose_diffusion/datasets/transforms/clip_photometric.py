"""Distort the colours of all frames of a clip in the same way."""

from __future__ import annotations

import numpy as np
from mmpose.datasets.transforms import PhotometricDistortion
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ClipPhotometricDistortion(PhotometricDistortion):
    """MMPose's PhotometricDistortion with one draw for the whole clip.

    Takes a list of frames or a single one. Place it behind TopdownAffine, where all frames have one small size.
    """

    def transform(self, results: dict) -> dict:
        """Distort `results['img']`."""
        if not isinstance(results['img'], list):
            return super().transform(results)
        frames = results['img']
        if len({frame.shape for frame in frames}) != 1:
            raise ValueError(
                'ClipPhotometricDistortion needs frames of one size, got '
                f'{[frame.shape for frame in frames]} for {results.get("img_path")}: put it behind TopdownAffine'
            )
        column = np.concatenate(frames)  # [T * H, W, 3]: every pixel is distorted by itself, so one tall image will do
        results['img'] = np.split(super().transform({'img': column})['img'], len(frames))
        return results
