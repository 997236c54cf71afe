"""The rest of a request of which some images are finished, and which requests take about as long. Pure.

The images drawn in two goes are those drawn in one: same pixels, same seeds, same record of what was asked.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview

Event = StepPreview | GeneratedImage


def from_image(
    request: SamplingRequest, first: int, stream: Callable[[SamplingRequest], Iterator[Event]]
) -> Generator[Event, None, None]:
    """What `stream` makes of a request from image `first` on, as if it had made all; nothing when none is left."""
    if not first:
        yield from stream(request)
        return
    if first >= request.num_images:
        return
    rest = replace(request, num_images=request.num_images - first, seed=request.seed + first * request.candidates)
    for event in stream(rest):
        shifted = replace(event, image_index=event.image_index + first)
        if isinstance(shifted, GeneratedImage):
            asked = replace(shifted.request, num_images=request.num_images, seed=request.seed)
            shifted = replace(shifted, request=asked)
        yield shifted


def pace_key(request: SamplingRequest) -> str:
    """What says how long an image of a resolved request takes: model, steps, size, passes a step, candidates."""
    passes = (request.guidance_scale or 0) > 1, bool(request.contrast_scale and request.spec)
    return "/".join(
        str(part)
        for part in (request.model, request.num_steps, request.size_px, *map(int, passes), request.candidates)
    )
