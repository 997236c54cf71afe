"""The file of captions: one JSON object a line and picture, appended whole, read back with every line checked.

A killed run leaves at most one torn line, which the next run drops. It knows no model and no picture.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from dermaflux.domain.errors import DataNotFound, InvalidRequest, StorageNotWritable
from dermaflux.domain.lesion import Colour, LesionSpec
from dermaflux.domain.records import Measurement
from training.caption_reading import Reading
from training.whole_files import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionLine:
    """One picture: what was asked, what came back, what it states, and where that differs from what was measured.

    `refused` says why there is no caption; `raw` is then the answer that could not be used, or None where none came.
    """

    image_id: str
    model: str
    revision: str
    prompt: str
    seconds: float
    raw: str | None = None
    caption: str | None = None
    reading: Reading | None = None
    spec: LesionSpec | None = None
    measured: Measurement | None = None
    num_diagnostic: int = 0
    contradictions: tuple[str, ...] = ()
    refused: str | None = None

    def to_json(self) -> str:
        """One line of JSON, without the end of the line."""
        found = self.measured
        kept = found and {
            "asymmetry": found.asymmetry, "border": found.border, "colours": [str(c) for c in found.colours],
            "refused": found.refused,
        }  # fmt: skip
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain |= {
            "reading": self.reading and self.reading.to_dict(),
            "spec": self.spec and self.spec.to_dict(),
            "measured": kept,
            "seconds": round(self.seconds, 3),
        }
        return json.dumps(plain, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The line that `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        values: dict[str, Any] = json.loads(text)
        if not isinstance(values, dict):
            raise TypeError("it is not a JSON object")
        if (values["caption"] is None) == (values["refused"] is None):
            raise ValueError("it needs either a caption or the reason why there is none")
        measured = values["measured"]
        return cls(**values | {
            "reading": values["reading"] and Reading.from_dict(values["reading"]),
            "spec": values["spec"] and LesionSpec.from_dict(values["spec"]),
            "measured": measured and Measurement(**measured | {"colours": tuple(map(Colour, measured["colours"]))}),
            "contradictions": tuple(values["contradictions"]),
        })  # fmt: skip


class CaptionFile:
    """The captions of a run. `open_captions` makes it; one process writes at a time."""

    def __init__(self, path: Path, lines: Mapping[str, CaptionLine], handle: int) -> None:
        self.path = path
        self.lines = dict(lines)
        self._handle = handle

    def append(self, line: CaptionLine) -> None:
        """Write one line, whole and on the disk before this returns. A picture that has one already is refused."""
        if line.image_id in self.lines:
            raise InvalidRequest(f"{line.image_id} has a caption in {self.path} already.")
        data = (line.to_json() + "\n").encode()
        try:
            written = os.write(self._handle, data)
            os.fsync(self._handle)
        except OSError as error:
            raise StorageNotWritable(f"{self.path} cannot be written: {error}. Make room, then go on.") from error
        if written != len(data):
            raise StorageNotWritable(f"{self.path} could not be written whole. Make room on the disk, then go on.")
        self.lines[line.image_id] = line


@contextmanager
def open_captions(path: Path, *, retry_refused: bool = False) -> Iterator[CaptionFile]:
    """The file, ready to be gone on with: a torn last line dropped, and with `retry_refused` those without a caption.

    Raises InvalidRequest when another process writes it, or a line is broken that no kill explains.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidRequest(f"Another run writes {path}. Wait for it, or choose another --name.") from None
        kept = _repaired(path, retry_refused) if path.is_file() else {}
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            yield CaptionFile(path, kept, handle)
        finally:
            os.close(handle)


def read_lines(path: Path) -> dict[str, CaptionLine]:
    """All whole lines by picture. Raises DataNotFound without the file, InvalidRequest naming a broken line."""
    if not path.is_file():
        raise DataNotFound(f"{path} does not exist. Make it with python -m training.captioning.")
    lines: dict[str, CaptionLine] = {}
    for number, text in enumerate(_whole_lines(path), start=1):
        try:
            line = CaptionLine.from_json(text)
        except (ValueError, KeyError, TypeError, InvalidRequest) as error:
            raise InvalidRequest(f"Line {number} of {path} is not a caption ({error}). Mend or remove it.") from error
        if line.image_id in lines:
            raise InvalidRequest(f"Line {number} of {path} is a second one of {line.image_id}. Remove one of them.")
        lines[line.image_id] = line
    return lines


def load_captions(path: Path, max_contradictions: int | None = None) -> dict[str, str]:
    """The usable captions by picture, for training; with a limit only those that contradict the measurement no more.

    Raises what `read_lines` does, and DataNotFound when none is left.
    """
    found = {
        image_id: line.caption
        for image_id, line in read_lines(path).items()
        if line.caption and (max_contradictions is None or len(line.contradictions) <= max_contradictions)
    }
    if not found:
        raise DataNotFound(f"{path} holds no usable caption. Make some with python -m training.captioning.")
    return found


def _repaired(path: Path, retry_refused: bool) -> dict[str, CaptionLine]:
    lines = read_lines(path)
    kept = {image_id: line for image_id, line in lines.items() if not (retry_refused and line.refused)}
    if len(kept) < len(lines) or not path.read_bytes().endswith(b"\n"):
        write_whole(path, "".join(line.to_json() + "\n" for line in kept.values()))
    return kept


def _whole_lines(path: Path) -> list[bytes]:
    """Every line that ends; what a kill left of the last one is not a line."""
    *whole, _ = path.read_bytes().split(b"\n")
    return whole
