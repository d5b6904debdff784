"""Pictures written while a model is evaluated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample
from PIL import Image
from torch import nn

from .denoising import JOINTS
from .person_pictures import PersonPainter
from .sequence_pictures import SequencePainter


@HOOKS.register_module()
class PersonPictureHook(Hook):
    """Writes pictures of every n-th evaluated person: `..._pose.png` and, for diffusion heads, `..._denoising.png`.

    The pose is drawn beside its annotation. Ellipses come with `model.test_cfg.output_hypotheses=True`, denoising
    strips with `model.test_cfg.output_estimates=True`; other models need neither. Of models that lift to 3D, every n-th
    clip is drawn as `..._poses.png`. Each validation has its own folder `iter_<n>`, so that learning can be watched.

    Args:
        out_dir: folder of the pictures; a relative one lies in the run's log folder `<work_dir>/<time>`.
        interval: every how many people one is drawn.
        share: of the probability that an uncertainty ellipse holds.
        joints: that have a row of their own in a denoising strip, where the data set has them.
    """

    def __init__(
        self, out_dir: str = 'pictures', interval: int = 50, share: float = 0.9, joints: Sequence[str] = JOINTS
    ) -> None:
        if interval < 1:
            raise ValueError(f'PersonPictureHook: interval must be at least 1, got {interval}')
        self.out_dir, self.interval, self.share, self.joints = out_dir, interval, share, joints
        self._seen = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Start counting people."""
        self._seen = 0

    before_test_epoch = before_val_epoch

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[PoseDataSample] | None = None
    ) -> None:
        """Draw the n-th people of a batch of the validation."""
        self._draw(runner, outputs, runner.val_evaluator.dataset_meta, f'iter_{runner.iter}')

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[PoseDataSample] | None = None
    ) -> None:
        """Draw the n-th people of a batch of the test."""
        self._draw(runner, outputs, runner.test_evaluator.dataset_meta, '')

    def _draw(self, runner: Runner, samples: Sequence[PoseDataSample], metainfo: dict, subfolder: str) -> None:
        chosen = [sample for number, sample in enumerate(samples, self._seen) if number % self.interval == 0]
        self._seen += len(samples)
        if not chosen:
            return
        folder = Path(runner.log_dir) / self.out_dir / subfolder
        folder.mkdir(parents=True, exist_ok=True)
        for sample in chosen:
            for kind, picture in self._pictures(sample, metainfo, runner.model).items():
                Image.fromarray(picture).save(folder / f'{picture_name(sample)}_{kind}.png')

    def _pictures(self, sample: PoseDataSample, metainfo: dict, model: nn.Module) -> dict[str, np.ndarray]:
        """What there is to see of a sample: kind -> RGB picture."""
        if is_sequence(sample):
            return {'poses': SequencePainter(metainfo).draw(sample)}
        painter = PersonPainter(metainfo, self.share, self.joints)
        strip = painter.draw_denoising(sample, sampling_steps(model))
        return {'pose': painter.draw_pose(sample), **({} if strip is None else {'denoising': strip})}


def sampling_steps(model: nn.Module) -> list[int]:
    """The steps, noisiest first, that a model's diffusion head takes with its `test_cfg`; none for other heads."""
    model = model.module if is_model_wrapper(model) else model
    process = getattr(model.head, 'process', None)
    return [] if process is None else process.steps((model.test_cfg or {}).get('num_steps', 1))


def is_sequence(sample: PoseDataSample) -> bool:
    """Is it a clip of poses to lift, rather than a person in an image?"""
    return 'lifting_target' in sample.gt_instances


def picture_name(sample: PoseDataSample) -> str:
    """A file name that says who this is: video, image and number of the annotation; of a sequence, its first frame."""
    if is_sequence(sample):
        name = f'{sample.sequence}_{sample.person}_{sample.frame_ids[0]}'
        return re.sub(r'[^\w.-]+', '_', name)
    path = Path(sample.img_path)
    return f'{sample.get("video") or path.parent.name}_{path.stem}_{sample.get("id", 0)}'
