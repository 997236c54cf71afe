"""The view of near-duplicates: groups of alike images, the one to keep proposed with its reason."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.events import Dependency

from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.records import Verdict
from dermaflux.domain.roles import Role
from dermaflux.services.records import ProbeStep
from pages.components.panels import picture_rows
from pages.components.pictures import grid_uris
from pages.components.web import plain_html
from pages.page import IN_WORDS, in_words, visitor_in, visitor_of
from pages.probe_panel import PROBE_QUEUE, line, progress, stop_button, wire_stop

if TYPE_CHECKING:
    from dermaflux.services import Services
    from dermaflux.services.grouping import DuplicateGroup

_NOTE = "Looks for images that show the same lesion, among those that are not rejected. The first time describes each."
_NONE = "No near-duplicates were found among these images."
_NOT_YET = "Nothing was looked for yet."
_SHOWN = 60
_PICTURES_SHOWN = 24
_AMONG = (("Accepted and to review", "all"), ("Accepted only", "accept"), ("To review", "undecided"))
_KEEP, _DISTINCT = "keep", "distinct"
_STANDING = {None: "to review", Verdict.ACCEPT: "accepted", Verdict.REJECT: "rejected", Verdict.UNSURE: "unsure"}


def groups_view(services: "Services", dataset: gr.Dropdown) -> Dependency:
    """Lay out the view in the current Blocks context and wire it; the event after which verdicts have changed."""
    actions = GroupActions(services)
    with gr.Row(elem_classes="cu-line"):
        which = gr.Dropdown(_AMONG, value="all", label="Among", elem_id="groups-which", scale=0, min_width=220)
        look = gr.Button("Find near-duplicates", elem_id="find-groups", scale=0, min_width=180)
        stop = stop_button(elem_id="groups-stop")
        note = plain_html(line(_NOTE), elem_id="groups-note")
    rows = picture_rows(elem_id="groups", empty=_NOT_YET)
    running = look.click(actions.find, [dataset, which], [rows, note, stop], show_progress="hidden",
                         api_visibility="private", concurrency_id=PROBE_QUEUE, concurrency_limit=1)  # fmt: skip
    running.failure(_not_looked, None, [rows, note], **IN_WORDS)
    wire_stop(running, stop, note)
    dataset.change(_not_looked, None, [rows, note], **IN_WORDS)
    return rows.done(actions.settle, None, [rows, note], **IN_WORDS, trigger_mode="multiple")


def _not_looked() -> tuple[Any, str]:
    """As before anything was looked for: groups of another dataset must not stay to be settled."""
    return {"rows": [], "empty": _NOT_YET}, line(_NOTE)


class GroupActions:
    """The handlers of the view."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def find(self, dataset: str, which: str, request: gr.Request) -> Iterator[tuple[Any, Any, Any]]:
        """How far it is, then the groups."""
        visitor = visitor_in(self._services, request, dataset, Role.VIEWER, "look at near-duplicates")
        yield gr.skip(), line("Beginning ..."), gr.Button(interactive=True)
        words = {} if which == "all" else {"verdict": which}
        for event in self._services.duplicate_groups(dataset, words, visitor.name):
            if isinstance(event, ProbeStep):
                yield gr.skip(), line(progress(event)), gr.skip()
            else:
                found = {"rows": _rows(event[:_SHOWN]), "empty": _NONE, "dataset": dataset, "undo": True}
                yield found | {"number": secrets.token_hex(4)}, line(_summary(event, dataset)), gr.skip()

    def settle(self, evt: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """Keep one and reject the rest, remember that they are no duplicates, or take either back.

        The row comes back when that is refused. The dataset is that of the groups, whatever is chosen by now.
        """
        try:
            visitor = visitor_of(self._services, request).require(Role.REVIEWER, "settle near-duplicates")
            self._services.open_for_verdicts(evt.dataset, visitor)
            return gr.skip(), line(self._settled(visitor.name, evt))
        except DermaFluxError as error:
            return gr.HTML(refused={"key": evt.key, "number": secrets.token_hex(4)}), line(str(error))

    def _settled(self, reviewer: str, evt: gr.EventData) -> str:
        if evt.deed == _DISTINCT:
            self._services.say_distinct(evt.ids, reviewer)
            return "Remembered: these are no duplicates."
        if evt.deed == f"undo {_DISTINCT}":
            self._services.unsay_distinct(evt.ids, reviewer)
            return "Forgotten: these may be duplicates."
        if evt.deed == f"undo {_KEEP}":
            undone = self._services.undo_together(evt.dataset, reviewer, evt.batch)
            return f"{len(undone)} rejections were taken back."
        others = [image_id for image_id in evt.ids if image_id != evt.chosen]
        number = self._services.keep_best(evt.dataset, reviewer, evt.chosen, others, evt.batch)
        return f"One kept, {number} rejected."


def _summary(groups: "tuple[DuplicateGroup, ...]", dataset: str) -> str:
    extra = sum(len(group.images) - 1 for group in groups)
    shown = f" The largest {_SHOWN} are shown." if len(groups) > _SHOWN else ""
    if not groups:
        return _NONE
    number = "One group" if len(groups) == 1 else f"{len(groups):,} groups"
    return f"{number} in {dataset}; {extra:,} images more than one of each.{shown}"


def _rows(groups: "tuple[DuplicateGroup, ...]") -> list[dict[str, Any]]:
    return [_row(group) for group in groups]


def _row(group: "DuplicateGroup") -> dict[str, Any]:
    asked = group.images[0].requested
    shown = group.images[:_PICTURES_SHOWN]
    pictures = grid_uris([Path(image.path) for image in shown])
    more = f" {len(group.images) - len(shown)} more are not shown." if len(shown) < len(group.images) else ""
    return {
        "key": group.images[0].image_id,
        "title": f"{len(group.images)} images: {asked.diagnosis.label if asked else 'free text'}",
        "note": f"Proposed: {group.reason}. Choose another one to keep that.{more}",
        "ids": [image.image_id for image in group.images],
        "pictures": [
            {
                "id": image.image_id,
                "picture": picture,
                "alt": f"Synthetic lesion, one of {len(group.images)} that look alike",
                "words": _STANDING[image.verdict],
                "best": index == 0,
            }
            for index, (image, picture) in enumerate(zip(shown, pictures, strict=True))
        ],
        "deeds": [
            [_KEEP, "Keep it, reject the rest", True, f"One kept, {len(group.images) - 1} rejected"],
            [_DISTINCT, "Not duplicates", False, "No duplicates"],
        ],
    }
