"""Draws the images of one turn with a model in memory: previews at every step, then the images with their records.

It knows neither which model to load nor who takes turns; that is `sampler`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from diffusers import FluxPipeline
from PIL.Image import Image

from dermaflux.domain.errors import Cancelled, ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest, StepPreview
from dermaflux.generation.adapters import Adapter
from dermaflux.generation.catalogue import ModelEntry
from dermaflux.generation.denoising import decode_all, denoise, draw_noise
from dermaflux.generation.guidance import Guidance, joined
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One image of a resolved request."""

    request: SamplingRequest
    index: int


def draw(
    loaded: LoadedModel, parts: Sequence[Part], guidances: Sequence[Guidance], should_stop: Callable[[], bool]
) -> Iterator[tuple[int, StepPreview | GeneratedImage]]:
    """Images drawn together, each by its own guidance: previews, then themselves, with the place in `parts`.

    All are of one model, adapters, size and number of steps, and their guidances of one kind. `seconds` counts our own
    work, not the caller's between steps, in equal shares.
    """
    size_px, num_steps = parts[0].request.size_px, parts[0].request.num_steps
    assert size_px is not None and num_steps is not None and loaded.sampling is not None
    raise_if(should_stop())
    began, away = time.perf_counter(), 0.0
    pipe, state = loaded.sampling, None
    noise = torch.cat([draw_noise(pipe, part.request.seed + part.index, size_px) for part in parts])
    step_began = time.perf_counter()
    for state in denoise(pipe, joined(guidances), noise, size_px, num_steps):
        _check_finite(state.clean, parts[0].request)  # and waits for the device: only now the step is over
        pictures = loaded.previewer.pictures(state, size_px, time.perf_counter() - step_began)
        for place, (part, picture) in enumerate(zip(parts, pictures, strict=True)):
            left = time.perf_counter()
            yield place, StepPreview(image_index=part.index, step=state.step, num_steps=num_steps, image=picture)
            away += time.perf_counter() - left
            raise_if(should_stop())
        step_began = time.perf_counter()
    assert state is not None
    images = decode_all(pipe, state.latents, size_px)
    seconds = (time.perf_counter() - began - away) / len(parts)
    for place, (part, image) in enumerate(zip(parts, images, strict=True)):
        yield place, _generated(loaded, part, image, seconds, batch=len(parts))


def guidance_for(loaded: LoadedModel, request: SamplingRequest) -> Guidance:
    """How a resolved request steers the model in memory."""
    return guidance_of(request, loaded.encoder, distilled=loaded.entry.distilled_guidance)


def _generated(loaded: LoadedModel, part: Part, image: Image, seconds: float, batch: int) -> GeneratedImage:
    identity = identity_of(loaded.entry, loaded.sha256, part.request, loaded.adapters)
    return GeneratedImage(
        image=image,
        image_index=part.index,
        seed=part.request.seed + part.index,
        request=part.request,
        identity=replace(identity, precision=loaded.precision, speed=loaded.speed),
        seconds=seconds,
        batch=batch,
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
