"""The events of a grid or a strip -> the value of its board: small cards under headings, each with what was found.

It knows no service. A cell whose image was not made keeps its place.
"""

from pathlib import Path
from typing import Any

from dermaflux.domain.records import StoredImage
from dermaflux.domain.sweep import Axis, AxisValues, Sweep
from dermaflux.services.records import assessment_of
from pages.components.card_view import Card, empty_card, stored_card
from pages.components.job_view import BoardView
from pages.components.pictures import thumbnail_uri

_LETTERS = ((Axis.ASYMMETRY, "A"), (Axis.BORDER, "B"), (Axis.NUM_COLOURS, "C"))


class SweepView(BoardView):
    """What the board shows of one sweep."""

    def __init__(self, sweep: Sweep, job_id: str) -> None:
        self.sweep = sweep
        self.found: dict[int, StoredImage] = {}
        self._job_id = job_id
        steps = [cell.num_steps for cell in sweep.cells()]
        super().__init__([empty_card(place, sweep.title(place), steps[place]) for place in range(sweep.num_cells)])

    def value(self) -> dict[str, Any]:
        """The board's value now, with the headings of its table."""
        rows = self.sweep.rows
        table = {
            "columns": _headings(self.sweep.columns),
            "column_name": self.sweep.columns.axis.label,
            "rows": _headings(rows) if rows else None,
            "row_name": rows.axis.label if rows else None,
        }
        return super().value() | {"table": table}

    def _finished_card(self, index: int, stored: StoredImage) -> Card:
        self.found[index] = stored
        picture = thumbnail_uri(Path(stored.path))
        card = stored_card(stored, key=str(index), title=self.sweep.title(index), picture=picture)
        return card | {"is_thumbnail": True, "brief": _brief(stored, self.sweep.axes)}

    def _running(self, of_image: float) -> None:
        super()._running(of_image)
        self._count_known()

    def _count_known(self) -> None:
        if known := sum(stored.job_id != self._job_id for stored in self.found.values()):
            self._strip["note"] += f" · {known} drawn before"

    def _close(self) -> None:
        self._count_known()
        for place, card in enumerate(self._cards):
            if card["state"] != "done":
                self._cards[place] = card | {"state": "missing", "status": "Not drawn", "preview": None}


def _headings(values: AxisValues) -> list[str]:
    return [values.heading(place) for place in range(len(values.values))]


def _brief(stored: StoredImage, axes: tuple[Axis, ...]) -> dict[str, Any]:
    """The measured A, B, C, those that move marked, and P(malignant) against the operating point."""
    found = assessment_of(stored)
    values = [
        {"letter": letter, "value": _shown(getattr(found.measurement, axis)), "moves": axis in axes}
        for axis, letter in _LETTERS
    ]
    malignant, threshold = found.prediction.malignant, found.prediction.threshold
    return {
        "measured": values,
        "malignant": None if malignant is None else round(malignant, 2),
        "over": malignant is not None and threshold is not None and malignant >= threshold,
    }


def _shown(value: float | None) -> str:
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.1f}"
