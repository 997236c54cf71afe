"""Draws several candidates for each image of a request and keeps the one that is measured and classified closest to it.

The closed loop in its simplest form: what is asked for is measured, and the measurement chooses. It knows no judge.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dermaflux.domain.closeness import distance
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Assessment, GeneratedImage, SamplingRequest, StepPreview

if TYPE_CHECKING:
    from PIL import Image

Events = Iterator[StepPreview | GeneratedImage]


def check_choosable(request: SamplingRequest) -> None:
    """Raise InvalidRequest when candidates are asked for, but nothing says what they should be close to."""
    if request.candidates > 1 and request.spec is None:
        raise InvalidRequest(
            f"candidates is {request.candidates}, but free text says nothing that can be measured. "
            "Describe the lesion by its attributes, or draw one candidate."
        )


def keep_closest(
    request: SamplingRequest,
    stream: Callable[[SamplingRequest], Events],
    assess: Callable[["Image.Image"], Assessment],
) -> Events:
    """Previews of every candidate, then the closest one as the image; the first of equals, also of refused ones.

    Candidate k of image i uses seed + i * candidates + k. The kept image has its own seed, with which one candidate
    alone gives the same pixels. Raises InvalidRequest for a request without a spec.
    """
    check_choosable(request)
    for index in range(request.num_images):
        drawn = replace(
            request, num_images=request.candidates, candidates=1, seed=request.seed + index * request.candidates
        )
        found: list[tuple[float, GeneratedImage]] = []
        for event in stream(drawn):
            if isinstance(event, StepPreview):
                yield _of_all(event, index, request.candidates)
            else:
                assert request.spec is not None  # checked above
                found.append((distance(request.spec, assess(event.image)), event))
        _, kept = min(found, key=lambda pair: pair[0])
        asked = replace(
            kept.request, num_images=request.num_images, candidates=request.candidates, seed=request.seed
        )
        yield replace(kept, image_index=index, request=asked, seconds=sum(event.seconds for _, event in found))


def _of_all(preview: StepPreview, index: int, candidates: int) -> StepPreview:
    """A candidate's step counted among the steps of all candidates of its image."""
    step = preview.image_index * preview.num_steps + preview.step
    return replace(preview, image_index=index, step=step, num_steps=preview.num_steps * candidates)
