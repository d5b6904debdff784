"""The diffusion process: noise for training, and the sampling loop."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .denoiser import Denoiser
from .hypotheses import HypothesisNoise, unfold_hypotheses
from .schedules import build_schedule, evenly_spaced_steps, validate_steps
from .signal import SignalRange
from .solvers import start_solver


class TrainingDraw(NamedTuple):
    """What one training iteration works on; all tensors [N, ...] in signal units."""

    network_input: Tensor  # what the denoiser is given
    step: Tensor  # [N] int64
    clean: Tensor
    noise: Tensor
    noisy: Tensor


class Samples(NamedTuple):
    """What sampling returns, in data units."""

    hypotheses: Tensor  # [B, H, ...]
    estimates: tuple[Tensor, ...]  # each step's clean estimate [B, H, ...], noisiest first; empty if not asked for


class DiffusionProcess(nn.Module):
    """Corrupts data for training and generates data by sampling; the network is passed in, never held.

    Args:
        scheduler: config of the noise schedule and solver, see `build_schedule`.
        signal: options of `SignalRange`.
    """

    def __init__(self, scheduler: dict | None = None, signal: dict | None = None) -> None:
        super().__init__()
        self.schedule = build_schedule(scheduler)
        self.signal = SignalRange(**(signal or {})).validated()
        if self.signal.spread is not None and self.prediction_type != 'sample':
            raise ValueError(
                f'signal range: a network that predicts {self.prediction_type!r} must see the noise in full: leave out '
                f'spread={self.signal.spread}, or let it predict the clean signal (prediction_type="sample")'
            )
        # x_t = signal_rate * x_0 + noise_rate * noise; the tables follow the model's device and stay out of checkpoints
        self.register_buffer('signal_rate', self.schedule.alphas_cumprod.sqrt().float(), persistent=False)
        self.register_buffer('noise_rate', (1 - self.schedule.alphas_cumprod).sqrt().float(), persistent=False)

    @property
    def num_train_steps(self) -> int:
        """T, the length of the noise schedule."""
        return self.schedule.num_train_steps

    @property
    def prediction_type(self) -> str:
        """What the network predicts: 'sample', 'epsilon' or 'v_prediction'."""
        return self.schedule.prediction_type

    def steps(self, steps: int | Sequence[int]) -> list[int]:
        """A number of steps, or the steps themselves -> the checked list of steps, noisiest first."""
        if isinstance(steps, Sequence) and not isinstance(steps, str):
            return validate_steps(steps, self.num_train_steps)
        return evenly_spaced_steps(steps, self.num_train_steps)

    def rates(self, step: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Steps [N] -> signal and noise rate, each [N, 1, ..., 1], to multiply `like` [N, ...] sample by sample."""
        if step.shape != like.shape[:1]:
            raise ValueError(f'steps of shape {tuple(step.shape)} do not fit {like.shape[0]} samples, one each')
        shape = (-1, *[1] * (like.ndim - 1))
        return self.signal_rate[step].reshape(shape), self.noise_rate[step].reshape(shape)

    def add_noise(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """The forward process in signal units: clean and noise [N, ...], step [N] -> noisy [N, ...]."""
        signal_rate, noise_rate = self.rates(step, clean)
        return signal_rate * clean + noise_rate * noise

    def network_input(self, noisy: Tensor, step: Tensor) -> Tensor:
        """What the network sees of a noisy signal [N, ...] at steps [N]; see `SignalRange`."""
        if self.signal.spread is not None:
            signal_rate, noise_rate = self.rates(step, noisy)
            deviation = self.signal.spread * self.signal.scale
            # E[clean | noisy] of a Gaussian number around zero
            noisy = noisy * signal_rate * deviation**2 / ((signal_rate * deviation) ** 2 + noise_rate**2)
        # A network that predicts noise or v must see it whole: it cannot tell the noise that has been cut away.
        return self.signal.cut_off(noisy) if self.prediction_type == 'sample' else noisy

    def draw(self, data: Tensor, generator: torch.Generator | None = None) -> TrainingDraw:
        """Draws a uniform step and unit noise for each sample of `data` [N, ...] and corrupts it."""
        clean = self.signal.encode(data)
        device = clean.device if generator is None else generator.device
        step = torch.randint(self.num_train_steps, clean.shape[:1], generator=generator, device=device).to(clean.device)
        noise = torch.randn(clean.shape, generator=generator, device=device, dtype=clean.dtype).to(clean.device)
        noisy = self.add_noise(clean, noise, step)
        return TrainingDraw(self.network_input(noisy, step), step, clean, noise, noisy)

    def target(self, draw: TrainingDraw) -> Tensor:
        """What the network should predict for a draw, in the network's units: [N, ...].

        The clean signal in multiples of its scale, the unit noise, or v = signal_rate * noise - noise_rate * clean
        (https://arxiv.org/abs/2202.00512, with the clean signal in signal units).
        """
        if self.prediction_type == 'sample':
            return draw.clean / self.signal.scale
        if self.prediction_type == 'epsilon':
            return draw.noise
        signal_rate, noise_rate = self.rates(draw.step, draw.clean)
        return signal_rate * draw.noise - noise_rate * draw.clean

    def clean_estimate(self, prediction: Tensor, noisy: Tensor, step: Tensor) -> Tensor:
        """The clean signal that a prediction stands for, not clamped: [N, ...] each, in signal units."""
        if self.prediction_type == 'sample':
            return prediction * self.signal.scale
        signal_rate, noise_rate = self.rates(step, noisy)
        if self.prediction_type == 'epsilon':
            return (noisy - noise_rate * prediction) / signal_rate
        return signal_rate * noisy - noise_rate * prediction

    def sample(
        self,
        denoise: Denoiser,
        condition: Any,
        shape: Sequence[int],
        noise: HypothesisNoise,
        steps: int | Sequence[int] = 1,
        keep_estimates: bool = False,
    ) -> Samples:
        """Generates data of `shape` (without the batch) for every sample and hypothesis of `noise`.

        Args:
            denoise: guesses what `prediction_type` says; gets all hypotheses in one batch [B * H, ...].
            condition: handed through to `denoise`, B entries.
            shape: shape of one answer.
            noise: where all randomness comes from.
            steps: number of steps, or the steps themselves in descending order. Free to differ from call to call.
            keep_estimates: also return the clean estimate of every step.
        """
        steps = self.steps(steps)
        solver = start_solver(self.schedule, steps)
        noisy = noise.draw(shape, self.signal_rate.device)  # [B * H, ...]
        estimates = []
        for position, step in enumerate(steps):
            step_of_each = torch.full(noisy.shape[:1], step, dtype=torch.int64, device=noisy.device)
            prediction = denoise(self.network_input(noisy, step_of_each), step_of_each, condition)
            if prediction.shape != noisy.shape:
                raise ValueError(
                    f'the denoiser must answer in the shape it is asked in, {tuple(noisy.shape)}, '
                    f'got {tuple(prediction.shape)}'
                )
            # The solver works in float32 even where the network does not.
            clean = self.signal.limit(self.clean_estimate(prediction.to(noisy.dtype), noisy, step_of_each))
            if keep_estimates:
                estimates.append(self._to_data(clean, noise))
            # Behind the last step comes the clean signal itself: there every solver returns its estimate.
            if position + 1 < len(steps):
                noisy = solver(noisy, clean, position, noise)
        return Samples(self._to_data(clean, noise), tuple(estimates))

    def _to_data(self, clean: Tensor, noise: HypothesisNoise) -> Tensor:
        """Signal [B * H, ...] -> data [B, H, ...]."""
        return unfold_hypotheses(self.signal.decode(clean), noise.num_hypotheses)
