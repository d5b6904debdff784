"""Training targets for every frame of a clip."""

from __future__ import annotations

import numpy as np
from mmpose.datasets.transforms import GenerateTarget, TopdownAffine
from mmpose.registry import TRANSFORMS
from mmpose.structures.keypoint import flip_keypoints


@TRANSFORMS.register_module()
class GenerateClipTarget(GenerateTarget):
    """MMPose's GenerateTarget, and heatmaps of the same person in all frames of the clip.

    The neighbours of a labelled frame are mostly labelled too. An `AuxiliaryHead` that reads 'frames' learns from them,
    so that a clip teaches the backbone as much as T images do. Place it behind TopdownAffine, in place of
    GenerateTarget. A frame without label for this person, and a frame that is not real, gets weight 0. The key frame's
    targets are those of the sample itself, like GenerateTarget's.

    Required Keys beside GenerateTarget's:

    - track_keypoints: frame index -> keypoints [K, 2] and visibility [K] (PoseTrackVideoDataset)
    - clip_frame_indices, frame_is_real, clip_key_index (SampleClip)
    - bbox_center, bbox_scale, input_size, transformed_keypoints (TopdownAffine)

    Added Keys:

    - clip_heatmaps: [T * K, h, w]
    - clip_keypoint_weights: [1, T, K]

    Args:
        encoder: codec with one heatmap for each keypoint.
        use_udp: as in TopdownAffine.
    """

    def __init__(self, encoder: dict, use_udp: bool = False, **kwargs: object) -> None:
        super().__init__(encoder=encoder, **kwargs)
        self.use_udp = use_udp

    def transform(self, results: dict) -> dict:
        """Add the targets."""
        if 'track_keypoints' not in results:
            raise ValueError(
                'GenerateClipTarget needs track_keypoints, which PoseTrackVideoDataset gives where annotations have a '
                'track_id; use GenerateTarget for other data'
            )
        results = super().transform(results)
        keypoints, visible = self._keypoints_in_crop(results)
        encoded = [
            self.encoder.encode(keypoints=pose[None], keypoints_visible=seen[None])
            for pose, seen in zip(keypoints, visible, strict=True)
        ]
        results['clip_heatmaps'] = np.concatenate([frame['heatmaps'] for frame in encoded])
        results['clip_keypoint_weights'] = np.stack([frame['keypoint_weights'][0] for frame in encoded])[None]
        results['field_mapping_table'] = {**results['field_mapping_table'], 'clip_heatmaps': 'clip_heatmaps'}
        results['label_mapping_table'] = {
            **results['label_mapping_table'],
            'clip_keypoint_weights': 'clip_keypoint_weights',
        }
        return results

    def _keypoints_in_crop(self, results: dict) -> tuple[np.ndarray, np.ndarray]:
        """The person in each frame of the clip: keypoints [T, K, 2] in pixels of the input, visibility [T, K]."""
        frames, is_real = results['clip_frame_indices'], results['frame_is_real']
        num_keypoints = results['keypoints'].shape[1]
        keypoints = np.zeros((len(frames), num_keypoints, 2), dtype=np.float32)
        visible = np.zeros((len(frames), num_keypoints), dtype=np.float32)
        for position, (frame, real) in enumerate(zip(frames, is_real, strict=True)):
            if real and frame in results['track_keypoints']:
                keypoints[position], visible[position] = results['track_keypoints'][frame]
        if results.get('flip'):
            keypoints, visible = flip_keypoints(
                keypoints,
                visible,
                results['img_shape'][::-1],
                results['flip_indices'],
                results['flip_direction'],
            )
        key = results['clip_key_index']
        keypoints[key], visible[key] = results['keypoints'][0], results['keypoints_visible'][0]  # flipped already
        crop = {key: results[key] for key in ('bbox_center', 'bbox_scale', 'bbox_rotation') if key in results}
        affine = TopdownAffine(results['input_size'], use_udp=self.use_udp)
        keypoints = affine.transform({**crop, 'img': [], 'keypoints': keypoints})['transformed_keypoints']
        if not np.allclose(keypoints[key], results['transformed_keypoints'][0], atol=1e-3):
            raise ValueError(
                f'GenerateClipTarget(use_udp={self.use_udp}) and the pipeline place the key frame differently in the '
                'crop: give it the use_udp of TopdownAffine, and let no transform between them move the keypoints'
            )
        return keypoints, visible
