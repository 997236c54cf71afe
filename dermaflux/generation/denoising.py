"""Runs a FluxPipeline's own parts one step at a time, so that a caller can look, stop and go on between steps.

It does what FluxPipeline.__call__ does (a test holds their pixels equal), but as an iterator: no thread, no queue.
Time runs from t = 1, noise, to t = 0, data; velocity = noise - data. It knows no captions, files or requests.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from PIL import Image
from torch import Tensor

from dermaflux.generation.guidance import Guidance
from dermaflux.generation.prompts import PromptEmbedding

# Shapes: latents are packed, (B, height/16 * width/16, 64), one token for 2x2 latent pixels, B images drawn together.


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoisingStep:
    """The state after a step: `latents` at the new time, `clean` the data they are estimated to come from."""

    step: int
    num_steps: int
    latents: Tensor
    clean: Tensor


def draw_noise(pipe: FluxPipeline, seed: int, size_px: int) -> Tensor:
    """Packed standard normal latents of a square image, the same on every device: drawn on the CPU in float32."""
    side = 2 * (size_px // (pipe.vae_scale_factor * 2))
    channels = pipe.transformer.config.in_channels // 4
    noise = torch.randn(1, channels, side, side, generator=torch.Generator("cpu").manual_seed(seed))
    return pipe._pack_latents(noise, 1, channels, side, side)


def denoise(
    pipe: FluxPipeline, guidance: Guidance, noise: Tensor, size_px: int, num_steps: int
) -> Iterator[DenoisingStep]:
    """The steps from packed noise (B, tokens, 64) to data; the last one's `latents` are the samples.

    guidance: of one image for all of them, or that of all of them (`guidance.joined`).

    Closing the iterator at any step frees everything it used. Source: diffusers FluxPipeline.__call__.
    """
    _forget_steps(pipe.transformer)
    device, dtype = pipe._execution_device, guidance.caption.tokens.dtype
    # Its own scheduler: it counts steps, and another sample must not disturb the count.
    scheduler: Any = FlowMatchEulerDiscreteScheduler.from_config(pipe.scheduler.config)
    latents, image_ids = pipe.prepare_latents(
        1, pipe.transformer.config.in_channels // 4, size_px, size_px, dtype, device, None, noise
    )
    for step, time in enumerate(_schedule(scheduler, latents.shape[1], num_steps, device), start=1):
        with torch.no_grad():
            with pipe.transformer.cache_context(_context(guidance, step - 1)):
                found = _velocities(pipe, guidance.scale, _texts(guidance, step - 1), latents, image_ids, time)
            velocity = _guided(guidance, found, step - 1)
            sigma = scheduler.sigmas[step - 1]
            clean = latents - sigma.to(latents.dtype) * velocity
            latents = scheduler.step(velocity, time, latents, return_dict=False)[0]
        yield DenoisingStep(step=step, num_steps=num_steps, latents=latents, clean=clean)


def decode(pipe: FluxPipeline, latents: Tensor, size_px: int) -> Image.Image:
    """The image of packed latents (1, tokens, 64), as FluxPipeline decodes them."""
    return decode_all(pipe, latents, size_px)[0]


@torch.no_grad()
def decode_all(pipe: FluxPipeline, latents: Tensor, size_px: int) -> list[Image.Image]:
    """The images of packed latents (B, tokens, 64)."""
    unpacked = (
        unpack(pipe, latents, size_px) / pipe.vae.config.scaling_factor
        + pipe.vae.config.shift_factor
    )
    # A float32 LoRA on a bfloat16 transformer leaves float32 latents.
    image = pipe.vae.decode(unpacked.to(pipe._execution_device, pipe.vae.dtype), return_dict=False)[0]
    pictures: Any = pipe.image_processor.postprocess(image, output_type="pil")
    return pictures


def unpack(pipe: FluxPipeline, latents: Tensor, size_px: int) -> Tensor:
    """Packed latents (B, tokens, 64) as pictures (B, 16, h, w), still scaled for the transformer."""
    return pipe._unpack_latents(latents, size_px, size_px, pipe.vae_scale_factor)


def _schedule(scheduler: Any, num_tokens: int, num_steps: int, device: torch.device) -> Tensor:
    """The times of the steps in 1000..0, shifted by the number of packed tokens as Flux was trained."""
    config = scheduler.config
    mu = calculate_shift(
        num_tokens,
        config.get("base_image_seq_len", 256),
        config.get("max_image_seq_len", 4096),
        config.get("base_shift", 0.5),
        config.get("max_shift", 1.15),
    )
    if config.get("use_flow_sigmas"):
        scheduler.set_timesteps(num_steps, device=device, mu=mu)
    else:
        scheduler.set_timesteps(
            sigmas=np.linspace(1.0, 1 / num_steps, num_steps), device=device, mu=mu
        )
    scheduler.set_begin_index(0)
    return scheduler.timesteps


def _forget_steps(transformer: Any) -> None:
    """A cache of steps, where there is one, must not carry an earlier sample into this one."""
    if getattr(transformer, "is_cache_enabled", False):
        transformer._reset_stateful_cache()


def _context(guidance: Guidance, step: int) -> str:
    """Under which name a cache keeps what it saw: a step that asks about another text must not be answered from it."""
    return f"push {step % len(guidance.pushes)}" if guidance.pushes else "cond"


def _texts(guidance: Guidance, step: int) -> dict[str, PromptEmbedding]:
    """What the transformer is asked about at a step."""
    push = guidance.push_at(step)
    texts = {
        "caption": guidance.caption,
        "empty": guidance.empty,
        "plain": guidance.plain if push else None,
        "opposite": push.away_from if push else None,
    }
    return {name: text for name, text in texts.items() if text is not None}


def _velocities(
    pipe: FluxPipeline,
    scale: float,
    texts: dict[str, PromptEmbedding],
    latents: Tensor,
    image_ids: Tensor,
    time: Tensor,
) -> dict[str, Tensor]:
    """The transformer's velocity (B, tokens, 64) under each text at a time in 0..1000.

    All go through in one batch: a quarter faster than one after the other on a CPU.
    """
    together, num = len(latents), len(texts) * len(latents)
    velocities = pipe.transformer(
        hidden_states=latents.repeat(len(texts), 1, 1),
        timestep=time.expand(num).to(latents.dtype) / 1000,
        guidance=torch.full([num], scale, device=latents.device)
        if pipe.transformer.config.guidance_embeds
        else None,
        pooled_projections=torch.cat([text.pooled.expand(together, -1) for text in texts.values()]),
        encoder_hidden_states=torch.cat([text.tokens.expand(together, -1, -1) for text in texts.values()]),
        txt_ids=texts["caption"].ids,
        img_ids=image_ids,
        return_dict=False,
    )[0]
    return dict(zip(texts, velocities.chunk(len(texts)), strict=True))


def _guided(guidance: Guidance, velocities: dict[str, Tensor], step: int) -> Tensor:
    """One velocity of all: away from the empty text, and away from the opposite."""
    towards = velocities["caption"]
    guided = towards
    if (away := velocities.get("empty")) is not None:
        guided = away + guidance.scale * (towards - away)
    if push := guidance.push_at(step):
        guided = guided + push.scale * (velocities.get("plain", towards) - velocities["opposite"])
    return guided
