"""A run is stopped between two steps, never within one: what is saved then is what an unbroken run would have had."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], bool]]:
    """For a while Ctrl-C and SIGTERM are only noted; asked, the function says whether one came. A second one raises.

    Works in the main thread only, as signals do.
    """
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = [signal.signal(number, note) for number in _SIGNALS]
    try:
        yield lambda: asked
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)
