"""The two things that travel between the parts of a video model: which frames it sees, and what it made of them.

Axes: B clips in a batch, T frames in a clip (oldest first), C channels, h x w cells of a feature map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


def describe_sample(metainfo: Mapping[str, Any], position: int) -> str:
    """Name a sample of a batch in an error message: its place, and whatever its metainfo says about its origin."""
    known = [
        f'{label} {metainfo[key]}'
        for key, label in (
            ('video', 'video'),
            ('sequence', 'sequence'),
            ('key_frame_index', 'key frame'),
            ('img_path', 'image'),
            ('id', 'annotation id'),
        )
        if metainfo.get(key) is not None
    ]
    return f'sample {position}' + (f' ({", ".join(known)})' if known else '')


class FrameWindow(NamedTuple):
    """Where the frames of each clip come from: a frame that is not real repeats its neighbour and is no evidence."""

    offsets: Tensor  # [B, T] int64, frame numbers relative to the key frame, ascending
    is_real: Tensor  # [B, T] bool, False for a frame outside the video (a border repeat)
    key_index: int  # position of the key frame in the clip, the same for the whole batch

    @property
    def num_frames(self) -> int:
        """T, the number of frames in each clip."""
        return self.offsets.shape[1]

    @property
    def support_positions(self) -> list[int]:
        """Positions in the clip of all frames but the key frame, oldest first (T - 1 of them)."""
        return [position for position in range(self.num_frames) if position != self.key_index]

    @property
    def support_offsets(self) -> Tensor:
        """Offsets [B, T-1] of the support frames."""
        return self.offsets[:, self.support_positions]

    @property
    def support_is_real(self) -> Tensor:
        """Whether each support frame exists in the video, [B, T-1] bool."""
        return self.is_real[:, self.support_positions]

    @classmethod
    def consecutive(
        cls, batch_size: int, num_frames: int, device: torch.device | str | None = None, key_index: int | None = None
    ) -> FrameWindow:
        """Window of real frames that follow each other, with the key frame in the middle unless told otherwise."""
        key_index = num_frames // 2 if key_index is None else key_index
        offsets = torch.arange(-key_index, num_frames - key_index, device=device).expand(batch_size, -1)
        return cls(offsets, torch.ones_like(offsets, dtype=torch.bool), key_index)

    @classmethod
    def from_data_samples(
        cls, data_samples: Sequence[Any], num_frames: int | None = None, device: torch.device | str | None = None
    ) -> FrameWindow:
        """Read the window of a batch from the samples' metainfo.

        Every sample must carry `frame_offsets`, `frame_is_real` and `clip_key_index` (PackClipInputs writes them), and
        all samples must agree on the number of frames and on the position of the key frame. With `num_frames` given,
        that number must be the one the images have.
        """
        if len(data_samples) == 0:
            raise ValueError('an empty batch has no frame window: the list of data samples is empty')
        windows = [_read_window(sample.metainfo, position) for position, sample in enumerate(data_samples)]
        first_offsets, _, first_key = windows[0]
        expected_frames = len(first_offsets) if num_frames is None else num_frames
        for position, (sample, (offsets, _, key_index)) in enumerate(zip(data_samples, windows, strict=True)):
            if len(offsets) != expected_frames:
                source = 'the images have' if num_frames is not None else 'the first sample has'
                raise ValueError(
                    f'{describe_sample(sample.metainfo, position)} names {len(offsets)} frame offsets {offsets}, but '
                    f'{source} {expected_frames} frames: all clips of a batch need the same SampleClip offsets'
                )
            if key_index != first_key:
                raise ValueError(
                    f'{describe_sample(sample.metainfo, position)} has its key frame at position {key_index} of the '
                    f'clip, the first sample of the batch at {first_key}: all clips of a batch must come from the same '
                    'SampleClip offsets'
                )
        return cls(
            torch.tensor([offsets for offsets, _, _ in windows], dtype=torch.int64, device=device),
            torch.tensor([is_real for _, is_real, _ in windows], dtype=torch.bool, device=device),
            first_key,
        )


def _read_window(metainfo: Mapping[str, Any], position: int) -> tuple[list[int], list[bool], int]:
    """Take offsets, reality and key position out of one sample's metainfo and check that they fit each other."""
    missing = [key for key in ('frame_offsets', 'frame_is_real', 'clip_key_index') if key not in metainfo]
    if missing:
        raise ValueError(
            f'{describe_sample(metainfo, position)} does not say {", ".join(missing)} in its metainfo: '
            'start the pipeline with SampleClip and end it with PackClipInputs'
        )
    offsets = [int(offset) for offset in metainfo['frame_offsets']]
    is_real = [bool(real) for real in metainfo['frame_is_real']]
    key_index = int(metainfo['clip_key_index'])
    problem = None
    if len(is_real) != len(offsets):
        problem = f'frame_is_real has {len(is_real)} entries, frame_offsets has {len(offsets)}'
    elif any(later <= earlier for earlier, later in zip(offsets[:-1], offsets[1:], strict=True)):
        problem = f'frame_offsets {offsets} must ascend: a clip is in chronological order'
    elif not 0 <= key_index < len(offsets) or offsets[key_index] != 0:
        problem = f'clip_key_index {key_index} does not point at offset 0 in frame_offsets {offsets}'
    elif not is_real[key_index]:
        problem = 'frame_is_real says that the key frame does not exist'
    if problem:
        raise ValueError(f'{describe_sample(metainfo, position)}: {problem}')
    return offsets, is_real, key_index


class ClipFeatures(NamedTuple):
    """What a temporal neck gives to heads and losses. Stock heads read the LAST item, so `fused` stays last."""

    frames: Tensor  # [B, T, C, h, w], maps of the single frames before fusion, oldest first
    window: FrameWindow
    aligned: Tensor | None  # [B, T-1, C, h, w], supports moved to where the key frame sees them; None: not aligned
    fused: Tensor  # [B, C', h, w], map of the key frame after fusion

    @property
    def key(self) -> Tensor:
        """Map [B, C, h, w] of the key frame before fusion."""
        return self.frames[:, self.window.key_index]

    @property
    def supports(self) -> Tensor:
        """Maps [B, T-1, C, h, w] of the support frames before fusion, oldest first."""
        return self.frames[:, self.window.support_positions]
