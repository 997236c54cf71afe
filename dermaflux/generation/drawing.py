"""Draws the images of one turn with a model in memory: previews at every step, then the images with their records.

It knows neither which model to load nor who takes turns; that is `sampler`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from diffusers import FluxPipeline

from dermaflux.domain.errors import Cancelled, ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest, StepPreview
from dermaflux.generation.adapters import Adapter
from dermaflux.generation.catalogue import ModelEntry
from dermaflux.generation.denoising import decode_all, denoise, draw_noise
from dermaflux.generation.previews import Previewer
from dermaflux.generation.prompts import PromptEncoder
from dermaflux.generation.steering import guidance_of


@dataclass(slots=True, kw_only=True)
class LoadedModel:
    """A pipeline in memory and what is on it now."""

    entry: ModelEntry
    pipe: FluxPipeline
    sha256: str
    encoder: PromptEncoder
    previewer: Previewer
    adapters: tuple[Adapter, ...] = ()
    sampling: FluxPipeline | None = None
    """What samples: the pipeline, or the same with its transformer in onnxruntime; None when it must be made anew."""
    precision: str = ""
    speed: str = ""


def draw(
    loaded: LoadedModel, request: SamplingRequest, indices: range, should_stop: Callable[[], bool]
) -> Iterator[StepPreview | GeneratedImage]:
    """Images drawn together: their previews, then themselves.

    `seconds` counts our own work, not the caller's between steps, in equal shares.
    """
    assert request.size_px is not None and request.num_steps is not None
    raise_if(should_stop())
    began, away = time.perf_counter(), 0.0
    assert loaded.sampling is not None
    pipe, size_px, state = loaded.sampling, request.size_px, None
    noise = torch.cat([draw_noise(pipe, request.seed + index, size_px) for index in indices])
    guidance = guidance_of(request, loaded.encoder, distilled=loaded.entry.distilled_guidance)
    for state in denoise(pipe, guidance, noise, size_px, request.num_steps):
        _check_finite(state.clean, request)
        for index, clean in zip(indices, state.clean.split(1), strict=True):
            picture = loaded.previewer.picture(clean, size_px)
            left = time.perf_counter()
            yield StepPreview(image_index=index, step=state.step, num_steps=state.num_steps, image=picture)
            away += time.perf_counter() - left
            raise_if(should_stop())
    assert state is not None
    images = decode_all(pipe, state.latents, size_px)
    seconds = (time.perf_counter() - began - away) / len(indices)
    identity = identity_of(loaded.entry, loaded.sha256, request, loaded.adapters)
    for index, image in zip(indices, images, strict=True):
        yield GeneratedImage(
            image=image,
            image_index=index,
            seed=request.seed + index,
            request=request,
            identity=replace(identity, precision=loaded.precision, speed=loaded.speed),
            seconds=seconds,
            batch=len(indices),
        )


def identity_of(
    entry: ModelEntry, sha256: str, request: SamplingRequest, adapters: Sequence[Adapter]
) -> ModelIdentity:
    """Which weights draw a request."""
    return ModelIdentity(
        model=entry.name,
        model_sha256=sha256,
        adapter=request.adapter,
        adapter_sha256=",".join(adapter.sha256 for adapter in adapters) or None,
        licence=entry.licence,
    )


def _check_finite(latents: torch.Tensor, request: SamplingRequest) -> None:
    if not torch.isfinite(latents).all():
        raise ModelNotAvailable(
            f"The model {request.model!r} gave no finite picture at guidance {request.guidance_scale:g}. Lower the "
            "guidance or the adapter weight; if it stays so, the weights are damaged."
        )


def raise_if(stopped: bool) -> None:
    """Raise Cancelled when that was wanted."""
    if stopped:
        raise Cancelled("The generation was stopped. Images finished before are kept.")
