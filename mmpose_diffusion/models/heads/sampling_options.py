"""How a diffusion head is to sample: read from `test_cfg`, checked, with the reasons for refusal."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch

from ...diffusion import HypothesisNoise, seed_from

FLIP_MODES = ('heatmap',)
AMP_FORMATS = (None, 'bfloat16', 'float16')


class SamplingOptions(NamedTuple):
    """Options that may differ from call to call, whatever the network was trained with."""

    num_steps: int | Sequence[int] = 1  # or the steps themselves, descending
    num_hypotheses: int = 1
    seed: int | None = 0  # None: another answer each time
    flip_test: bool = False
    flip_mode: str = 'heatmap'
    shift_heatmap: bool = False
    output_heatmaps: bool = False
    output_estimates: bool = False
    output_hypotheses: bool = False

    @classmethod
    def from_test_cfg(cls, test_cfg: Mapping[str, Any]) -> SamplingOptions:
        """Take what concerns sampling out of a model's `test_cfg`."""
        options = cls(**{name: test_cfg[name] for name in cls._fields if name in test_cfg})
        if options.flip_mode not in FLIP_MODES:
            raise ValueError(f'test_cfg.flip_mode must be {" or ".join(FLIP_MODES)}, got {options.flip_mode!r}')
        check_seed(options.seed)
        check_count('num_hypotheses', options.num_hypotheses)
        if options.output_hypotheses and options.num_hypotheses == 1:
            raise ValueError(
                'test_cfg.output_hypotheses asks for the spread of the hypotheses, but there is only one: '
                'set test_cfg.num_hypotheses to 2 or more'
            )
        return options


class LiftingOptions(NamedTuple):
    """Options of the heads that lift sequences; the regression head knows `flip_test` and `amp` alone."""

    num_steps: int | Sequence[int] = 1  # or the steps themselves, descending
    num_hypotheses: int = 1
    seed: int | None = 0  # None: another answer each time
    flip_test: bool = False
    output_hypotheses: bool = False
    hypotheses_per_pass: int | None = None  # None: all at once
    amp: str | None = None  # number format of the network's matrix products, None: that of its weights

    @classmethod
    def from_test_cfg(cls, test_cfg: Mapping[str, Any]) -> LiftingOptions:
        """The options in a model's `test_cfg`."""
        refuse_unknown_options(test_cfg, cls._fields)
        options = cls(**test_cfg)
        check_seed(options.seed)
        check_count('num_hypotheses', options.num_hypotheses)
        if options.hypotheses_per_pass is not None:
            check_count('hypotheses_per_pass', options.hypotheses_per_pass)
        if options.amp not in AMP_FORMATS:
            raise ValueError(f'test_cfg.amp must be one of {AMP_FORMATS}, got {options.amp!r}')
        return options

    def autocast(self, device: torch.device) -> AbstractContextManager:
        """Mixed precision, if it is wanted."""
        return nullcontext() if self.amp is None else torch.autocast(device.type, getattr(torch, self.amp))


def refuse_unknown_options(test_cfg: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse misspelt names, which would be lost without a word."""
    for name in test_cfg:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1) or known
            raise ValueError(f'test_cfg has no option {name}; did you mean {" or ".join(close)}?')


def check_seed(seed: Any) -> None:
    """Refuse what is neither an integer nor None."""
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise ValueError(f'test_cfg.seed must be an integer or None, got {seed!r}')


def check_count(name: str, count: Any) -> None:
    """Refuse what is not a positive integer."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f'test_cfg.{name} must be an integer of at least 1, got {count!r}')


def sample_identity(metainfo: Mapping[str, Any]) -> tuple:
    """What a sample is, apart from its place in a batch: its annotation, else the image and the crop.

    Samples that say nothing about themselves all have the same identity, hence the same noise.
    """
    if metainfo.get('id') is not None:
        numbers = (metainfo.get('img_id'), metainfo['id'])  # NumPy's print differently
        return ('annotation', *(number.item() if isinstance(number, np.generic) else number for number in numbers))
    crop = [
        [round(float(value), 3) for value in metainfo[name]] if metainfo.get(name) is not None else None
        for name in ('input_center', 'input_scale')
    ]
    return ('crop', metainfo.get('img_path'), metainfo.get('key_frame_index'), *crop)


def noise_for(data_samples: Sequence[Any], options: SamplingOptions | LiftingOptions) -> HypothesisNoise:
    """Noise for each sample and hypothesis that depends on the seed and the sample, not on its neighbours."""
    if options.seed is None:
        return HypothesisNoise.from_generator(None, len(data_samples), options.num_hypotheses)
    seeds = [seed_from(options.seed, *sample_identity(sample.metainfo)) for sample in data_samples]
    return HypothesisNoise.from_seeds(seeds, options.num_hypotheses)
