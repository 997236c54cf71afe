"""Samples images from a request, yielding a preview at every step: the one door to the base models.

Each image is sampled from its own seed, alone unless `Speed.batch` says otherwise, so that image i of a request equals
a request of one image with seed + i. It knows no jobs, no store and no pages.
"""

import gc
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest, StepPreview
from dermaflux.domain.speed import NO_SPEED, Speed
from dermaflux.generation import speed as speeding
from dermaflux.generation.adapter_facts import read_adapter_facts
from dermaflux.generation.adapters import Adapter, locate_adapters, wear
from dermaflux.generation.catalogue import NANO, ModelCatalogue, ModelEntry
from dermaflux.generation.drawing import (
    LoadedModel,
    Part,
    draw,
    guidance_for,
    identity_of,
    raise_if,
)
from dermaflux.generation.latent_rgb import map_of
from dermaflux.generation.loading import OnLoad, load_pipeline, unheard
from dermaflux.generation.memory import AUTO
from dermaflux.generation.model_files import ModelFiles, locate
from dermaflux.generation.placement import INT8, check_room, choose_placement, plan_for
from dermaflux.generation.preview_decoder import PreviewDecoder, locate_preview_decoder
from dermaflux.generation.previews import Previewer
from dermaflux.generation.prompts import PromptEncoder
from dermaflux.generation.shared_batches import SharedBatches
from dermaflux.generation.threads import fitting_threads

log = logging.getLogger(__name__)

_LOCK_POLL_SECONDS = 0.1


def never() -> bool:
    """The should_stop of a caller who never stops."""
    return False


class Generator:
    """One base model in memory, exchanged when a request names another. Loads on first use.

    Streams take turns unless they are drawn together (`Speed.batch`): a second one waits until the first has ended or
    was closed, so finish a stream before the same thread starts the next.
    """

    def __init__(
        self,
        catalogue: ModelCatalogue | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        memory: str = AUTO,
        exports_dir: Path | None = None,
        speed: Speed = NO_SPEED,
    ) -> None:
        self.catalogue = catalogue or ModelCatalogue()
        self._exports_dir = exports_dir
        self._device = device
        self._precision = precision
        self._memory = memory
        self._speed = speed
        self._loaded: LoadedModel | None = None
        self._turn = threading.Lock()
        self._shared = SharedBatches(speed.batch, self._turn_of) if speed.batch > 1 else None

    @classmethod
    def load(
        cls,
        model: str = NANO,
        *,
        catalogue: ModelCatalogue | None = None,
        device: str = "auto",
        precision: str = "auto",
        speed: Speed = NO_SPEED,
    ) -> "Generator":
        """A generator with that model already in memory. Raises as `stream` does."""
        generator = cls(catalogue, device=device, precision=precision, speed=speed)
        with generator._turn:
            generator._exchange(generator.catalogue.model(model))
        return generator

    def stream(
        self, request: SamplingRequest, should_stop: Callable[[], bool] = never, on_load: OnLoad = unheard
    ) -> Iterator[StepPreview | GeneratedImage]:
        """For each image num_steps previews, then the image; of images drawn together (`Speed.batch`) in turn.

        Nothing is sampled until it is iterated. With `Speed.batch` streams of other threads share the batch.
        should_stop is asked between steps, and between the parts of a model that must be loaded, of which on_load
        hears. Raises at once what the catalogue's `resolve` raises; while iterating Cancelled, and ModelNotAvailable
        or AdapterNotApplied from loading. Closing the iterator stops the sampling.
        """
        return self._stream(self.catalogue.resolve(request), should_stop, on_load)

    def identity(self, request: SamplingRequest) -> ModelIdentity:
        """Which weights draw a request: read off the files, so that nothing is loaded. Raises as `stream` does."""
        entry = self.catalogue.model(request.model)
        adapters = locate_adapters(self.catalogue, request.adapters)
        identity = identity_of(entry, locate(entry).sha256(), request, adapters)
        return replace(identity, precision=self._precision_of(entry, adapters), speed=self._speed_of(adapters))

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
        try:
            if self._shared is not None:
                yield from self._shared.stream(request, should_stop, on_load)
                return
            with self._turn_of(request, should_stop, on_load) as loaded:
                guidances = [guidance_for(loaded, request)]
                for index in range(request.num_images):
                    for _, event in draw(loaded, [Part(request=request, index=index)], guidances, should_stop):
                        yield event
        except torch.OutOfMemoryError as error:
            raise ModelNotAvailable(
                f"The device ran out of memory at {request.size_px} px. Choose a smaller size, a smaller model, or a "
                "memory preset for a smaller GPU (DERMAFLUX_MEMORY)."
            ) from error

    @contextmanager
    def _turn_of(
        self, request: SamplingRequest, should_stop: Callable[[], bool], on_load: OnLoad
    ) -> Iterator[LoadedModel]:
        """The model as the request wants it, for as long as nobody else may have it."""
        while not self._turn.acquire(timeout=_LOCK_POLL_SECONDS):
            raise_if(should_stop())
        try:
            raise_if(should_stop())
            loaded = self._exchange(self.catalogue.model(request.model), _stoppable(on_load, should_stop))
            self._wear(loaded, request)
            self._choose_arithmetic(loaded)
            _check_size(loaded, request)
            with fitting_threads(loaded.pipe.transformer):
                yield loaded
        finally:
            self._turn.release()

    def _exchange(self, entry: ModelEntry, on_load: OnLoad = unheard) -> LoadedModel:
        """The model of that entry in memory, the former one dropped first: two may not fit.

        One that this machine can never hold is refused before that, so that the former goes on working.
        """
        if self._loaded is not None and self._loaded.entry == entry:
            return self._loaded
        placement = choose_placement(self._device, self._precision)

        def told(doing: str, done: int, total: int) -> None:
            on_load(f"{entry.name}: {doing}", done, total)

        told("fetching its files from the hub" if entry.is_hub else "finding its files", 0, 0)
        files = self._locate(entry)
        check_room(files.sizes(), placement, self._memory)
        preview = files.preview_folder
        decoder = PreviewDecoder.load(preview, placement.dtype, files) if preview else None  # refused before the drop
        self._drop()
        plan = plan_for(files.sizes(), placement, self._memory)
        speeding.check_together(plan, self._speed)
        if plan.preset:
            told(f"{plan}", 0, 0)
        pipe = load_pipeline(entry, placement, files, told, plan)
        if self._precision != INT8:  # else onnxruntime computes, and has its own ways
            speeding.prepare(pipe, self._speed)
        if decoder is not None:
            decoder.to(placement.device)
        told("ready; the first image takes longer than the next ones", 0, 0)
        self._loaded = LoadedModel(
            entry=entry,
            pipe=pipe,
            sha256=files.sha256(),
            encoder=PromptEncoder(pipe, entry.text_tokens, self._speed.prompt_cache),
            previewer=Previewer(pipe, partial(map_of, pipe.vae, placement.device, files, self._exports_dir), decoder),
            precision=plan.precision,
        )
        return self._loaded

    def _locate(self, entry: ModelEntry) -> ModelFiles:
        """The files of a model, with those of the preview VAE where one was chosen and has anything to add."""
        files, word = locate(entry), self.catalogue.preview_vae
        if word is None or files.previews_exactly:
            return files
        return replace(files, preview_folder=locate_preview_decoder(word))

    def _drop(self) -> None:
        self._loaded = None
        gc.collect()  # pipelines hold cycles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _wear(self, loaded: LoadedModel, request: SamplingRequest) -> None:
        """Exactly the adapters of the request on the pipeline."""
        wanted = locate_adapters(self.catalogue, request.adapters)
        if wanted != loaded.adapters:
            before = {adapter.sha256 for adapter in loaded.adapters}
            loaded.adapters, loaded.sampling = (), None  # what wear leaves behind when it raises
            speeding.bare(loaded.pipe, self._speed)
            try:
                wear(loaded.pipe, wanted)
                loaded.adapters = wanted
            finally:
                now = {adapter.sha256 for adapter in loaded.adapters}
                speeding.suit(loaded.pipe, self._speed, with_adapters=bool(now), exchanged=now != before)
        loaded.speed = self._speed_of(wanted)
        num_tokens = _text_tokens(loaded.entry, wanted)
        if num_tokens != loaded.encoder.num_tokens:
            loaded.encoder = PromptEncoder(loaded.pipe, num_tokens, self._speed.prompt_cache)

    def _choose_arithmetic(self, loaded: LoadedModel) -> None:
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
        placement = choose_placement(self._device, self._precision)
        return plan_for(self._locate(entry).sizes(), placement, self._memory).precision

    def _speed_of(self, adapters: Sequence[Adapter]) -> str:
        if self._precision == INT8:
            return ""
        device = choose_placement(self._device, self._precision).device
        return speeding.recorded(self._speed, device, with_adapters=bool(adapters))


def _text_tokens(entry: ModelEntry, adapters: Sequence[Adapter]) -> int:
    """The text length of the first adapter that states one, else the model's own: what it learned with."""
    stated = (read_adapter_facts(adapter.path).text_tokens for adapter in adapters)
    return next((number for number in stated if number is not None), entry.text_tokens)


def _stoppable(on_load: OnLoad, should_stop: Callable[[], bool]) -> OnLoad:
    """Says how far a load is, and stops it there when that is wanted."""

    def told(doing: str, done: int, total: int) -> None:
        raise_if(should_stop())
        on_load(doing, done, total)

    return told


def _check_size(loaded: LoadedModel, request: SamplingRequest) -> None:
    multiple = loaded.pipe.vae_scale_factor * 2
    if request.size_px % multiple:  # type: ignore[operator] - resolved
        raise InvalidRequest(
            f"size_px is {request.size_px}; {request.model!r} makes multiples of {multiple}."
        )
