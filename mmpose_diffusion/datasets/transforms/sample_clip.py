"""Choose the frames of a clip when a sample is fetched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dist import get_rank
from mmengine.logging import print_log
from mmpose.registry import TRANSFORMS
from torch.utils.data import get_worker_info

from ..frame_sampling import (
    ClipWindow,
    check_offsets,
    clip_window,
    draw_offsets,
    repeat_key_frame,
    shuffle_neighbours,
)
from .video_files import count_video_frames

NEIGHBOURS = ('true', 'repeated', 'shuffled')


class WorkerGenerator:
    """A random generator for each worker of each epoch, reproducible from the run's seed.

    MMEngine reseeds NumPy's global generator to the same number whenever a worker process starts, so that without
    persistent workers every epoch would repeat the draws of the first. The seed that PyTorch gives each worker (drawn
    by the main process from its own seeded generator) is new in every epoch, and the rank of the process is mixed in,
    because all ranks of a distributed run have the same one. Without workers the numbers come from NumPy's global
    generator, which the runner seeds once.
    """

    def __init__(self) -> None:
        self._rank = get_rank()  # known in the main process; a spawned worker would not know it
        self._seed: int | None = None
        self._generator: np.random.Generator | None = None

    def get(self) -> np.random.Generator:
        """Return the generator to draw this sample's numbers from."""
        worker = get_worker_info()
        if worker is None:
            return np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002  the run's seed lives there
        if worker.seed != self._seed:
            self._seed = worker.seed
            self._generator = np.random.default_rng([worker.seed, self._rank])
        return self._generator


@TRANSFORMS.register_module()
class SampleClip(BaseTransform):
    """Choose the frames of the clip around the key frame; LoadClip then loads them.

    Either `offsets` gives the frames, or `num_before`, `num_after` and `max_distance` say how to draw them anew each
    time a sample is fetched. In both cases the key frame has the same position in every clip. At the borders of the
    video the nearest frame is repeated and marked as not real.

    The source of the frames is the first of these keys that is there:

    - `frames` (list of HxWx3 arrays) and `key_frame_index`
    - `video_path` (a video file) and `key_frame_index`
    - `video_frames` (paths of all frames of the video) and `key_frame_index`
    - `img` (one array) or `img_path`: a single image, which every frame of the clip then shows; only the key frame is
      marked as real. This is what MMPose's own inferencer hands over.

    To find out whether a model uses time (tools/analysis_tools/temporal_audit.py), support frames can be replaced by
    the key frame or by each other. What replaces them passes for them, `frame_is_real` included: a neck would
    simply not look at frames that are marked as repeats.

    Added Keys:

    - clip_frame_indices: T indices into the source
    - frame_offsets: T offsets, ascending
    - frame_is_real: T booleans
    - clip_key_index: position of the key frame in the clip

    Args:
        offsets: frame numbers relative to the key frame, ascending, containing 0.
        num_before: number of support frames to draw before the key frame.
        num_after: number of support frames to draw after it.
        max_distance: the farthest frame that may be drawn, on either side.
        neighbours: what stands in place of the support frames: `'true'` they themselves, `'repeated'` the key frame,
            `'shuffled'` another one of them, none in its own place; a key frame always gets the same order.
    """

    def __init__(
        self,
        offsets: Sequence[int] | None = None,
        num_before: int | None = None,
        num_after: int | None = None,
        max_distance: int | None = None,
        neighbours: str = 'true',
    ) -> None:
        drawn = (num_before, num_after, max_distance)
        if (offsets is None) == all(value is None for value in drawn):
            raise ValueError(
                'SampleClip takes either offsets or all of num_before, num_after and max_distance, '
                f'got offsets={offsets}, num_before={num_before}, num_after={num_after}, max_distance={max_distance}'
            )
        if offsets is None:
            if any(value is None or value < 0 for value in drawn) or max(num_before, num_after) > max_distance:
                raise ValueError(
                    'SampleClip draws num_before and num_after different frames out of max_distance: '
                    f'got num_before={num_before}, num_after={num_after}, max_distance={max_distance}'
                )
        if neighbours not in NEIGHBOURS:
            raise ValueError(f'SampleClip: neighbours must be one of {NEIGHBOURS}, got {neighbours!r}')
        num_supports = num_before + num_after if offsets is None else len(offsets) - 1
        if neighbours == 'shuffled' and num_supports == 1:
            raise ValueError("SampleClip: a single support frame cannot be shuffled, use neighbours='repeated'")
        self.neighbours = neighbours
        self.offsets = None if offsets is None else check_offsets(offsets)
        self.num_before = num_before
        self.num_after = num_after
        self.max_distance = max_distance
        self._random = WorkerGenerator()
        self._has_told = False

    def transform(self, results: dict) -> dict:
        """Add the clip's frame indices and what is known about them."""
        offsets = self.offsets
        if offsets is None:
            offsets = draw_offsets(self.num_before, self.num_after, self.max_distance, self._random.get())
        window = self._replace_neighbours(self._window(results, offsets))
        results['clip_frame_indices'] = window.indices
        results['frame_offsets'] = offsets
        results['frame_is_real'] = window.is_real
        results['clip_key_index'] = window.key_position
        return results

    def _window(self, results: dict, offsets: tuple[int, ...]) -> ClipWindow:
        """Find out how long the source is, and place the window in it."""
        if 'frames' in results:
            length = len(results['frames'])
        elif 'video_path' in results:
            length = count_video_frames(results['video_path'])
        elif 'video_frames' in results:
            length = len(results['video_frames'])
        elif results.get('img') is not None or results.get('img_path') is not None:
            self._tell_once(len(offsets))
            return clip_window(0, offsets, video_length=1)
        else:
            raise ValueError(
                'SampleClip needs one of the keys frames, video_path, video_frames, img or img_path, '
                f'the sample has {sorted(results)}'
            )
        if 'key_frame_index' not in results:
            raise ValueError('SampleClip needs key_frame_index to know around which frame of the video the clip lies')
        try:
            return clip_window(int(results['key_frame_index']), offsets, length)
        except ValueError as error:
            name = results.get('video') or results.get('video_path') or 'the given frames'
            raise ValueError(f'{name}: {error}') from error

    def _tell_once(self, num_frames: int) -> None:
        """Say that a model of clips is used on single images."""
        if not self._has_told and num_frames > 1:
            self._has_told = True
            print_log(
                f'single images without a video: each is its own clip, all {num_frames} frames of which show it. '
                'For frames that follow each other use mmpose_diffusion.apis.VideoPoseInferencer',
                logger='current',
            )

    def _replace_neighbours(self, window: ClipWindow) -> ClipWindow:
        """Put other frames where the support frames were, if that is asked for."""
        if self.neighbours == 'repeated':
            return repeat_key_frame(window)
        if self.neighbours == 'shuffled':
            return shuffle_neighbours(window, np.random.default_rng(window.indices[window.key_position]))
        return window

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(offsets={self.offsets}, num_before={self.num_before}, '
            f'num_after={self.num_after}, max_distance={self.max_distance}, neighbours={self.neighbours!r})'
        )
