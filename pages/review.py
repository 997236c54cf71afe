"""Verdicts on a board: decide, undo, saliency, enlarge. The boards of sample cards share these handlers.

A verdict is painted by the board first; what is sent back by image id is what the store holds, or why it refused.
"""

from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import DermaFluxError, NotMeasurable
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services.records import Explanation
from pages.components.card_view import saliency_view
from pages.components.dataset_picker import counts_html
from pages.components.pictures import overlay_uri, picture_uri
from pages.page import IN_WORDS, QUICK, in_words, visitor_in, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

# Several verdicts may be on their way at once, so none may be dropped.
_EACH: dict[str, Any] = {"trigger_mode": "multiple"}


class ReviewActions:
    """The handlers of one board."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def decide(self, dataset: str, evt: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """Store a verdict; the stored verdict by image id and the counts, or the reason of a refusal by image id.

        Not queued, which halves the time of a verdict, so a refusal goes to the board instead of to a notice.
        """
        try:
            visitor = may_judge(self._services, request, dataset)
            stored = self._services.decide(dataset, evt.image_id, visitor.name, evt.verdict)
            return gr.HTML(verdicts={stored.image_id: stored.verdict}), self.counts(dataset, request)
        except DermaFluxError as error:
            return gr.HTML(refusals={evt.image_id: str(error)}), gr.skip()

    @in_words
    def undo(self, dataset: str, request: gr.Request) -> tuple[Any, str]:
        """Take back the visitor's last verdict in the dataset."""
        visitor = visitor_in(self._services, request, dataset, Role.REVIEWER, "take back a verdict")
        undone = self._services.undo(dataset, visitor.name)
        gr.Info("The last verdict was taken back.", duration=3)
        return gr.HTML(verdicts={undone.image_id: undone.verdict}), self.counts(dataset, request)

    @in_words
    def saliency(self, evt: gr.EventData, request: gr.Request) -> Any:
        """The maps of what speaks for the requested and the predicted side, and what they are worth, by image id."""
        visitor_of(self._services, request).require(Role.VIEWER, "see a saliency map")
        found = self._services.explain_both_sides(evt.image_id)
        if found[0].overlay is None:
            raise NotMeasurable(str(found[0].refused))
        return gr.HTML(saliency={evt.image_id: [_shown(side) for side in found]})

    @in_words
    def enlarge(self, evt: gr.EventData, request: gr.Request) -> Any:
        """The stored picture itself in place of its thumbnail, by image id."""
        visitor_of(self._services, request).require(Role.VIEWER, "see images")
        return gr.HTML(
            originals={evt.image_id: picture_uri(self._services.image_path(evt.image_id))}
        )

    @in_words
    def counts(self, dataset: str, request: gr.Request) -> str:
        """The counts of a dataset as HTML, as far as the visitor may see them."""
        visitor = visitor_in(self._services, request, dataset, Role.VIEWER, "see a dataset")
        return counts_html(self._services.counts(dataset, viewer=visitor.name))


def _shown(found: Explanation) -> dict[str, str]:
    assert found.overlay is not None  # whoever has one side of a picture has the other
    return saliency_view(found) | {"picture": overlay_uri(found.overlay)}


def may_judge(services: "Services", request: gr.Request | None, dataset: str) -> Visitor:
    """The visitor, when they may judge in a dataset; a new one is made with its first verdict, which takes a curator.

    Raises NotAllowed, or DataNotFound for somebody else's private one.
    """
    visitor = visitor_of(services, request).require(Role.REVIEWER, "judge images")
    services.open_for_verdicts(dataset, visitor)
    return visitor


def wire_review(
    actions: ReviewActions,
    *,
    board: gr.HTML,
    dataset: gr.Dropdown,
    counts: gr.HTML,
) -> None:
    """Connect a board to its dataset picker and its counts."""
    board.decided(actions.decide, dataset, [board, counts], **QUICK, **_EACH)
    board.undone(actions.undo, dataset, [board, counts], **IN_WORDS, **_EACH)
    board.saliency(actions.saliency, None, board, **IN_WORDS, **_EACH)
    board.enlarged(actions.enlarge, None, board, **IN_WORDS, **_EACH)
