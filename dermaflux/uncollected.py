"""Imports and builds without the garbage collector, which would walk again and again over what is there to stay.

It takes a third of the start of the app and an eighth of the import of torch and diffusers (docs/benchmarks.md).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection inside, in no thread; afterwards as before. For what makes little garbage and does not last."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
