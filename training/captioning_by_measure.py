"""Captions from a table of measurements (`training.measure_training_set`): asymmetry, border and colours as measured.

A picture that the table lacks or refuses gets none; a captioner may fill it later. It knows no manifest.
"""

import random
from pathlib import Path

from dermaflux.domain.caption import compose
from training.lesion_records import LesionRecord
from training.nano_data import is_usable, measured_rows, spec_of

_ARCHIVES_PX = (200, 224)  # the whole frame first, as manifests hold it


class MeasuredCaptions:
    """Captions of the pictures in a table, by their id. Raises DataNotFound when one is named and missing."""

    def __init__(self, measured: Path | None) -> None:
        self._rows = measured_rows(measured) if measured else {}

    def of(self, record: LesionRecord) -> str:
        """The caption in one of the grammar's wordings, the same for the same id; '' where too little is known."""
        found = (self._rows.get((record.image_id, archive_px)) for archive_px in _ARCHIVES_PX)
        row = next((row for row in found if is_usable(row)), None)
        return compose(spec_of(record, row), random.Random(record.image_id)) if row else ""
