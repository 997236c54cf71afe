"""The rows of a described table as text: joined, one-hot columns named, and rows of a split marked.

It knows files and columns, not what they mean.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.records import Split
from training.lesion_records import table_rows
from training.sources.description import Labels, Table
from training.sources.vocabulary import plain

ONE_HOT = "the class that holds 1"
_ONE = ("1", "1.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRow:
    """One row: its table and line (from 1, header included), its cells by column, and the split its place says."""

    table: str
    line: int
    cells: dict[str, str]
    split: Split | None


def table_path(table: Table, root: Path) -> Path | None:
    """The first of a table's files that is there."""
    return next((root / name for name in table.paths if (root / name).is_file()), None)


def raw_rows(table: Table, path: Path, root: Path, labels: Labels) -> Iterator[RawRow]:
    """The rows of a table in order, some at a time in memory. Joined tables are held whole.

    Raises DataNotFound when a joined table is missing, InvalidRequest when it lacks the shared column.
    """
    joined = [(key, _by_key(root / name, key)) for name, key in table.joined.items()]
    splits = _row_splits(table, root)
    classes = labels.words.keys() | labels.left_out.keys()
    for index, (line, cells) in enumerate(_lines(table, path)):
        for key, others in joined:
            cells = others.get(cells.get(key, ""), {}) | cells
        if labels.one_hot:
            cells[ONE_HOT] = next((name for name in cells if cells[name] in _ONE and plain(name) in classes), "")
        yield RawRow(table=path.name, line=line, cells=cells, split=splits.get(index, table.split))


def _lines(table: Table, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    if path.suffix == ".jsonl":
        for line, row in table_rows(path.parent):
            yield line, {str(name): str(value) for name, value in row.items() if value is not None}
        return
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as handle:
        reader = csv.DictReader(_rows_only(handle, table.line_prefix), delimiter=table.delimiter)
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        for row in reader:
            yield reader.line_num, {name: (value or "").strip() for name, value in row.items() if name is not None}


def _rows_only(handle: TextIO, prefix: str) -> Iterator[str]:
    return (line for line in handle if line.startswith(prefix))


def _by_key(path: Path, key: str) -> dict[str, dict[str, str]]:
    if not path.is_file():
        raise DataNotFound(f"{path} is missing, but the table beside it needs it. Put the whole set there.")
    found = {}
    for _, cells in _lines(Table(paths=(), pictures=()), path):
        if key not in cells:
            raise InvalidRequest(f"{path} has no column {key!r}. Found: {', '.join(cells)}.")
        found[cells[key]] = cells
    return found


def _row_splits(table: Table, root: Path) -> dict[int, Split]:
    return {
        int(index): split
        for name, split in table.row_splits.items()
        for index in _by_key(root / name, "indexes")
    }

