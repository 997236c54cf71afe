"""How the CLI speaks: JSON lines and tables on stdout, a progress bar on stderr. It knows no verb."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from tqdm import tqdm

from dermaflux.services.records import OnStep

Item = TypeVar("Item")
_IN_WORDS = "{desc}: {n_fmt} of {total_fmt}, {remaining} left"


def write_line(text: str) -> None:
    """One line on stdout, at once: whoever reads a pipe sees it now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def write_json(values: Mapping[str, Any]) -> None:
    """One JSON object on one line; a number that is not finite is our own error."""
    write_line(json.dumps(values, ensure_ascii=False, allow_nan=False))


def write_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns as wide as their widest cell; numbers with three significant digits, None as '-'."""
    cells = [list(header)] + [[_text(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        write_line(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def with_progress(items: Sequence[Item], what: str) -> Iterator[Item]:
    """The items; with several, a bar on stderr once the work takes longer than a moment."""
    yield from progress_bar(what, items) if len(items) > 1 else items


def progress_bar(what: str, items: Sequence[Any] | None = None, total: int | None = None) -> tqdm:  # type: ignore[type-arg]
    """A bar on stderr that appears after half a second, so that a failure at the start stays one line.

    Where stderr is no screen (a log that a page reads) it is told in words, once a second.
    """
    plain: dict[str, Any] = {} if sys.stderr.isatty() else {"bar_format": _IN_WORDS, "mininterval": 1.0}
    return tqdm(items, desc=what, total=total, unit="", file=sys.stderr, leave=False, delay=0.5, **plain)


class ProgressBar:
    """A bar on stderr that is told (done, total) as the work goes on."""

    def __init__(self, what: str) -> None:
        self._bar = progress_bar(what)

    def __enter__(self) -> OnStep:
        """The callable to tell."""
        return self._tell

    def __exit__(self, *_: object) -> None:
        """Take the bar off the screen."""
        self._bar.close()

    def _tell(self, done: int, total: int) -> None:
        self._bar.total = total or None
        self._bar.update(done - self._bar.n)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)
