"""The generator of a ZeroGPU Space: the model is loaded here once, and every stream runs in a forked worker.

`spaces` passes arguments by pickle, so the worker finds the generator as the global it was forked with.
"""

from collections.abc import Callable, Iterator

from dermaflux.domain.errors import Cancelled
from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview
from dermaflux.generation import zero_gpu
from dermaflux.generation.loading import OnLoad, unheard
from dermaflux.generation.sampler import Generator

_in_this_process: list[Generator] = []


class LentGenerator(Generator):
    """A Generator whose sampling happens on a lent GPU. One a process."""

    def prepare(self, model: str, *, compile_ahead: bool = False) -> None:
        """Load a model before the app is launched: `spaces` packs then what the workers will find."""
        _in_this_process[:] = [self]
        zero_gpu.lend(_stream_there)
        with self._turn:
            loaded = self._exchange(self.catalogue.model(model))
        if compile_ahead:
            once = SamplingRequest(caption="compiled ahead", num_steps=1, model=model)
            zero_gpu.compile_ahead(loaded.pipe.transformer, lambda: _exhaust(self._own_stream(once)))

    def warm_up(self, model: str | None = None) -> None:
        """Nothing: a step would cost quota, and `prepare` has loaded the model."""

    def _own_stream(self, request: SamplingRequest) -> Iterator[StepPreview | GeneratedImage]:
        return Generator._stream(self, self.catalogue.resolve(request), lambda: False, unheard)

    def _stream(
        self, request: SamplingRequest, should_stop: Callable[[], bool], on_load: OnLoad = unheard
    ) -> Iterator[StepPreview | GeneratedImage]:
        """Sample on the lent GPU. The model is in memory since `prepare`, so on_load hears nothing."""
        _in_this_process[:] = [self]
        for event in zero_gpu.lend(_stream_there)(request):
            yield event
            if should_stop():  # asked here: the worker sees neither the database nor our threads
                raise Cancelled("The generation was stopped. Images finished before are kept.")


def _stream_there(request: SamplingRequest) -> Iterator[StepPreview | GeneratedImage]:
    """Runs in the worker."""
    (generator,) = _in_this_process
    yield from Generator._stream(generator, request, lambda: False, unheard)


def _exhaust(events: Iterator[object]) -> None:
    for _ in events:
        pass
