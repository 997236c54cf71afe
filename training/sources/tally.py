"""What was read, what stayed behind and why: counted by set, every single row in a table beside the manifest.

It decides nothing and reads nothing.
"""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Tally:
    """Counts by set, and the rows that stay behind in a CSV file. A context manager: a failed build leaves no file."""

    def __init__(self, left_out_path: Path) -> None:
        self._path = left_out_path
        self._draft = left_out_path.with_name(f".{left_out_path.name}.{os.getpid()}")
        self._file = self._draft.open("w", newline="", encoding="utf-8")
        self._table = csv.writer(self._file)
        self._table.writerow(["source", "table", "line", "picture", "kind", "reason"])
        self.pictures: Counter[str] = Counter()
        self.kept: Counter[tuple[str, str, bool]] = Counter()
        self.left_out: dict[str, Counter[str]] = {}
        self.unread: dict[str, Counter[str]] = {}

    def __enter__(self) -> Self:
        """The tally itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the table in its place, or drop it when the build failed."""
        self._file.close()
        if kind is None:
            os.replace(self._draft, self._path)
        else:
            self._draft.unlink(missing_ok=True)

    def leave_out(self, source: str, kind: str, reason: str, place: Mapping[str, Any]) -> None:
        """One row stays behind; `place` says table, line or picture."""
        self.left_out.setdefault(source, Counter())[kind] += 1
        where = [place.get(name, "") for name in ("table", "line", "picture")]
        self._table.writerow([source, *where, kind, reason])

    def not_read(self, source: str, facts: Iterable[str]) -> None:
        """Facts that a kept row states in words we do not have."""
        self.unread.setdefault(source, Counter()).update(facts)

    def keep(self, source: str, split: str, malignant: bool) -> None:
        """One row goes into the manifest."""
        self.kept[source, split, malignant] += 1

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict: by set the pictures read, kept by split and class, left out by reason, words not known."""
        kept: dict[str, dict[str, dict[str, int]]] = {}
        for (source, split, malignant), count in sorted(self.kept.items()):
            kept.setdefault(source, {}).setdefault(split, {})["malignant" if malignant else "benign"] = count
        return {
            source: {
                "pictures_read": self.pictures[source],
                "kept": kept.get(source, {}),
                "left_out": dict(self.left_out.get(source, Counter()).most_common()),
                "words_not_known": dict(self.unread.get(source, Counter()).most_common()),
            }
            for source in self.pictures
        }
