"""One piece of work behind: what is made is judged, encoded and stored on a thread while the next is being made.

A GPU that draws need not wait for a PNG. It knows neither images nor jobs.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)


class OneBehind:
    """Does pieces of work one after the other, one at a time, while the caller goes on. For `with`.

    A piece that fails raises in the caller: at `check`, at the next `put`, or at the end. When the caller itself
    fails, the piece under way is still finished.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dermaflux-behind")
        self._pending: Future[None] | None = None

    def put(self, work: Callable[[], None]) -> None:
        """Wait until the piece before is done, then begin this one and return."""
        self._finish()
        self._pending = self._thread.submit(work)

    def check(self) -> None:
        """Raise what the piece under way raised; does not wait for it."""
        if self._pending is not None and self._pending.done():
            self._finish()

    def _finish(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Self:
        """Ready for work."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Wait for the last piece; an error of the caller's own goes before one of the piece."""
        with self._thread:
            pending, self._pending = self._pending, None
            if pending is None:
                return
            failure = pending.exception()
        if failure is not None and kind is None:
            raise failure
        if failure is not None and failure is not error:
            log.warning("the last piece of work ended with %r", failure)
