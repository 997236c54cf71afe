"""One row of a table as a lesion record: HAM10000's columns, or a user's own.

It reads text, not pixels; a row that cannot be used raises with the reason.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.lesion import AGE_RANGE_YEARS, Diagnosis, Sex, Site, SkinTone, choice
from dermaflux.domain.records import Split

UNKNOWN = ("", "unknown", "nan", "none", "null")
"""What a cell says in lower case where nothing is known."""
_BROKEN = "__broken__"


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionRecord:
    """One picture's facts. `lesion_id` groups pictures of one lesion: it never crosses a split.

    `source` and `licence` are told by a manifest of several sets (`training.manifest`), else empty.
    """

    image_id: str
    lesion_id: str
    split: Split
    diagnosis: Diagnosis
    age: float | None = None
    sex: Sex | None = None
    site: Site | None = None
    skin_tone: SkinTone | None = None
    image_path: str = ""
    mask_path: str | None = None
    caption: str = ""
    source: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """A row of a table that could not be used, and why (line counts from 1, header included).

    Of several tables `table` says which; `kind` is the reason without its particulars, for counting.
    """

    line: int
    reason: str
    table: str = ""
    kind: str = ""


def without_masks(record: LesionRecord) -> LesionRecord:
    """The same record with its mask forgotten, for reading pictures alone."""
    return replace(record, mask_path=None)


def ham_record(row: dict[str, str]) -> LesionRecord:
    """The record of a row of ham10000.csv."""
    return LesionRecord(
        image_id=row["image_id"],
        lesion_id=row["lesion_id"],
        split=Split(row["split"]),
        diagnosis=Diagnosis(row["dx"]),
        age=float(row["age"]) if row["age"] else None,
        sex=Sex(row["sex"]) if row["sex"] not in UNKNOWN else None,
        site=Site(row["localization"]) if row["localization"] not in UNKNOWN else None,
        image_path=f"images/{row['image_id']}.jpg",
        mask_path=f"masks/{row['image_id']}.png",
    )


def table_rows(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers (from 1, the header included) and rows of a folder's metadata.csv or metadata.jsonl."""
    if not folder.is_dir():
        raise DataNotFound(f"{folder} is not a folder. Give the folder that holds the pictures.")
    table, lines = folder / "metadata.csv", folder / "metadata.jsonl"
    if table.is_file():
        with table.open(newline="", encoding="utf-8-sig") as handle:
            yield from enumerate(csv.DictReader(handle), start=2)
    elif lines.is_file():
        for number, text in enumerate(lines.read_text(encoding="utf-8").splitlines(), start=1):
            yield number, _json_row(text)
    else:
        raise DataNotFound(f"{folder} holds neither metadata.csv nor metadata.jsonl. Add one of them.")


def _json_row(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        return {_BROKEN: f"is not JSON ({error.msg})"}
    return row if isinstance(row, dict) else {_BROKEN: "is not a JSON object"}


def folder_record(row: dict[str, Any]) -> LesionRecord:
    """The record of a user's row; InvalidRequest names the column that is wrong."""
    if broken := row.get(_BROKEN):
        raise InvalidRequest(f"The line {broken}.")
    text = {str(k).strip(): str(v).strip() for k, v in row.items() if v is not None and k is not None}
    known = {k: v for k, v in text.items() if v.lower() not in UNKNOWN}
    name = inside(known.get("file_name", ""))
    mask = known.get("mask_name")
    return LesionRecord(
        image_id=known.get("image_id", Path(name).stem),
        lesion_id=known.get("lesion_id", name),
        split=choice("split", known.get("split", "train"), Split),
        diagnosis=choice("diagnosis", known.get("diagnosis", known.get("dx", "")), Diagnosis),
        age=age_of(known.get("age")),
        sex=choice("sex", known["sex"].lower(), Sex) if "sex" in known else None,
        site=choice("site", known["site"].lower(), Site) if "site" in known else None,
        image_path=name,
        mask_path=inside(mask) if mask else None,
    )


def inside(name: str) -> str:
    """The name as it is. Raises InvalidRequest when it is empty or leads out of its folder."""
    if not name:
        raise InvalidRequest("The row has no file_name.")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InvalidRequest(f"{name} points outside the folder. Use names inside it.")
    return name


def age_of(text: str | None) -> float | None:
    """Years from a cell of a table, None for None. Raises InvalidRequest for what is no age."""
    if text is None:
        return None
    try:
        age = float(text)
    except ValueError:
        raise InvalidRequest(f"age is {text!r}, not a number of years.") from None
    low, high = AGE_RANGE_YEARS
    if not low <= age <= high:
        raise InvalidRequest(f"age is {age:g}, outside {low:g} to {high:g} years.")
    return age
