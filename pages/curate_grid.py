"""What the grid of the Curate tab does: pages, verdicts in batches, undo, the enlarged view, saved filters.

Verdicts and pages are not queued, which halves their time; so a refusal goes to the grid instead of to a notice.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import DermaFluxError, InvalidRequest
from dermaflux.domain.roles import Role, Visitor
from pages.components.dataset_picker import counts_html
from pages.components.grid_view import facts_of, grid_card, judged
from pages.components.pictures import grid_uris, picture_uri
from pages.page import IN_WORDS, QUICK, in_words, visitor_in, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

_EACH: dict[str, Any] = {"trigger_mode": "multiple"}
_SAID = ("image_id", "verdict", "realism", "tags", "request_id", "batch_id", "expected_version")
_EMPTY = "No image passes these filters. Remove a filter above, or generate some images."
_NUM_HANDED_OUT = 60


class GridActions:
    """The handlers of the grid."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._numbers = itertools.count(1)

    def ask(self, dataset: str, evt: gr.EventData, request: gr.Request) -> dict[str, Any]:
        """A page of what passes the filters, or in its place why there is none."""
        page: dict[str, Any] = {"seq": evt.seq, "dataset": dataset, "cards": [], "total": 0, "next": None}
        try:
            visitor = self._open(dataset, request)
            self._services.check_words(dataset, evt.words, visitor)
            found = self._services.grid(dataset, evt.words, visitor.name, evt.after)
            own = self._services.own_verdicts(dataset, visitor.name, [image.image_id for image in found.images])
            pictures = grid_uris([Path(image.path) for image in found.images])
            page["cards"] = [
                grid_card(image, own.get(image.image_id), picture)
                for image, picture in zip(found.images, pictures, strict=True)
            ]
            return page | {"total": found.total, "next": found.next_after, "empty": _EMPTY}
        except DermaFluxError as error:
            return page | {"empty": str(error)}

    def send(self, evt: gr.EventData, request: gr.Request) -> Any:
        """Store verdicts, or take the last ones back, in the order sent; what stands now, and what was refused why."""
        answer: dict[str, Any] = {"seq": evt.seq, "states": {}, "refused": {}, "undone": []}
        try:
            visitor = visitor_of(self._services, request).require(Role.REVIEWER, "give verdicts")
            self._services.open_for_verdicts(evt.dataset, visitor)
            said = [entry for entry in evt.entries if entry.get("kind") == "verdict"]
            if said:
                self._decide(evt.dataset, visitor, said, answer)
            if len(said) < len(evt.entries):
                undone = self._services.undo_together(evt.dataset, visitor.name)
                answer["undone"] = list(undone)
                answer["states"] |= self._states(evt.dataset, visitor, undone)
        except DermaFluxError as error:
            answer["problem"] = str(error)
        return gr.HTML(acks=answer)

    def _decide(
        self, dataset: str, visitor: Visitor, said: Sequence[Mapping[str, Any]], answer: dict[str, Any]
    ) -> None:
        entries = [{name: entry[name] for name in _SAID if entry.get(name) is not None} for entry in said]
        now, refused = self._services.decide_all(dataset, visitor.name, entries)
        answer["states"] |= self._states(dataset, visitor, now)
        answer["refused"] |= {image_id: str(error) for image_id, error in refused.items()}

    def _states(self, dataset: str, visitor: Visitor, images: Mapping[str, Any]) -> dict[str, Any]:
        own = self._services.own_verdicts(dataset, visitor.name, list(images))
        return {image_id: judged(image, own.get(image_id)) for image_id, image in images.items()}

    @in_words
    def enlarge(self, dataset: str, evt: gr.EventData, request: gr.Request) -> Any:
        """The picture itself and everything known of it."""
        visitor = self._open(dataset, request)
        exists = self._services.open_dataset(dataset, visitor) is not None
        stored = self._services.image(evt.image_id, dataset if exists else None, visitor.name)
        history = self._services.decisions(dataset, evt.image_id, visitor.name) if exists else ()
        return gr.HTML(facts=facts_of(stored, history, picture_uri(Path(stored.path))))

    @in_words
    def choices(self, dataset: str, request: gr.Request) -> Any:
        """What there is to filter by, and the visitor's saved filters."""
        return gr.HTML(choices=self._choices(dataset, self._open(dataset, request)))

    @in_words
    def show(self, dataset: str, request: gr.Request) -> Any:
        """Let the grid ask its question again, of this dataset."""
        choices = self._choices(dataset, self._open(dataset, request))
        return gr.HTML(choices=choices, refresh={"dataset": dataset, "number": next(self._numbers)})

    @in_words
    def save(self, dataset: str, evt: gr.EventData, request: gr.Request) -> Any:
        """Keep the filter under a name of the visitor's own."""
        visitor = self._open(dataset, request)
        if "image_ids" in evt.words:
            raise InvalidRequest("Picked images cannot be saved as a filter. Remove that part, then save.")
        self._services.save_filter(visitor.name, evt.name, evt.words)
        gr.Info("The filter was saved.", duration=3)
        return gr.HTML(choices=self._choices(dataset, visitor))

    @in_words
    def forget(self, dataset: str, evt: gr.EventData, request: gr.Request) -> Any:
        """Delete a saved filter."""
        visitor = self._open(dataset, request)
        self._services.delete_filter(visitor.name, evt.name)
        return gr.HTML(choices=self._choices(dataset, visitor))

    @in_words
    def hand_out(self, dataset: str, request: gr.Request) -> Any:
        """The images the review plan hands out to the visitor."""
        visitor = visitor_of(self._services, request).require(Role.REVIEWER, "take images to judge")
        if self._services.open_dataset(dataset, visitor) is None:
            raise InvalidRequest(f"There is no dataset {dataset!r} yet, so nothing is handed out. Judge any image.")
        held = self._services.next_assignments(dataset, visitor.name, limit=_NUM_HANDED_OUT)
        if not held:
            gr.Info("Nothing is left for you: every image has as many reviewers as the plan asks.", duration=5)
            return gr.skip()
        return self.picked([one.image.image_id for one in held], "Handed out to you")

    @in_words
    def counts(self, dataset: str, request: gr.Request) -> str:
        """The counts of the dataset as HTML, as far as the visitor may see them."""
        return counts_html(self._services.counts(dataset, viewer=self._open(dataset, request).name))

    def picked(self, image_ids: Sequence[str], name: str) -> Any:
        """Let the grid show some images only."""
        return gr.HTML(picked={"ids": list(image_ids), "name": name, "number": next(self._numbers)})

    def _open(self, dataset: str, request: gr.Request) -> Visitor:
        visitor = visitor_in(self._services, request, dataset, Role.VIEWER, "look at images")
        return visitor

    def _choices(self, dataset: str, visitor: Visitor) -> dict[str, Any]:
        asked_at = time.time()  # of two answers the grid keeps the one that was asked for last
        found = self._services.grid_choices(dataset, visitor.name)
        saved = self._services.saved_filters(visitor.name)
        boards = self._services.virtual_boards(dataset, visitor)
        return {
            "asked_at": asked_at,
            "me": visitor.name,
            "models": list(found.models),
            "reviewers": list(found.reviewers),
            "tags": list(found.tags),
            "filters": [{"name": one.name, "words": dict(one.words)} for one in saved],
            "boards": [{"words": dict(board.words), "number": board.number} for board in boards],
        }


def wire_grid(actions: GridActions, grid: gr.HTML, dataset: gr.Dropdown, counts: gr.HTML) -> None:
    """Connect the grid to its handlers."""
    grid.asked(actions.ask, dataset, grid, **QUICK, **_EACH)
    grid.sent(actions.send, None, grid, **QUICK, **_EACH)
    grid.opened(actions.enlarge, dataset, grid, **IN_WORDS, **_EACH)
    grid.saved(actions.save, dataset, grid, **IN_WORDS)
    grid.unsaved(actions.forget, dataset, grid, **IN_WORDS)
    grid.assigned(actions.hand_out, dataset, grid, **IN_WORDS)
    grid.settled(actions.counts, dataset, counts, **IN_WORDS)
    grid.settled(actions.choices, dataset, grid, **IN_WORDS)
    dataset.change(actions.show, dataset, grid, **IN_WORDS)
    dataset.change(actions.counts, dataset, counts, **IN_WORDS)
