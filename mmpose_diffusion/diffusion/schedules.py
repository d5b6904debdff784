"""Noise schedules and solvers of the `diffusers` library by configuration, and explicit lists of steps for them."""

import importlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

PREDICTION_TYPES = ('sample', 'epsilon', 'v_prediction')

# The noise schedule: one set of defaults for every solver (those of DDPM), although diffusers' own differ between them.
# So a trained network stays valid when only `type` is changed.
_NOISE_DEFAULTS = dict(
    num_train_timesteps=1000,
    beta_start=1e-4,
    beta_end=0.02,
    beta_schedule='linear',
    trained_betas=None,
    rescale_betas_zero_snr=False,
)

_MODULES = dict(
    DDIMScheduler='scheduling_ddim',
    DDPMScheduler='scheduling_ddpm',
    DPMSolverMultistepScheduler='scheduling_dpmsolver_multistep',
    UniPCMultistepScheduler='scheduling_unipc_multistep',
    LCMScheduler='scheduling_lcm',
)
SUPPORTED_SCHEDULERS = tuple(_MODULES)

# What each solver lets one choose. Left out on purpose: step spacing (steps are explicit), clipping (`SignalRange`).
_SOLVER_OPTIONS = dict(
    DDIMScheduler=('eta',),
    DDPMScheduler=('variance_type',),
    DPMSolverMultistepScheduler=('algorithm_type', 'solver_order', 'solver_type', 'lower_order_final'),
    UniPCMultistepScheduler=('solver_order', 'solver_type', 'predict_x0', 'lower_order_final', 'disable_corrector'),
    LCMScheduler=('timestep_scaling',),
)

# Left out: what diffusers replaces silently, what wants a network that predicts variances, or gives NaN.
_CHOICES = dict(
    algorithm_type=('dpmsolver++', 'sde-dpmsolver++'),
    variance_type=('fixed_small', 'fixed_small_log', 'fixed_large'),
    solver_order=(1, 2, 3),
)

# diffusers clips to [-1, 1] unless told otherwise, but its solvers do not all know the option.
_SWITCHED_OFF = dict(
    DDIMScheduler=dict(clip_sample=False), DDPMScheduler=dict(clip_sample=False), LCMScheduler=dict(clip_sample=False)
)


class Schedule(NamedTuple):
    """A noise schedule with its solver.

    Attributes:
        scheduler: scheduler of diffusers, told that the network predicts the clean signal: other predictions are
            converted before it sees them, so that clamping, mirroring and averaging are the same for all solvers.
        prediction_type: what the network predicts: 'sample' (the clean signal), 'epsilon' (the noise), 'v_prediction'.
        alphas_cumprod: share of the clean signal's variance left at each training step, [T] float64 on the CPU.
        eta: for DDIM, 0 (deterministic) ... 1 (as much fresh noise as DDPM).
    """

    scheduler: Any
    prediction_type: str
    alphas_cumprod: Tensor
    eta: float = 0.0

    @property
    def num_train_steps(self) -> int:
        """T."""
        return len(self.alphas_cumprod)


def build_schedule(config: dict | None = None) -> Schedule:
    """Builds a schedule from a config such as ``dict(type='DDIMScheduler', prediction_type='sample')``.

    diffusers is imported here, not with the package: it takes seconds.
    """
    if not isinstance(config, Mapping | None):
        raise TypeError(f"a scheduler is described by a dict such as dict(type='DDIMScheduler'), got {config!r}")
    options = dict(config or {})
    name = str(options.pop('type', 'DDIMScheduler'))
    if name not in _MODULES:
        raise ValueError(f'unknown scheduler type {name!r}; choose one of {", ".join(SUPPORTED_SCHEDULERS)}')
    prediction_type = options.pop('prediction_type', 'sample')
    if prediction_type not in PREDICTION_TYPES:
        raise ValueError(
            f'{name}: prediction_type must be one of {", ".join(PREDICTION_TYPES)}; got {prediction_type!r}'
        )
    allowed = (*_NOISE_DEFAULTS, *_SOLVER_OPTIONS[name])
    for key in options:
        if key not in allowed:
            raise ValueError(
                f'{name} does not take {key!r} here; it takes prediction_type, {", ".join(allowed)}. '
                'Steps are chosen by num_steps or an explicit list, clamping by the signal range.'
            )
        if key in _CHOICES and options[key] not in _CHOICES[key]:
            raise ValueError(f'{name}: {key} must be one of {", ".join(map(str, _CHOICES[key]))}; got {options[key]!r}')
    if options.get('algorithm_type') == 'sde-dpmsolver++' and options.get('solver_order') == 3:
        raise ValueError(f'{name}: diffusers has no third order for sde-dpmsolver++; choose solver_order 1 or 2')
    eta = options.pop('eta', 0.0)
    if not isinstance(eta, int | float) or not 0 <= eta <= 1:
        raise ValueError(f'{name}: eta must lie between 0 and 1, got {eta!r}')
    options = {**_NOISE_DEFAULTS, **_SWITCHED_OFF.get(name, {}), **options, 'prediction_type': 'sample'}
    if name == 'LCMScheduler':  # the length of its own list of steps, which is not used but must not exceed T
        options['original_inference_steps'] = min(50, options['num_train_timesteps'])
    scheduler_class = getattr(importlib.import_module(f'diffusers.schedulers.{_MODULES[name]}'), name)
    try:
        scheduler = scheduler_class(**options)
    except Exception as error:
        raise ValueError(f'{name} refuses its options {dict(config or {})}: {error}') from error
    schedule = Schedule(scheduler, prediction_type, scheduler.alphas_cumprod.double(), float(eta))
    left = schedule.alphas_cumprod
    falls = len(left) > 0 and left[0] < 1 and bool((left.diff() <= 0).all())
    if not falls or not left[-1] >= 0 or left[:-1].eq(0).any():
        raise ValueError(
            f'{name}: num_train_timesteps, beta_start, beta_end or trained_betas make no noise schedule: the share of '
            f'the signal has to fall from below 1 to 0 at the earliest in the last step; options {dict(config or {})}'
        )
    if prediction_type == 'epsilon' and schedule.alphas_cumprod[-1] == 0:
        raise ValueError(
            f'{name}: prediction_type "epsilon" cannot start from pure noise '
            '(rescale_betas_zero_snr=True); use "sample" or "v_prediction"'
        )
    return schedule


def evenly_spaced_steps(num_steps: int, num_train_steps: int) -> list[int]:
    """The `num_steps` steps to visit, descending from the noisiest one; after the last one comes the clean signal.

    Points evenly spaced from T - 1 down to -1 (the clean signal, left out), truncated: 4 of 1000 -> 999, 749, 499, 249.
    """
    if isinstance(num_steps, bool) or not isinstance(num_steps, int) or not 1 <= num_steps <= num_train_steps:
        raise ValueError(
            f'num_steps must be an integer from 1 to {num_train_steps}, the number of training steps; got {num_steps!r}'
        )
    # -1 + T * k / num_steps for k = num_steps ... 1, in whole numbers; all of them are at least 0.
    return [num_train_steps * k // num_steps - 1 for k in range(num_steps, 0, -1)]


def validate_steps(steps: Sequence[int], num_train_steps: int) -> list[int]:
    """Checks an explicit list of steps: strictly descending, all within the training schedule."""
    steps = list(steps)
    if any(isinstance(step, bool) or not isinstance(step, int) for step in steps):
        raise ValueError(f'steps must be integers (num_steps as a list names them), got {steps}')
    if not steps or any(later >= earlier for earlier, later in pairwise(steps)):
        raise ValueError(f'steps must be strictly descending and not empty, got {steps}')
    if steps[0] >= num_train_steps or steps[-1] < 0:
        raise ValueError(f'steps must lie in 0 ... {num_train_steps - 1}, the training steps; got {steps}')
    return steps


def noise_to_signal(alphas_cumprod: Tensor, steps: Sequence[int]) -> Tensor:
    """Standard deviation of the noise over the amplitude of the signal at `steps`, then 0 for the clean signal."""
    chosen = alphas_cumprod[torch.tensor(steps)]
    return torch.cat([((1 - chosen) / chosen).sqrt(), chosen.new_zeros(1)]).float()
