"""How a program that serves is asked to end: by a signal that it looks for, never by an exception out of nowhere.

Python raises KeyboardInterrupt wherever the main thread happens to be; in a callback of the garbage collector or of a
library it is only printed, and the program runs on.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def asked_to_end() -> Iterator[threading.Event]:
    """Set by the first SIGINT or SIGTERM, also in a background job; a second one does what it did before.

    For the main thread. Afterwards both do again what they did before.
    """
    asked = threading.Event()
    before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, _frame: object) -> None:
        asked.set()
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, end)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
