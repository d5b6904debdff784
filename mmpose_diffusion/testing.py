"""Tiny models, random clips and the promises of a temporal neck: for the tests of this package and of your own parts.

Axes as in `mmpose_diffusion.structures`. Nothing in the package imports this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import KEYPOINT_CODECS
from mmpose.structures import PoseDataSample
from torch import Tensor

from .models.necks import TemporalNeck
from .structures import FrameWindow

INPUT_SIZE = (64, 96)  # pixels, (width, height) as MMPose writes sizes
HEATMAP_SIZE = (16, 24)  # cells, (width, height)
FLIP_INDICES = (0, 2, 1, 4, 3)  # five keypoints: one in the middle, two pairs

# Each backbone with the channels and stride of its map. A head brings the map to 1/4 of the image's size.
BACKBONES = {
    'resnet': (dict(type='ResNet', depth=18, stem_channels=8, base_channels=8), 64, 32),
    'hrnet': (
        dict(
            type='HRNet',
            in_channels=3,
            extra=dict(
                stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,), num_channels=(8,)),
                stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1), num_channels=(8, 8)),
                stage3=dict(num_modules=1, num_branches=3, block='BASIC', num_blocks=(1,) * 3, num_channels=(8,) * 3),
                stage4=dict(num_modules=1, num_branches=4, block='BASIC', num_blocks=(1,) * 4, num_channels=(8,) * 4),
            ),
        ),
        8,
        4,
    ),
    'vit': (
        dict(
            type='TimmVisionTransformer',
            arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=64),
            img_size=(96, 64),
        ),
        32,
        16,
    ),
}
CODECS = {
    'heatmap': dict(type='MSRAHeatmap', input_size=INPUT_SIZE, heatmap_size=HEATMAP_SIZE, sigma=1.0),
    'simcc': dict(type='SimCCLabel', input_size=INPUT_SIZE, sigma=3.0, simcc_split_ratio=2.0),
    'rtmcc': dict(type='SimCCLabel', input_size=INPUT_SIZE, sigma=3.0, simcc_split_ratio=2.0, normalize=False),
    'integral': dict(type='IntegralRegressionLabel', input_size=INPUT_SIZE, heatmap_size=HEATMAP_SIZE, sigma=1.0),
}


def tiny_head(head: str, in_channels: int, stride: int) -> dict:
    """Config of a small stock head of MMPose: 'heatmap', 'simcc', 'rtmcc' or 'integral', for maps of that stride."""
    num_deconvolutions = {4: 0, 8: 1, 16: 2, 32: 3}[stride]
    deconvolutions = dict(
        deconv_out_channels=(8,) * num_deconvolutions or None, deconv_kernel_sizes=(4,) * num_deconvolutions or None
    )
    map_size = tuple(size // stride for size in INPUT_SIZE)
    num_keypoints = len(FLIP_INDICES)
    common = dict(in_channels=in_channels, decoder=deepcopy(CODECS[head]))
    if head == 'heatmap':
        return dict(type='HeatmapHead', out_channels=num_keypoints, **deconvolutions, **common)
    if head == 'integral':
        return dict(
            type='IntegralRegressionHead',
            num_joints=num_keypoints,
            in_featuremap_size=map_size,
            **deconvolutions,
            **common,
        )
    common.update(out_channels=num_keypoints, input_size=INPUT_SIZE, in_featuremap_size=map_size)
    if head == 'simcc':
        return dict(type='SimCCHead', **deconvolutions, **common)
    gated_attention = dict(
        hidden_dims=16,
        s=8,
        expansion_factor=2,
        dropout_rate=0.0,
        drop_path=0.0,
        act_fn='ReLU',
        use_rel_bias=False,
        pos_enc=False,
    )
    return dict(type='RTMCCHead', gau_cfg=gated_attention, **common)


def tiny_model(backbone: str = 'resnet', head: str = 'heatmap', temporal_neck: dict | None = None) -> dict:
    """Config of a complete video model for `INPUT_SIZE` images; `temporal_neck` is given without its `in_channels`."""
    backbone_config, channels, stride = BACKBONES[backbone]
    return dict(
        type='VideoTopdownPoseEstimator',
        data_preprocessor=dict(
            type='VideoPoseDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
        ),
        backbone=deepcopy(backbone_config),
        temporal_neck=None if temporal_neck is None else dict(temporal_neck, in_channels=channels),
        head=tiny_head(head, channels, stride),
        test_cfg=dict(flip_test=False),
    )


def random_clips(
    head: str = 'heatmap',
    batch_size: int = 2,
    num_frames: int = 3,
    is_real: Sequence[bool] | None = None,
    seed: int = 0,
) -> dict:
    """Collated batch as a data loader gives it: uint8 clips [T, 3, H, W] of noise, with labels for `head`.

    `is_real` says which frames exist in the video, the same for all clips; the others repeat their neighbour on the
    side of the key frame, as `SampleClip` makes them.
    """
    rng = np.random.default_rng(seed)
    codec = KEYPOINT_CODECS.build(CODECS[head])
    key_index = num_frames // 2
    is_real = [True] * num_frames if is_real is None else list(is_real)
    width, height = INPUT_SIZE
    samples = []
    for position in range(batch_size):
        clip = rng.integers(0, 256, (num_frames, 3, height, width), dtype=np.uint8)
        for frame in [*range(key_index - 1, -1, -1), *range(key_index + 1, num_frames)]:
            if not is_real[frame]:
                clip[frame] = clip[frame + 1 if frame < key_index else frame - 1]
        keypoints = rng.uniform((4, 4), (width - 4, height - 4), (1, len(FLIP_INDICES), 2)).astype(np.float32)
        metainfo = dict(
            id=position,
            img_id=position,
            img_path=f'{position:06d}.jpg',
            video=f'{position:06d}_mpii_test',
            key_frame_index=key_index,
            frame_offsets=tuple(range(-key_index, num_frames - key_index)),
            frame_is_real=tuple(is_real),
            clip_key_index=key_index,
            img_shape=(height, width),
            input_size=INPUT_SIZE,
            input_center=np.array([width / 2, height / 2]),
            input_scale=np.array([width, height], dtype=np.float64),
            flip_indices=list(FLIP_INDICES),
        )
        samples.append(dict(inputs=torch.from_numpy(clip), data_samples=_labelled_sample(codec, keypoints, metainfo)))
    return pseudo_collate(samples)


def _labelled_sample(codec: object, keypoints: np.ndarray, metainfo: dict) -> PoseDataSample:
    """Encode keypoints [1, K, 2] (pixels of the input) by `codec` into the fields that MMPose's packing gives."""
    visible = np.ones(keypoints.shape[:2], dtype=np.float32)
    encoded = codec.encode(keypoints, visible)
    labels, fields = InstanceData(), PixelData()
    for name, packed in codec.label_mapping_table.items():
        labels.set_field(torch.from_numpy(np.asarray(encoded[name], dtype=np.float32)), packed)
    for name, packed in codec.field_mapping_table.items():
        fields.set_field(torch.from_numpy(encoded[name]), packed)
    width, height = INPUT_SIZE
    instances = InstanceData(
        bboxes=np.array([[0, 0, width, height]], dtype=np.float32),
        bbox_scores=np.ones(1, dtype=np.float32),
        keypoints=keypoints,
        keypoints_visible=visible,
    )
    sample = PoseDataSample(metainfo=metainfo)
    sample.gt_instances, sample.gt_instance_labels, sample.gt_fields = instances, labels, fields
    return sample


def check_temporal_neck(neck: TemporalNeck, map_size: tuple[int, int] = (6, 4), tolerance: float = 1e-5) -> None:
    """Hold a temporal neck to its promises on random maps of that (h, w); the first broken one is an AssertionError.

    Any number of frames; every parameter takes part (data parallel training needs it); the promised shape; a clip's
    result does not depend on its neighbours in the batch nor on its place; border repeats carry no weight.
    """
    name = type(neck).__name__
    generator = torch.Generator().manual_seed(0)
    for num_frames in (1, 2, 3, 5):
        maps = torch.randn(3, num_frames, neck.in_channels, *map_size, generator=generator)
        window = FrameWindow.consecutive(3, num_frames)
        _check_gradients(neck.train(), maps, window, f'{name}, {num_frames} frames')
        with torch.no_grad():
            fused = neck.eval()(maps, window).fused
            assert fused.shape[:2] == (3, neck.out_channels), f'{name} promised {neck.out_channels} channels'
            alone = torch.cat([neck(maps[i : i + 1], _rows(window, [i])).fused for i in range(3)])
            shuffled = neck(maps[[2, 0, 1]], _rows(window, [2, 0, 1])).fused
        assert _close(alone, fused, tolerance), f'{name}: a clip alone and in a batch must give the same'
        assert _close(shuffled, fused[[2, 0, 1]], tolerance), f'{name}: the order of the batch must not matter'
    _check_border_repeats(neck.eval(), map_size, tolerance, generator)


def _check_gradients(neck: TemporalNeck, maps: Tensor, window: FrameWindow, case: str) -> None:
    neck.zero_grad()
    maps = maps.clone().requires_grad_()  # there is something to differentiate even in a neck without parameters
    neck(maps, window).fused.square().sum().backward()
    without = [name for name, weight in neck.named_parameters() if weight.requires_grad and weight.grad is None]
    assert not without, f'{case}: parameters without gradient: {without}'


def _check_border_repeats(
    neck: TemporalNeck, map_size: tuple[int, int], tolerance: float, generator: torch.Generator
) -> None:
    """Write noise into frames that are not real and see whether the result moves, each clip missing other frames."""
    maps = torch.randn(3, 5, neck.in_channels, *map_size, generator=generator)
    is_real = torch.tensor([[True] * 5, [False, False, True, True, True], [False, False, True, False, False]])
    window = FrameWindow.consecutive(3, 5)._replace(is_real=is_real)
    noisy = torch.where(is_real[:, :, None, None, None], maps, torch.randn(maps.shape, generator=generator))
    with torch.no_grad():
        same = _close(neck(noisy, window).fused, neck(maps, window).fused, tolerance)
    assert same, f'{type(neck).__name__}: frames that are not real must carry no weight'


def _rows(window: FrameWindow, rows: list[int]) -> FrameWindow:
    return FrameWindow(window.offsets[rows], window.is_real[rows], window.key_index)


def _close(actual: Tensor, expected: Tensor, tolerance: float) -> bool:
    return torch.allclose(actual, expected, rtol=tolerance, atol=tolerance)
