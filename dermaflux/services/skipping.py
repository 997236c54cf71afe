"""A request drawn image by image, of which some may be skipped while they are drawn. It knows no job and no store.

Skipping shifts nothing: the images after a skipped one are those of the whole request, same pixels, same seeds.
"""

from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from dermaflux.domain.errors import Cancelled
from dermaflux.domain.records import SamplingRequest, StepPreview
from dermaflux.services.resuming import Event, from_image

ToSkip = Callable[[], Collection[int] | None]
"""The images that nobody wants any more, by number; None: stop it all."""
Stream = Callable[[SamplingRequest, Callable[[], bool]], Iterator[Event]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """An image of the request that was skipped."""

    image_index: int


def passing_over(
    request: SamplingRequest, first: int, stream: Stream, to_skip: ToSkip
) -> Generator[Event | PassedOver, None, None]:
    """What `stream` makes of a request from image `first` on, PassedOver in the place of each image that is skipped.

    An image is left off at its next step, unless others that are wanted are drawn together with it: then it is drawn
    to the end with them and thrown away. One that is finished stays. Raises Cancelled when all is to stop.
    """
    while first < request.num_images:
        watch = _Watch(to_skip=to_skip)
        try:
            with closing(from_image(request, first, watch.over(stream))) as events:
                yield from map(watch.seen, events)
            return
        except Cancelled:
            if not watch.is_in_vain:
                raise
        yield from (PassedOver(image_index=index) for index in sorted(watch.drawn))
        first = max(watch.drawn) + 1


@dataclass(slots=True, kw_only=True)
class _Watch:
    """What is being drawn, and what of it is to be skipped."""

    to_skip: ToSkip
    drawn: set[int] = field(default_factory=set)
    skipped: set[int] = field(default_factory=set)

    @property
    def is_in_vain(self) -> bool:
        """Whether nothing that is being drawn is wanted."""
        return bool(self.drawn) and self.drawn <= self.skipped

    def over(self, stream: Stream) -> Callable[[SamplingRequest], Iterator[Event]]:
        """The stream, which asks this watch whether to go on."""
        return lambda request: stream(request, self.should_stop)

    def should_stop(self) -> bool:
        """Asked by the generator at every step."""
        asked = self.to_skip()
        if asked is not None:
            self.skipped |= self.drawn.intersection(asked)
        return asked is None or self.is_in_vain

    def seen(self, event: Event) -> Event | PassedOver:
        """The event, after it was taken note of."""
        if isinstance(event, StepPreview):
            self.drawn.add(event.image_index)
            return event
        self.drawn.discard(event.image_index)
        return PassedOver(image_index=event.image_index) if event.image_index in self.skipped else event
