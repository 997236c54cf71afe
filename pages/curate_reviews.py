"""The view of reviews by several people: the plan, disputes with their settlement, and how far reviewers agree."""

import html
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.roles import Role, Visitor
from pages.components.panels import picture_rows
from pages.components.pictures import grid_uris
from pages.components.web import plain_html
from pages.page import IN_WORDS, LATEST, in_words, visitor_in, visitor_of
from pages.probe_panel import line

if TYPE_CHECKING:
    from dermaflux.services import Services
    from dermaflux.services.reviewing import Agreement, Dispute

_NO_DISPUTE = "No dispute waits: where enough reviewers have judged, they agree or somebody has settled it."
_NO_DATASET = "This dataset has not been made yet. It is made with its first verdict, or under Boards."
_DEEDS = (("accept", "Settle: accept", True), ("reject", "Settle: reject", False), ("unsure", "Settle: unsure", False))
_BLINDED = "Blinded: others' verdicts stay hidden until all are in"
_SHOWN = 60


def reviews_view(services: "Services", dataset: gr.Dropdown, tab: gr.Tab) -> None:
    """Lay out the view in the current Blocks context and wire it."""
    actions = ReviewPlanActions(services)
    with gr.Row(elem_classes="cu-line"):
        number = gr.Number(1, label="Reviewers an image", minimum=1, maximum=5, precision=0, elem_id="plan-number",
                           scale=0, min_width=150)  # fmt: skip
        blinded = gr.Checkbox(False, label=_BLINDED, elem_id="plan-blinded", scale=0, min_width=380)
        save = gr.Button("Set plan", elem_id="plan-save", scale=0, min_width=100)
        back = gr.Button("Give my images back", elem_id="plan-give-back", scale=0, min_width=190)
        note = plain_html("", elem_id="plan-note")
    agreement = plain_html("", elem_id="agreement")
    plain_html('<h3 class="cu-heading">Disputes</h3>')
    disputes = picture_rows(elem_id="disputes", empty=_NO_DISPUTE)
    shown = [number, blinded, agreement, disputes, note]
    gr.on([tab.select, dataset.change], actions.show, dataset, shown, **LATEST)
    save.click(actions.set_plan, [dataset, number, blinded], note, **IN_WORDS)
    back.click(actions.give_back, dataset, note, **IN_WORDS)
    disputes.done(actions.settle, dataset, [disputes, note], **IN_WORDS, trigger_mode="multiple")


class ReviewPlanActions:
    """The handlers of the view."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def show(self, dataset: str, request: gr.Request) -> tuple[Any, ...]:
        """The plan, the agreement and the open disputes; disputes are for curators, since they name who said what."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "look at reviews")
        if self._services.open_dataset(dataset, visitor) is None:
            return 1, False, "", {"rows": [], "empty": _NO_DATASET}, line(_NO_DATASET)
        plan, compares = self._services.review_plan(dataset), self._services.may_compare(dataset, visitor)
        return (
            plan.reviewers_per_image,
            plan.blinded,
            _agreement(self._services.agreement(dataset)) if compares else "",
            self._disputes(visitor, dataset),
            line(_waiting(self._services.num_disputes(dataset)) if compares else ""),
        )

    @in_words
    def set_plan(self, dataset: str, number: int | None, blinded: bool, request: gr.Request) -> Any:
        """Change how the dataset is reviewed."""
        visitor_in(self._services, request, dataset, Role.CURATOR, "set a review plan")
        self._services.set_review_plan(dataset, reviewers_per_image=number or 1, blinded=blinded)
        return line("The plan is set. Verdicts and images in hand stay.")

    @in_words
    def give_back(self, dataset: str, request: gr.Request) -> Any:
        """Let others have what was handed out to the visitor."""
        visitor = visitor_in(self._services, request, dataset, Role.REVIEWER, "give images back")
        self._services.give_back_assignments(dataset, visitor.name)
        return line("Others may have your images now.")

    def settle(self, dataset: str, evt: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """Adjudicate one dispute; its row comes back when that is refused."""
        try:
            visitor = visitor_in(self._services, request, dataset, Role.CURATOR, "settle a dispute")
            self._services.adjudicate(dataset, evt.key, visitor.name, evt.deed, expected_version=evt.version)
            return gr.skip(), line("Settled. Undo in the grid takes it back.")
        except DermaFluxError as error:
            return gr.HTML(refused={"key": evt.key, "number": secrets.token_hex(4)}), line(str(error))

    def _disputes(self, visitor: Visitor, dataset: str) -> dict[str, Any]:
        if not visitor.role.includes(Role.CURATOR):
            return {"rows": [], "empty": "Disputes are settled by curators."}
        found = self._services.disputes(dataset, _SHOWN)
        pictures = grid_uris([Path(dispute.image.path) for dispute in found])
        return {"rows": [_row(*pair) for pair in zip(found, pictures, strict=True)], "empty": _NO_DISPUTE}


def _waiting(number: int) -> str:
    if number == 1:
        return "One dispute waits for a settlement."
    return f"{number:,} disputes wait for a settlement." if number else ""


def _row(dispute: "Dispute", picture: str) -> dict[str, Any]:
    said = "\n".join(
        f"{one.reviewer}: {one.verdict}{f', realism {one.realism}' if one.realism else ''}" for one in dispute.verdicts
    )
    image = dispute.image
    tile = {"id": image.image_id, "picture": picture, "alt": "Disputed synthetic lesion", "words": "", "best": True}
    return {
        "key": image.image_id,
        "title": "Reviewers disagree",
        "note": said,
        "ids": [image.image_id],
        "pictures": [tile],
        "deeds": [list(deed) for deed in _DEEDS],
        "version": image.version,
    }


def _agreement(found: "Agreement") -> str:
    rows = [
        ("Equal verdicts", found.raw),
        ("Krippendorff's alpha of verdicts", found.verdict_alpha),
        ("Krippendorff's alpha of realism", found.realism_alpha),
        *((f"Cohen's kappa, {' and '.join(pair.reviewers)}", pair.kappa) for pair in found.pairs),
    ]
    body = "".join(f"<tr><th>{html.escape(name)}</th>{_cells(figure)}</tr>" for name, figure in rows)
    head = f"<th>{found.num_images:,} images judged by two or more of {found.num_reviewers} reviewers</th>"
    return (
        f'<table class="df-table"><thead><tr>{head}<th>value</th><th>95 % interval</th><th>images</th></tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _cells(figure: Any) -> str:
    if figure.value is None:
        return f'<td colspan="2">{html.escape(figure.reason or "not known")}</td><td>{figure.num_images:,}</td>'
    interval = "" if figure.low is None or figure.high is None else f"{figure.low:.2f} to {figure.high:.2f}"
    return f"<td>{figure.value:.2f}</td><td>{interval}</td><td>{figure.num_images:,}</td>"
