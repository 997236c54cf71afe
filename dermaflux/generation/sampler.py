"""Samples images from a request, yielding a preview at every step: the one door to the base models.

Each image is sampled alone from its own seed, so that image i of a request equals a request of one image with seed + i.
It knows no jobs, no store and no pages.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import FluxPipeline

from dermaflux.domain.errors import Cancelled, InvalidRequest, ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest, StepPreview
from dermaflux.generation.adapters import Adapter, locate_adapters, wear
from dermaflux.generation.catalogue import NANO, ModelCatalogue, ModelEntry
from dermaflux.generation.denoising import decode, denoise, draw_noise
from dermaflux.generation.loading import OnLoad, load_pipeline, unheard
from dermaflux.generation.memory import AUTO
from dermaflux.generation.model_files import locate
from dermaflux.generation.placement import INT8, check_room, choose_placement, plan_for
from dermaflux.generation.previews import Previewer, load_latent_rgb
from dermaflux.generation.prompts import PromptEncoder
from dermaflux.generation.steering import guidance_of
from dermaflux.generation.threads import fitting_threads

log = logging.getLogger(__name__)

_LOCK_POLL_SECONDS = 0.1


def never() -> bool:
    """The should_stop of a caller who never stops."""
    return False


@dataclass(slots=True, kw_only=True)
class _LoadedModel:
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
    """What an image's record says: empty where the weights are whole."""


class Generator:
    """One base model in memory, exchanged when a request names another. Loads on first use.

    Streams take turns: a second one waits until the first has ended or was closed, so finish a stream before the
    same thread starts the next.
    """

    def __init__(
        self,
        catalogue: ModelCatalogue | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        memory: str = AUTO,
        exports_dir: Path | None = None,
    ) -> None:
        self.catalogue = catalogue or ModelCatalogue()
        self._exports_dir = exports_dir
        self._device = device
        self._precision = precision
        self._memory = memory
        self._loaded: _LoadedModel | None = None
        self._turn = threading.Lock()

    @classmethod
    def load(
        cls,
        model: str = NANO,
        *,
        catalogue: ModelCatalogue | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> "Generator":
        """A generator with that model already in memory. Raises as `stream` does."""
        generator = cls(catalogue, device=device, precision=precision)
        with generator._turn:
            generator._exchange(generator.catalogue.model(model))
        return generator

    def stream(
        self, request: SamplingRequest, should_stop: Callable[[], bool] = never, on_load: OnLoad = unheard
    ) -> Iterator[StepPreview | GeneratedImage]:
        """For each image num_steps previews, then the image. Nothing is sampled until it is iterated.

        should_stop is asked between steps, and between the parts of a model that must be loaded, of which on_load
        hears. Raises at once what the catalogue's `resolve` raises; while iterating Cancelled, and ModelNotAvailable
        or AdapterNotApplied from loading. Closing the iterator stops the sampling.
        """
        return self._stream(self.catalogue.resolve(request), should_stop, on_load)

    def identity(self, request: SamplingRequest) -> ModelIdentity:
        """Which weights draw a request: read off the files, so that nothing is loaded. Raises as `stream` does."""
        entry = self.catalogue.model(request.model)
        adapters = locate_adapters(self.catalogue, request.adapters)
        identity = _identity(entry, locate(entry).sha256(), request, adapters)
        return replace(identity, precision=self._precision_of(entry, adapters))

    def warm_up(self, model: str | None = None) -> None:
        """One step of a model (None: the one in memory, else nano), so that the first user need not wait."""
        model = model or (self._loaded.entry.name if self._loaded else NANO)
        for _ in self.stream(SamplingRequest(caption="warm-up", num_steps=1, model=model)):
            pass

    def unload(self) -> None:
        """Give the memory back; the next stream loads again. Waits for a stream that is under way."""
        with self._turn:
            self._drop()

    def _stream(
        self, request: SamplingRequest, should_stop: Callable[[], bool], on_load: OnLoad
    ) -> Iterator[StepPreview | GeneratedImage]:
        while not self._turn.acquire(timeout=_LOCK_POLL_SECONDS):
            _raise_if(should_stop())
        try:
            _raise_if(should_stop())
            loaded = self._exchange(self.catalogue.model(request.model), _stoppable(on_load, should_stop))
            self._wear(loaded, request)
            self._choose_arithmetic(loaded)
            _check_size(loaded, request)
            with fitting_threads(loaded.pipe.transformer):
                for index in range(request.num_images):
                    yield from _sample(loaded, request, index, should_stop)
        except torch.OutOfMemoryError as error:
            raise ModelNotAvailable(
                f"The device ran out of memory at {request.size_px} px. Choose a smaller size, a smaller model, or a "
                "memory preset for a smaller GPU (DERMAFLUX_MEMORY)."
            ) from error
        finally:
            self._turn.release()

    def _exchange(self, entry: ModelEntry, on_load: OnLoad = unheard) -> _LoadedModel:
        """The model of that entry in memory, the former one dropped first: two may not fit.

        One that this machine can never hold is refused before that, so that the former goes on working.
        """
        if self._loaded is not None and self._loaded.entry == entry:
            return self._loaded
        placement = choose_placement(self._device, self._precision)

        def told(doing: str, done: int, total: int) -> None:
            on_load(f"{entry.name}: {doing}", done, total)

        told("fetching its files from the hub" if entry.is_hub else "finding its files", 0, 0)
        files = locate(entry)
        check_room(files.sizes(), placement, self._memory)
        self._drop()
        plan = plan_for(files.sizes(), placement, self._memory)
        if plan.preset:
            told(f"{plan}", 0, 0)
        pipe = load_pipeline(entry, placement, files, told, plan)
        told("ready; the first image takes longer than the next ones", 0, 0)
        self._loaded = _LoadedModel(
            entry=entry,
            pipe=pipe,
            sha256=files.sha256(),
            encoder=PromptEncoder(pipe, entry.text_tokens),
            previewer=Previewer(pipe, load_latent_rgb(files.folder)),
            precision=plan.precision,
        )
        return self._loaded

    def _drop(self) -> None:
        self._loaded = None
        gc.collect()  # pipelines hold cycles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _wear(self, loaded: _LoadedModel, request: SamplingRequest) -> None:
        """Exactly the adapters of the request on the pipeline."""
        wanted = locate_adapters(self.catalogue, request.adapters)
        if wanted != loaded.adapters:
            loaded.adapters, loaded.sampling = (), None  # what wear leaves behind when it raises
            wear(loaded.pipe, wanted)
            loaded.adapters = wanted

    def _choose_arithmetic(self, loaded: _LoadedModel) -> None:
        """int8 where it was measured to do no harm, exact onnxruntime for what else int8 was asked for, else torch."""
        if loaded.sampling is not None:
            return
        if self._precision != INT8:
            loaded.sampling = loaded.pipe
            return
        if self._exports_dir is None:
            raise InvalidRequest("The precision int8 needs a folder for exported transformers; none was named.")
        from dermaflux.generation.onnx_transformer import with_onnx

        loaded.precision = self._precision_of(loaded.entry, loaded.adapters)
        int8 = loaded.precision == INT8
        loaded.sampling = with_onnx(loaded.pipe, loaded.sha256, loaded.adapters, self._exports_dir, int8=int8)

    def _precision_of(self, entry: ModelEntry, adapters: Sequence[Adapter]) -> str:
        if self._precision == INT8:
            return INT8 if entry.int8_checked and not adapters else ""
        if self._loaded is not None and self._loaded.entry == entry:
            return self._loaded.precision
        return plan_for(locate(entry).sizes(), choose_placement(self._device, self._precision), self._memory).precision


def _sample(
    loaded: _LoadedModel, request: SamplingRequest, index: int, should_stop: Callable[[], bool]
) -> Iterator[StepPreview | GeneratedImage]:
    """One image: its previews, then itself. `seconds` counts our own work, not the caller's between steps."""
    assert (
        request.size_px is not None
        and request.num_steps is not None
        and request.guidance_scale is not None
    )
    _raise_if(should_stop())
    began, away = time.perf_counter(), 0.0
    assert loaded.sampling is not None
    identity = _identity(loaded.entry, loaded.sha256, request, loaded.adapters)
    pipe, seed, size_px = loaded.sampling, request.seed + index, request.size_px
    state = None
    noise = draw_noise(pipe, seed, size_px)
    guidance = guidance_of(request, loaded.encoder, distilled=loaded.entry.distilled_guidance)
    for state in denoise(pipe, guidance, noise, size_px, request.num_steps):
        _check_finite(state.clean, request)
        picture = loaded.previewer.picture(state.clean, size_px)
        left = time.perf_counter()
        yield StepPreview(
            image_index=index, step=state.step, num_steps=state.num_steps, image=picture
        )
        away += time.perf_counter() - left
        _raise_if(should_stop())
    assert state is not None
    image = decode(pipe, state.latents, size_px)
    yield GeneratedImage(
        image=image,
        image_index=index,
        seed=seed,
        request=request,
        identity=replace(identity, precision=loaded.precision),
        seconds=time.perf_counter() - began - away,
    )


def _identity(
    entry: ModelEntry, sha256: str, request: SamplingRequest, adapters: Sequence[Adapter]
) -> ModelIdentity:
    return ModelIdentity(
        model=entry.name,
        model_sha256=sha256,
        adapter=request.adapter,
        adapter_sha256=",".join(adapter.sha256 for adapter in adapters) or None,
        licence=entry.licence,
    )


def _stoppable(on_load: OnLoad, should_stop: Callable[[], bool]) -> OnLoad:
    """Says how far a load is, and stops it there when that is wanted."""

    def told(doing: str, done: int, total: int) -> None:
        _raise_if(should_stop())
        on_load(doing, done, total)

    return told


def _check_finite(latents: torch.Tensor, request: SamplingRequest) -> None:
    if not torch.isfinite(latents).all():
        raise ModelNotAvailable(
            f"The model {request.model!r} gave no finite picture at guidance {request.guidance_scale:g}. Lower the "
            "guidance or the adapter weight; if it stays so, the weights are damaged."
        )


def _check_size(loaded: _LoadedModel, request: SamplingRequest) -> None:
    multiple = loaded.pipe.vae_scale_factor * 2
    if request.size_px % multiple:  # type: ignore[operator] - resolved
        raise InvalidRequest(
            f"size_px is {request.size_px}; {request.model!r} makes multiples of {multiple}."
        )


def _raise_if(stopped: bool) -> None:
    if stopped:
        raise Cancelled("The generation was stopped. Images finished before are kept.")
