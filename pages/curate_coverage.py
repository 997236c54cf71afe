"""The view of the coverage planner: counts by diagnosis and level beside a real set, and cells that can be filled."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.caption import ASYMMETRY_WORDS, BORDER_WORDS
from dermaflux.domain.lesion import SkinTone
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services.planning import NOT_KNOWN, CoverageTable, Wanted
from pages.components.panels import coverage_table
from pages.components.web import plain_html
from pages.page import IN_WORDS, LATEST, in_words, visitor_in, visitor_of
from pages.probe_panel import PROBE_QUEUE, line, progress, stop_button, wire_stop

if TYPE_CHECKING:
    from dermaflux.services import Services

_ATTRIBUTES = (("Asymmetry", "asymmetry"), ("Border", "border"), ("Number of colours", "num_colours"),
               ("Skin tone", "skin_tone"))  # fmt: skip
_TONES = [("All", ""), *((f"Type {tone}", str(tone)) for tone in SkinTone)]
_SIZES = (("200 pictures", 200), ("1,000 pictures", 1000), ("all pictures", 0))
_NOTE = "Click a cell to queue images for it."
_LEGEND = (
    "Bold: accepted. After +: pending, which is to review or in your queue. Levels are measured on the pictures; skin "
    "tones of synthetic images are those asked for, of real ones estimates."
)


def coverage_view(services: "Services", dataset: gr.Dropdown, tab: gr.Tab) -> None:
    """Lay out the view in the current Blocks context and wire it."""
    actions = CoverageActions(services)
    with gr.Row(elem_classes="cu-line"):
        attribute = _picker(_ATTRIBUTES, "asymmetry", "Columns", "coverage-attribute")
        tone = _picker(_TONES, "", "Skin tone", "coverage-tone")
        real = _picker([("none", "")], "", "Real pictures", "coverage-real")
        size = _picker(_SIZES, 200, "Measured", "coverage-size")
        measure = gr.Button("Measure", elem_id="coverage-measure", scale=0, min_width=90)
        stop = stop_button(elem_id="coverage-stop")
        note = plain_html(line(_NOTE), elem_id="coverage-note")
    table = coverage_table(elem_id="coverage")
    chosen = [dataset, attribute, tone, real]
    tab.select(actions.real_sets, real, real, **IN_WORDS).then(actions.show, chosen, table, **IN_WORDS)
    gr.on([dataset.change, attribute.change, tone.change, real.change], actions.show, chosen, table, **LATEST)
    running = measure.click(
        actions.measure, [*chosen, size], [table, note, stop], show_progress="hidden", api_visibility="private",
        concurrency_id=PROBE_QUEUE, concurrency_limit=1,
    )  # fmt: skip
    running.failure(_how_to_fill, None, note, **IN_WORDS)
    wire_stop(running, stop, note)
    table.filled(actions.fill, chosen, [table, note], **IN_WORDS)


def _how_to_fill() -> str:
    return line(_NOTE)


def _picker(choices: Sequence[tuple[str, Any]], value: Any, label: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(choices, value=value, label=label, elem_id=elem_id, scale=0, min_width=160)


class CoverageActions:
    """The handlers of the view."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def real_sets(self, current: str, request: gr.Request) -> Any:
        """The sets of real pictures there are now."""
        visitor_of(self._services, request).require(Role.VIEWER, "look at the coverage")
        names = self._services.real_sets()
        return gr.Dropdown(choices=[("none", ""), *((n, n) for n in names)], value=current if current in names else "")

    @in_words
    def show(self, dataset: str, attribute: str, tone: str, real: str, request: gr.Request) -> Any:
        """The table as of now."""
        visitor = visitor_in(self._services, request, dataset, Role.VIEWER, "look at the coverage")
        return self._table(visitor, dataset, attribute, tone, real)

    @in_words
    def measure(
        self, dataset: str, attribute: str, tone: str, real: str, size: int, request: gr.Request
    ) -> Iterator[tuple[Any, Any, Any]]:
        """How far it is; what is measured enters the table at the end."""
        visitor = visitor_in(self._services, request, dataset, Role.REVIEWER, "measure real pictures")
        if not real:
            yield gr.skip(), line("Choose a set of real pictures first."), gr.skip()
            return
        yield gr.skip(), line("Beginning ..."), gr.Button(interactive=True)
        for step in self._services.measure_real(real, size or None):
            yield gr.skip(), line(progress(step)), gr.skip()
        yield self._table(visitor, dataset, attribute, tone, real), line("Measured."), gr.skip()

    @in_words
    def fill(
        self, dataset: str, attribute: str, tone: str, real: str, evt: gr.EventData, request: gr.Request
    ) -> tuple[Any, Any]:
        """Queue images for a cell."""
        visitor = visitor_in(self._services, request, dataset, Role.REVIEWER, "generate images")
        wanted = Wanted(diagnosis=evt.diagnosis, attribute=evt.attribute, level=evt.level, skin_tone=evt.skin_tone,
                        num_images=evt.num_images)  # fmt: skip
        self._services.fill_cell(visitor.name, wanted)
        table = self._table(visitor, dataset, attribute, tone, real)
        return table, line(f"{wanted.num_images} images are queued. They come to review here as they are made.")

    def _table(self, visitor: Visitor, dataset: str, attribute: str, tone: str, real: str) -> dict[str, Any]:
        planned = None if attribute == "skin_tone" else tone or None
        found = self._services.coverage_table(dataset, visitor.name, attribute, planned, real or None)
        return _value(found, planned, bool(real))


def _value(table: CoverageTable, tone: str | None, has_real: bool) -> dict[str, Any]:
    from dermaflux.figures.words import of_plan

    real = f"{table.num_real:,} real pictures are measured. Dashed cells hold fewer images than real pictures. "
    counts = of_plan((c.real, c.accepted, c.undecided, c.queued) for c in table.cells.values())
    corner = next(text for text, name in _ATTRIBUTES if name == table.attribute)
    return {
        "attribute": table.attribute,
        "skin_tone": tone,
        "title": f"Images by diagnosis and {corner.lower()}",
        "corner": corner,
        "columns": [[name, _words(table.attribute, name), name != NOT_KNOWN] for name in table.columns],
        "rows": [
            {
                "diagnosis": str(diagnosis),
                "text": diagnosis.label.capitalize(),
                "cells": [
                    [cell.real, cell.accepted, cell.undecided, cell.queued]
                    for cell in (table.cells[str(diagnosis), column] for column in table.columns)
                ],
            }
            for diagnosis in table.diagnoses
        ],
        "has_real": has_real,
        "note": counts + (real if has_real else "") + _LEGEND,
    }


def _words(attribute: str, level: str) -> str:
    if level == NOT_KNOWN:
        return "Not known"
    if attribute == "skin_tone":
        return f"Type {level}"
    if attribute == "num_colours":
        return level
    words = ASYMMETRY_WORDS if attribute == "asymmetry" else BORDER_WORDS
    return f"{level} · {words[float(level)][0]}"
