"""Draws what several streams ask for at the same time in one batch, on a thread of its own.

Whoever is first in line is served until its images are drawn; streams of the same shape (model, adapters, size, steps,
kind of guidance) share its batches, place by place in turn, and one of another shape waits. The thread outlives a
consumer that goes away in the middle of a batch. It knows no model's loading and no queue of jobs.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from queue import Empty, SimpleQueue

from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview
from dermaflux.generation.drawing import LoadedModel, Part, draw, guidance_for, raise_if
from dermaflux.generation.guidance import Guidance
from dermaflux.generation.loading import OnLoad

ShouldStop = Callable[[], bool]
TakeTurn = Callable[[SamplingRequest, ShouldStop, OnLoad], AbstractContextManager[LoadedModel]]
"""Waits for the model as a request wants it, and holds it."""

_POLL_SECONDS = 0.1


@dataclass(slots=True, eq=False, kw_only=True)
class _Asked:
    """One stream: what it wants, how far it is, and what it has not been told yet."""

    request: SamplingRequest
    on_load: OnLoad
    next_index: int = 0
    has_left: bool = False
    news: "SimpleQueue[StepPreview | GeneratedImage | Exception | None]" = field(default_factory=SimpleQueue)
    """Events; None is the end, an error the end before time."""

    @property
    def shape(self) -> tuple[object, ...]:
        asked = self.request
        return asked.model, asked.adapters, asked.size_px, asked.num_steps

    @property
    def is_over(self) -> bool:
        return self.has_left or self.next_index >= self.request.num_images


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One image of a batch: whose it is, which of theirs, and how it is steered."""

    asked: _Asked
    index: int
    guidance: Guidance


class SharedBatches:
    """Batches of up to `size` images, filled from all streams that can share them."""

    def __init__(self, size: int, take_turn: TakeTurn) -> None:
        self._size = size
        self._take_turn = take_turn
        self._line: list[_Asked] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def stream(
        self, request: SamplingRequest, should_stop: ShouldStop, on_load: OnLoad
    ) -> Iterator[StepPreview | GeneratedImage]:
        """The events of a resolved request, as `Generator.stream` gives them; closing it gives up its places."""
        asked = _Asked(request=request, on_load=on_load)
        self._stand_in_line(asked)
        try:
            while True:
                raise_if(should_stop())
                try:
                    event = asked.news.get(timeout=_POLL_SECONDS)
                except Empty:
                    continue
                if event is None:
                    return
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            asked.has_left = True

    def _stand_in_line(self, asked: _Asked) -> None:
        with self._changed:
            self._line.append(asked)
            if self._thread is None or not self._thread.is_alive():  # the first stream, or the first after a fork
                self._thread = threading.Thread(target=self._run, name="dermaflux-drawing", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._line:
                    self._changed.wait()
                first = self._line[0]
            try:
                self._serve(first)
            except Exception as error:  # the boundary: it belongs to whoever asked, and the next one must be served
                self._end([first], error)

    def _serve(self, first: _Asked) -> None:
        """Draw batches until the first in line has what it asked for, or has left."""
        with self._take_turn(first.request, lambda: first.has_left, first.on_load) as loaded:
            while not first.is_over:
                self._draw(loaded, self._places(loaded, first))
        self._end([first], None)

    def _places(self, loaded: LoadedModel, first: _Asked) -> list[_Place]:
        """The next batch: one image of every stream that can share it, the first in line first, then another round."""
        with self._changed:
            others = [asked for asked in self._line if asked is not first and not asked.is_over]
        alike = [first, *(asked for asked in others if asked.shape == first.shape)]
        steered = [(asked, guidance_for(loaded, asked.request)) for asked in alike[: self._size]]
        kind = steered[0][1].kind
        wanted = [
            [_Place(asked=asked, index=index, guidance=guidance) for index in _left(asked, self._size)]
            for asked, guidance in steered
            if guidance.kind == kind
        ]
        in_turn = (place for place in chain.from_iterable(zip_longest(*wanted)) if place is not None)
        return list(islice(in_turn, self._size))

    def _draw(self, loaded: LoadedModel, places: Sequence[_Place]) -> None:
        """One batch; what goes wrong with it is told to all who share it."""
        sharing = list(dict.fromkeys(place.asked for place in places))
        parts = [Part(request=place.asked.request, index=place.index) for place in places]
        guidances = [place.guidance for place in places]
        try:
            for at, event in draw(loaded, parts, guidances, lambda: all(asked.has_left for asked in sharing)):
                places[at].asked.news.put(event)
        except Exception as error:
            self._end(sharing, error)
            return
        for place in places:
            place.asked.next_index += 1
        self._end([asked for asked in sharing if asked.is_over], None)

    def _end(self, ended: Sequence[_Asked], error: Exception | None) -> None:
        """Take them out of the line and tell them so, once."""
        with self._changed:
            leaving = [asked for asked in ended if asked in self._line]
            self._line = [asked for asked in self._line if asked not in ended]
        for asked in leaving:
            asked.has_left = True
            asked.news.put(error)


def _left(asked: _Asked, at_most: int) -> range:
    return range(asked.next_index, min(asked.next_index + at_most, asked.request.num_images))
