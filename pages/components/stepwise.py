"""Long work that tells its steps to a callable, as a stream that a page can show and stop. It knows no work."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from dermaflux.domain.errors import Cancelled
from dermaflux.services.records import OnStep

Result = TypeVar("Result")
_NEWS_EVERY_S = 0.2


def stepwise(work: Callable[[OnStep], Result]) -> Iterator[tuple[int, int] | Result]:
    """Run `work` beside the caller: (done, total) a few times a second, then its result. What it raises is raised.

    Closing the iterator makes the work's next step raise Cancelled, so that it undoes what it has begun.
    """
    steps: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    stopped, ended = threading.Event(), threading.Event()
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def on_step(done: int, total: int) -> None:
        if stopped.is_set():
            raise Cancelled("Stopped.")
        steps.put((done, total))

    def run() -> None:
        try:
            outcome.append(work(on_step))
        except BaseException as error:  # handed to the caller below
            failure.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True, name="dermaflux-stepwise").start()
    try:
        while not ended.wait(_NEWS_EVERY_S):
            if latest := _latest(steps):
                yield latest
    finally:
        stopped.set()
    if failure:
        raise failure[0]
    yield outcome[0]


def _latest(steps: "queue.SimpleQueue[tuple[int, int]]") -> tuple[int, int] | None:
    found = None
    while not steps.empty():
        found = steps.get()
    return found
