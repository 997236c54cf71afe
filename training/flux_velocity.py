"""One call of a Flux transformer on latents as pictures: what the trainers ask of it, in one place.

t = 1 is noise, velocity = noise - data. It knows no caption (embeddings come in), no adapter and no optimiser.
"""

import math
from typing import Any

import torch
from diffusers import FluxPipeline
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from torch import Tensor

from training.rectified_flow import pack, shifted, unpack

# Shapes: B batch, C channels, h w latent rows and columns, L text tokens.


def flux_velocity(
    transformer: Any, x_t: Tensor, times: Tensor, tokens: Tensor, pooled: Tensor, model: Any = None
) -> Tensor:
    """The velocity (B, C, h, w) at latents x_t (B, C, h, w) and times (B,) in 0..1 under text (B, L, D) and (B, P).

    A guidance-distilled transformer is told 1.0, no guidance. `transformer` may be wrapped (for several devices);
    `model` is then the plain one, which knows its type and settings.
    """
    model = transformer if model is None else model
    rows, columns = x_t.shape[-2:]
    dtype, device = model.dtype, x_t.device
    packed = transformer(
        hidden_states=pack(x_t).to(dtype),
        timestep=times.to(dtype),
        guidance=torch.ones(len(x_t), device=device, dtype=dtype) if model.config.guidance_embeds else None,
        pooled_projections=pooled.to(dtype),
        encoder_hidden_states=tokens.to(dtype),
        txt_ids=torch.zeros(tokens.shape[1], 3, device=device, dtype=dtype),
        img_ids=FluxPipeline._prepare_latent_image_ids(len(x_t), rows // 2, columns // 2, device, dtype),
        return_dict=False,
    )[0]
    return unpack(packed, rows, columns)


def time_shift(scheduler_config: Any, latents: Tensor) -> float:
    """How far times move towards noise: larger pictures are harder to hide (as the pipeline's sampler shifts them)."""
    mu = calculate_shift(
        latents.shape[-2] * latents.shape[-1] // 4,
        scheduler_config.get("base_image_seq_len", 256),
        scheduler_config.get("max_image_seq_len", 4096),
        scheduler_config.get("base_shift", 0.5),
        scheduler_config.get("max_shift", 1.15),
    )
    return math.exp(mu)


def sampling_times(num_steps: int, shift: float) -> Tensor:
    """The times (num_steps + 1,) that the pipeline's sampler visits: from 1, noise, down to 0, data."""
    even = torch.linspace(1, 1 / num_steps, num_steps)
    return torch.cat([shifted(even, shift), torch.zeros(1)])
