"""Hugging Face ZeroGPU: a GPU is lent for one call, in a forked process. Elsewhere nothing here does anything.

It knows the `spaces` package by its shape (0.51), which is installed there alone, and neither a pipeline nor a page.
Importing it loads no torch: `spaces` must come first.
"""

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.records import SamplingRequest

MIN_SECONDS, MAX_SECONDS = 15, 120
_BEGINNING_SECONDS = 8.0  # the weights come to the GPU
_STEP_SECONDS_AT_512_PX = 0.12  # FLUX.1-dev in bfloat16, with room for a busy device
_DECODING_SECONDS = 1.0
_COMPILING_SECONDS = 1500

Stream = Callable[[SamplingRequest], Iterator[Any]]


def is_lent() -> bool:
    """Whether this is a ZeroGPU Space."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def join() -> None:
    """Import `spaces` there, before torch. Raises ModelNotAvailable when it is not installed."""
    if is_lent():
        _spaces()


def seconds_needed(request: SamplingRequest) -> int:
    """How long to ask the GPU for: more than the quota left is refused, so no more than the request needs."""
    steps, size_px = request.num_steps or 28, request.size_px or 512
    num_pictures = request.num_images * request.candidates
    a_picture = steps * _STEP_SECONDS_AT_512_PX * (size_px / 512) ** 2 + _DECODING_SECONDS
    return round(min(max(_BEGINNING_SECONDS + num_pictures * a_picture, MIN_SECONDS), MAX_SECONDS))


def lend(stream: Stream) -> Stream:
    """The generator function, run on a lent GPU where there is one. Give it the same function each time.

    What it takes and yields must be picklable; what it changes is lost. Refusals of the hub become ModelNotAvailable.
    """
    if not is_lent():
        return stream
    return _in_words(_spaces().GPU(duration=seconds_needed)(stream))


def compile_ahead(module: Any, call_once: Callable[[], None]) -> None:
    """Compile a network for the shapes that `call_once` calls it with; other shapes run as before.

    It takes minutes of a lent GPU, once at the start of the Space.
    """
    if not is_lent():
        return
    import torch

    spaces = _spaces()
    shapes: list[Any] = []

    def compiled() -> Any:
        with spaces.aoti_capture(module) as call:
            call_once()
        exported = torch.export.export(module, args=call.args, kwargs=call.kwargs)
        return spaces.aoti_compile(exported), _shapes(call.args, call.kwargs)

    network, shapes = spaces.GPU(duration=_COMPILING_SECONDS)(compiled)()
    uncompiled = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        return (network if _shapes(args, kwargs) == shapes else uncompiled)(*args, **kwargs)

    module.forward = forward


def _shapes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    named = [*enumerate(args), *sorted(kwargs.items())]
    return [(name, tuple(value.shape) if hasattr(value, "shape") else value) for name, value in named]


def _in_words(lent: Stream) -> Stream:
    def stream(request: SamplingRequest) -> Iterator[Any]:
        try:
            yield from lent(request)
        except Exception as error:
            if not type(error).__module__.startswith("gradio"):
                raise
            # `spaces` says what the quota or the duration was in an error made for pages.
            raise ModelNotAvailable(f"ZeroGPU lent no GPU: {error}. Ask for fewer or smaller images.") from error

    return stream


def _spaces() -> Any:
    try:
        return import_module("spaces")
    except ImportError as error:
        raise ModelNotAvailable(
            "This is a ZeroGPU Space, but the package `spaces` is not installed. Add it to requirements.txt."
        ) from error
