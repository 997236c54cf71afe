"""The table of measurements (`training.measure_training_set`): what each picture shows, and captions made of it.

A picture that the table lacks or refuses gets no caption; a captioner may fill it later. It knows no pixel.
"""

import csv
import random
from pathlib import Path

from dermaflux.domain.caption import compose
from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.lesion import LesionSpec, SkinTone
from dermaflux.measurement.skin import skin_tone
from training.lesion_records import LesionRecord

_ARCHIVES_PX = (200, 224)  # the whole frame first, as manifests hold it


class MeasuredCaptions:
    """Captions of the pictures in a table, by their id. Raises DataNotFound when one is named and missing."""

    def __init__(self, measured: Path | None) -> None:
        self._rows = measured_rows(measured) if measured else {}

    def knows(self, image_id: str) -> bool:
        """Whether the table measures the picture, refused or not."""
        return any((image_id, archive_px) in self._rows for archive_px in _ARCHIVES_PX)

    def of(self, record: LesionRecord) -> str:
        """The caption in one of the grammar's wordings, the same for the same id; '' where too little is known."""
        found = (self._rows.get((record.image_id, archive_px)) for archive_px in _ARCHIVES_PX)
        row = next((row for row in found if is_usable(row)), None)
        return compose(spec_of(record, row), random.Random(record.image_id)) if row else ""


def measured_rows(measured: Path) -> dict[tuple[str, int], dict[str, str]]:
    """The rows of the table of measurements by picture and archive."""
    if not measured.is_file():
        raise DataNotFound(f"{measured} does not exist. Make it with python -m training.measure_training_set.")
    with measured.open(newline="") as handle:
        return {(row["image_id"], int(row["archive"])): row for row in csv.DictReader(handle)}


def is_usable(row: dict[str, str] | None) -> bool:
    """Whether there is a row of measurements and it was not refused."""
    return row is not None and not row["refused"]


def spec_of(record: LesionRecord, row: dict[str, str]) -> LesionSpec:
    """What a picture shows: its record, and the measurements of its row."""
    return LesionSpec(
        asymmetry=float(row["asymmetry"]),
        border=float(row["border"]),
        colours=tuple(row["colours"].split("|")),  # type: ignore[arg-type] - coerced by LesionSpec
        diagnosis=record.diagnosis,
        age=record.age,
        sex=record.sex,
        site=record.site,
        skin_tone=record.skin_tone or _tone(row.get("ita_degrees", "")),
    )


def _tone(ita_degrees: str) -> SkinTone | None:
    if not ita_degrees:
        return None
    return skin_tone(float(ita_degrees))
