"""Pack a clip for the model."""

from __future__ import annotations

from collections.abc import Sequence

from mmpose.datasets.transforms import PackPoseInputs
from mmpose.registry import TRANSFORMS

MMPOSE_META_KEYS = (
    'id',
    'img_id',
    'img_path',
    'category_id',
    'crowd_index',
    'ori_shape',
    'img_shape',
    'input_size',
    'input_center',
    'input_scale',
    'flip',
    'flip_direction',
    'flip_indices',
    'raw_ann_info',
    'dataset_name',
)
CLIP_META_KEYS = (
    'frame_offsets',
    'frame_is_real',
    'clip_key_index',
    'broken_frames',
    'video',
    'key_frame_index',
    'track_id',
)


@TRANSFORMS.register_module()
class PackClipInputs(PackPoseInputs):
    """MMPose's PackPoseInputs for clips: inputs are uint8 [T, 3, H, W], and the metainfo says where frames come from.

    Args:
        meta_keys: what goes into the metainfo, if the sample has it. Default: MMPose's keys and those of the clip.
        pack_transformed: also keep the keypoints in the coordinates of the crop.
    """

    def __init__(self, meta_keys: Sequence[str] | None = None, pack_transformed: bool = False) -> None:
        super().__init__((*MMPOSE_META_KEYS, *CLIP_META_KEYS) if meta_keys is None else meta_keys, pack_transformed)

    def transform(self, results: dict) -> dict:
        """Check that the frames belong together, and pack them."""
        frames = results.get('img')
        if not isinstance(frames, list):
            raise TypeError(
                f'PackClipInputs packs a list of frames, got {type(frames).__name__} in img: start the pipeline '
                'with SampleClip and LoadClip'
            )
        shapes = {frame.shape for frame in frames}
        if len(shapes) != 1:
            raise ValueError(
                f'the frames of a clip must have one size to be packed, got {sorted(shapes)} for '
                f'{results.get("img_path")}: put TopdownAffine before PackClipInputs'
            )
        if len(frames) != len(results['frame_offsets']):
            raise ValueError(
                f'{len(frames)} frames but {len(results["frame_offsets"])} frame offsets {results["frame_offsets"]}: '
                'a transform has changed the number of frames'
            )
        return super().transform(results)
