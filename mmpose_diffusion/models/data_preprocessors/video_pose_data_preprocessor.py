"""Collate, check and normalise clips before they enter a video model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS
from torch import Tensor

from ...structures import describe_sample


@MODELS.register_module()
class VideoPoseDataPreprocessor(PoseDataPreprocessor):
    """Turn a list of clips [T, 3, H, W] into one float batch [B, T, 3, H, W], normalised and in the model's colours.

    MMPose's own preprocessor swaps the FIRST axis of a sample for BGR -> RGB: on a clip it would swap frames. Here the
    frames are folded into the batch first, so that mean, std, padding and `batch_augments` see ordinary images and
    every frame of every clip is treated alike. Arguments are those of `mmpose.PoseDataPreprocessor`.

    Each frame lies in memory pixel by pixel (`torch.channels_last`), and so do then most maps of a convolutional
    backbone, which is faster on CPUs (not measured on GPUs); the numbers are the same to rounding.

    Clips that do not fit (wrong axes, other frame count or size than the rest, other frame count than their own
    `frame_offsets`, NaN or infinite pixels) are refused with the name of the sample.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Collate `data['inputs']` (list of [T, 3, H, W], or one [B, T, 3, H, W]) and keep `data['data_samples']`."""
        clips, data_samples = data['inputs'], data.get('data_samples')
        check_clips(clips, data_samples)
        if not isinstance(clips, Tensor):
            clips = torch.stack(list(clips))  # [B, T, 3, H, W], still uint8 and where the loader left it
        batch_size, num_frames = clips.shape[:2]
        # The parent sees frames [B*T, 3, H, W] beside B data samples; it never pairs the two one to one.
        result = super().forward({'inputs': clips.flatten(0, 1), 'data_samples': data_samples or []}, training)
        frames = result['inputs'].contiguous(memory_format=torch.channels_last)
        return {
            'inputs': frames.unflatten(0, (batch_size, num_frames)),
            'data_samples': result['data_samples'] if data_samples is not None else None,
        }

    def _get_pad_shape(self, data: dict) -> list[tuple[int, int]]:
        """Padded (height, width) of each clip, from frames [B*T, 3, H, W] (the parent reads the wrong axes of it)."""
        divisor = self.pad_size_divisor
        height, width = (-(-size // divisor) * divisor for size in data['inputs'].shape[-2:])
        return [(height, width)] * len(data['data_samples'])


def check_clips(clips: Sequence[Tensor] | Tensor, data_samples: Sequence[Any] | None) -> None:
    """Refuse a batch of clips (list of [T, 3, H, W] or tensor [B, T, 3, H, W]) that cannot be one, naming the culprit.

    Only floating-point clips can hold NaN, so the usual uint8 clips are not searched. Clips are checked where they
    arrive, before they travel to the accelerator, so the check does not make it wait.
    """
    if not isinstance(clips, (list, tuple, Tensor)):
        raise TypeError(
            f'inputs must be a list of clips [T, 3, H, W] or one tensor [B, T, 3, H, W], got {type(clips).__name__}'
        )
    if len(clips) == 0:
        raise ValueError('the batch is empty: inputs holds no clip')
    if data_samples is not None and len(data_samples) != len(clips):
        raise ValueError(f'the batch holds {len(clips)} clips but {len(data_samples)} data samples')
    metainfos = [{}] * len(clips) if data_samples is None else [sample.metainfo for sample in data_samples]
    for position, (clip, metainfo) in enumerate(zip(clips, metainfos, strict=True)):
        problem = _clip_problem(clip, clips[0], metainfo)
        if problem:
            raise ValueError(f'{describe_sample(metainfo, position)}: {problem}')


def _clip_problem(clip: Tensor, first: Tensor, metainfo: dict) -> str | None:
    """Say what is wrong with one clip, None if nothing is. `first` is the first clip of the batch."""
    if not isinstance(clip, Tensor):
        return f'a clip must be a tensor [T, 3, H, W], got {type(clip).__name__}'
    shape = tuple(clip.shape)
    if clip.ndim != 4 or clip.shape[1] != 3:
        return (
            f'a clip must be [T, 3, H, W], got {list(shape)}: end the pipeline with PackClipInputs, '
            'which keeps the frames on an axis of their own'
        )
    if 0 in shape:
        return f'the clip is empty, its shape is {list(shape)}'
    if shape[0] != first.shape[0]:
        return f'the clip has {shape[0]} frames, the first clip of the batch has {first.shape[0]}'
    if shape != tuple(first.shape):
        return (
            f'frames are {shape[2]}x{shape[3]} (height x width), the first clip has {first.shape[2]}x{first.shape[3]}'
        )
    offsets = metainfo.get('frame_offsets')
    if offsets is not None and len(offsets) != shape[0]:
        return f'the clip has {shape[0]} frames but its frame_offsets {tuple(offsets)} name {len(offsets)}'
    if clip.is_floating_point() and not bool(torch.isfinite(clip).all()):
        return 'the clip holds NaN or infinite pixels'
    return None
