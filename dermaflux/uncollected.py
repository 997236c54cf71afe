"""Spares the garbage collector what is there to stay: it would walk over it again and again.

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


@contextmanager
def set_apart() -> Iterator[None]:
    """Whatever is there now is left out of all collections inside, so that each of them is short."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()  # else libraries find leaks when the program ends
