"""The rectified-flow objective of Flux as pure functions: times, interpolation, velocity, loss.

t = 1 is noise and t = 0 is data; x_t = (1 - t) * data + t * noise; the velocity is noise - data
(Liu 2022, arXiv 2209.03003; Esser 2024, arXiv 2403.03206). It knows no model and no optimiser.
"""

import torch
from torch import Tensor

# Shapes: B batch, C channels, h w latent rows and columns, N = h*w/4 packed tokens.


def logit_normal_times(count: int, generator: torch.Generator, mean: float = 0.0, sd: float = 1.0) -> Tensor:
    """Times in (0, 1), sigmoid of a normal: most effort where the task is neither trivial nor hopeless (B,)."""
    return torch.sigmoid(mean + sd * torch.randn(count, generator=generator))


def shifted(times: Tensor, shift: float) -> Tensor:
    """Times moved towards noise: shift * t / (1 + (shift - 1) * t), Esser 2024 eq. 23. shift 1 changes nothing."""
    return shift * times / (1 + (shift - 1) * times)


def interpolate(data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """The straight path x_t between data (t = 0) and noise (t = 1); times (B,) against (B, ...)."""
    t = times.reshape(-1, *[1] * (data.ndim - 1))
    return (1 - t) * data + t * noise


def velocity(data: Tensor, noise: Tensor) -> Tensor:
    """The target: dx_t/dt = noise - data, the same at every t."""
    return noise - data


def data_estimate(x_t: Tensor, predicted_velocity: Tensor, times: Tensor) -> Tensor:
    """The clean latents a velocity implies: x_0 = x_t - t * v."""
    return x_t - times.reshape(-1, *[1] * (x_t.ndim - 1)) * predicted_velocity


def velocity_loss(predicted: Tensor, data: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error of the velocity for each sample (B,), in float32."""
    error = predicted.float() - velocity(data, noise).float()
    return error.square().flatten(1).mean(1)


def pack(latents: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h*w/4, 4C): Flux reads 2x2 latents as one token."""
    b, c, h, w = latents.shape
    tokens = latents.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return tokens.reshape(b, (h // 2) * (w // 2), c * 4)


def unpack(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """The inverse of `pack` for latents of `rows` x `columns`."""
    b, _, width = tokens.shape
    latents = tokens.view(b, rows // 2, columns // 2, width // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return latents.reshape(b, width // 4, rows, columns)
