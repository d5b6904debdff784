"""Diffusion on tensors [N, ...] of any meaning: schedules, training draws, sampling, hypotheses.

Knows nothing of images or people and imports nothing of this package. Vocabulary: a *step* is an index of the training
schedule (0 = almost clean, T - 1 = almost pure noise); a *hypothesis* is one of several independent samples for one
condition; *clean*, *noisy* and *noise* live in signal units (see `SignalRange`), *data* in the caller's units.
"""

from .denoiser import Denoiser, InPasses, MirrorAveraged
from .hypotheses import HypothesisNoise, fold_hypotheses, pair_with_hypotheses, seed_from, unfold_hypotheses
from .process import DiffusionProcess, Samples, TrainingDraw
from .schedules import SUPPORTED_SCHEDULERS, Schedule, build_schedule, evenly_spaced_steps, validate_steps
from .signal import SignalRange
from .step_embedding import StepEmbedding, sinusoidal_embedding

__all__ = [
    'SUPPORTED_SCHEDULERS',
    'Denoiser',
    'DiffusionProcess',
    'HypothesisNoise',
    'InPasses',
    'MirrorAveraged',
    'Samples',
    'Schedule',
    'SignalRange',
    'StepEmbedding',
    'TrainingDraw',
    'build_schedule',
    'evenly_spaced_steps',
    'fold_hypotheses',
    'pair_with_hypotheses',
    'seed_from',
    'sinusoidal_embedding',
    'unfold_hypotheses',
    'validate_steps',
]
