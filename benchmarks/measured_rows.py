"""A table that is measured row by row and kept in a JSON file as it grows: what was interrupted keeps its rows."""

import json
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from training.whole_files import write_whole

Row = dict[str, Any]


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {"gpu": gpu, "processor": platform.processor() or platform.machine(), "torch": torch.__version__}


class MeasuredRows:
    """The rows of a benchmark. Those that the file holds already are not measured again.

    Raises InvalidRequest when the file was measured with other settings or on another machine.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], minutes: float) -> None:
        self._path = path
        self._ends_at = time.monotonic() + 60 * minutes
        self._kept: dict[str, Any] = {"settings": json.loads(json.dumps(settings)), "machine": machine(), "rows": {}}
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            if {k: before[k] for k in ("settings", "machine")} != {k: self._kept[k] for k in ("settings", "machine")}:
                raise InvalidRequest(f"{path} holds rows of other settings or another machine. Give another --out.")
            self._kept = before

    @property
    def rows(self) -> dict[str, Row]:
        """Figures by the name of the row."""
        return self._kept["rows"]

    @property
    def has_time(self) -> bool:
        """Whether another measurement may begin."""
        return time.monotonic() < self._ends_at

    def measure(self, name: str, measure: Callable[[Callable[[Row], None]], None]) -> None:
        """Fill a row unless it is whole or the time is over; `measure` is handed what takes figures as they come.

        What this machine cannot do, or has no memory for, becomes the row's `refused`.
        """
        if self.rows.get(name, {}).get("whole") or not self.has_time:
            return
        self.rows[name] = {}
        try:
            measure(lambda figures: self._add(name, figures))
        except ModelNotAvailable as error:
            self._add(name, {"refused": str(error)})
        except torch.OutOfMemoryError:
            self._add(name, {"refused": "out of memory"})
        if self.has_time or "refused" in self.rows[name]:
            self._add(name, {"whole": True})

    def _add(self, name: str, figures: Row) -> None:
        self.rows[name] |= figures
        write_whole(self._path, json.dumps(self._kept, indent=1) + "\n")


def markdown(columns: Mapping[str, str], rows: Mapping[str, Row]) -> str:
    """The table: columns are figure -> heading; what is missing stays blank, a refused row says why."""
    lines = ["| | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [_cell(row.get(figure)) for figure in columns]
        if "refused" in row:
            cells[0] = row["refused"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
