"""What a generator is taught: the velocity of the rectified flow, or the noise of a diffusion, everything else equal.

Both hide data in noise up to a time in 0..1, t = 1 is noise, and give a loss a sample. The diffusion is the one of
Stable Diffusion (epsilon-prediction, Ho 2020, arXiv 2006.11239; scaled-linear betas, Rombach 2022): the baseline that
the flow is compared with. They know no network, no caption and no optimiser.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from dermaflux.domain.errors import InvalidRequest
from training.rectified_flow import interpolate, logit_normal_times, shifted, velocity_loss

Predict = Callable[[Tensor, Tensor], Tensor]
"""Latents (B, C, h, w) and times (B,) in 0..1 in, what the objective teaches (B, C, h, w) out."""

FLOW, EPSILON = "flow", "epsilon"
NUM_TRAIN_TIMES = 1000


class Objective(Protocol):
    """How times are drawn, and the error of a prediction at them."""

    def times(self, count: int, generator: torch.Generator) -> Tensor:
        """Times (B,) in 0..1 to learn at."""
        ...

    def loss(self, predict: Predict, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Mean squared error of each sample (B,)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RectifiedFlow:
    """Flux's objective: x_t = (1 - t) * data + t * noise, the velocity noise - data is learned."""

    time_shift: float = 1.0

    def times(self, count: int, generator: torch.Generator) -> Tensor:
        """Logit-normal, moved towards noise (Esser 2024, arXiv 2403.03206)."""
        return shifted(logit_normal_times(count, generator), self.time_shift)

    def loss(self, predict: Predict, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Squared error of the velocity."""
        return velocity_loss(predict(interpolate(data, noise, times), times), data, noise)


@dataclass(frozen=True, kw_only=True)
class EpsilonDiffusion:
    """Stable Diffusion's objective: x_t = sqrt(a_t) * data + sqrt(1 - a_t) * noise, the noise is learned."""

    @cached_property
    def schedule(self) -> Any:
        """The betas in 1000 steps."""
        return DDPMScheduler(
            num_train_timesteps=NUM_TRAIN_TIMES, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012
        )

    def times(self, count: int, generator: torch.Generator) -> Tensor:
        """Uniform over the 1000 steps."""
        return torch.randint(NUM_TRAIN_TIMES, (count,), generator=generator) / NUM_TRAIN_TIMES

    def loss(self, predict: Predict, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Squared error of the noise; times between two steps count as the earlier one."""
        steps = (times * NUM_TRAIN_TIMES).round().long().clamp(max=NUM_TRAIN_TIMES - 1)
        hidden = self.schedule.add_noise(data, noise, steps)
        predicted = predict(hidden, self.time_of(steps))
        return (predicted.float() - noise.float()).square().flatten(1).mean(1)

    def time_of(self, step: Tensor) -> Tensor:
        """The time in 0..1 of a step of the schedule, as the network was told it."""
        return step.float() / NUM_TRAIN_TIMES

    def sampler(self, num_steps: int) -> Any:
        """DPM-Solver++ (Lu 2022, arXiv 2211.01095) set to a number of steps: what makes diffusion good in few."""
        solver: Any = DPMSolverMultistepScheduler.from_config(self.schedule.config)
        solver.set_timesteps(num_steps)
        return solver


def objective_of(name: str, time_shift: float = 1.0) -> Objective:
    """The objective of that name. Raises InvalidRequest when there is none."""
    if name == FLOW:
        return RectifiedFlow(time_shift=time_shift)
    if name == EPSILON:
        return EpsilonDiffusion()
    raise InvalidRequest(f"objective is {name!r}. Choose {FLOW} or {EPSILON}.")
