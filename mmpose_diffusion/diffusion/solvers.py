"""One step of the way back: from a noisy signal and a clean estimate to a less noisy signal.

Every solver here goes through an explicit list of steps. diffusers' schedulers make up their own lists, and its DDIM
even recomputes the previous step by an integer division, which is off wherever the number of steps does not divide T.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from .hypotheses import HypothesisNoise
from .schedules import Schedule, noise_to_signal

# (noisy [N, ...], clean estimate [N, ...], position in the list of steps, noise) -> noisy signal at the next position
Solver = Callable[[Tensor, Tensor, int, HypothesisNoise], Tensor]


def start_solver(schedule: Schedule, steps: list[int]) -> Solver:
    """A solver for one pass through `steps`; it may remember earlier estimates, so every pass starts a new one."""
    if type(schedule.scheduler).__name__ == 'DDIMScheduler':
        return _ddim_solver(schedule, steps)
    return _library_solver(schedule, steps)


def _ddim_solver(schedule: Schedule, steps: list[int]) -> Solver:
    """DDIM (https://arxiv.org/abs/2010.02502, formulas 12 and 16) between explicit steps."""
    alphas_cumprod = [*schedule.alphas_cumprod[torch.tensor(steps)].tolist(), 1.0]

    def advance(noisy: Tensor, clean: Tensor, position: int, noise: HypothesisNoise) -> Tensor:
        now, after = alphas_cumprod[position : position + 2]
        # sigma: standard deviation of the fresh noise
        sigma = schedule.eta * ((1 - after) / (1 - now) * (1 - now / after)) ** 0.5
        estimated_noise = (noisy - now**0.5 * clean) / (1 - now) ** 0.5
        moved = after**0.5 * clean + (1 - after - sigma**2) ** 0.5 * estimated_noise
        return moved if sigma == 0 else moved + sigma * noise.draw(noisy.shape[1:], noisy.device)

    return advance


def _library_solver(schedule: Schedule, steps: list[int]) -> Solver:
    """A scheduler of diffusers whose list of steps is replaced by ours."""
    scheduler = copy.copy(schedule.scheduler)  # its state belongs to this pass; the tables are shared
    name = type(scheduler).__name__
    # This resets what the solver remembers; a shorter count than LCM's own schedule is always accepted.
    scheduler.set_timesteps(1)
    scheduler.timesteps = torch.tensor(steps)
    scheduler.num_inference_steps = len(steps)
    if name in ('DPMSolverMultistepScheduler', 'UniPCMultistepScheduler'):
        scheduler.sigmas = noise_to_signal(schedule.alphas_cumprod, steps)
    takes_noise = name != 'UniPCMultistepScheduler'

    def advance(noisy: Tensor, clean: Tensor, position: int, noise: HypothesisNoise) -> Tensor:
        # diffusers draws sample by sample when it gets a list of generators: inner noise ignores the batch as well.
        extra = dict(generator=noise.generators) if takes_noise else {}
        return scheduler.step(clean, steps[position], noisy, return_dict=False, **extra)[0]

    return advance
