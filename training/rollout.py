"""Whole trajectories of a velocity, guided and pushed as the sampler does it, for a teacher that draws in batches.

Time runs from t = 1, noise, to t = 0, data. It knows no model: the velocity comes in as a function.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""Latents (B, C, h, w) and times (B,) in, velocity (B, C, h, w) out."""


def guided(towards: Velocity, away: Velocity, scale: float) -> Velocity:
    """Classifier-free guidance: the caption's velocity against the empty caption's (Ho 2022, arXiv 2207.12598)."""
    if scale == 1:
        return towards

    def both(latents: Tensor, times: Tensor) -> Tensor:
        empty = away(latents, times)
        return empty + scale * (towards(latents, times) - empty)

    return both


def pushed(velocity: Velocity, plain: Velocity, away: Sequence[tuple[Velocity, float | Tensor]]) -> Velocity:
    """A velocity plus what tells the plain caption from each of its opposites, times a scale: one or (B, 1, 1, 1)."""
    if not away:
        return velocity

    def all_of(latents: Tensor, times: Tensor) -> Tensor:
        here = plain(latents, times)
        push = sum(scale * (here - opposite(latents, times)) for opposite, scale in away)
        return velocity(latents, times) + push

    return all_of


@torch.no_grad()
def trajectory(velocity: Velocity, noise: Tensor, times: Tensor, keep_every: int) -> Tensor:
    """Every `keep_every`-th state of Euler steps from noise (the first) to data (the last), (B, K, C, h, w).

    `times` (num_steps + 1,) falls from 1 to 0.

    Raises ValueError when the steps cannot be divided by keep_every.
    """
    num_steps = len(times) - 1
    if num_steps % keep_every:
        raise ValueError(f"{num_steps} steps cannot be divided by {keep_every}")
    latents, states = noise, [noise]
    for step, (time, following) in enumerate(pairwise(times), start=1):
        latents = latents + (following - time) * velocity(latents, time.expand(len(latents)))
        if step % keep_every == 0:
            states.append(latents)
    return torch.stack(states, dim=1)
