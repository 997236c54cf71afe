"""Records -> what one small card of the grid and its enlarged view show, in the shape that assets/web/curate.js reads.

Pure: no service, no file (the caller hands in the picture as a URI), no Gradio.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dermaflux.domain.lesion import DIAGNOSIS_NAMES, Diagnosis
from dermaflux.domain.records import StoredImage
from pages.components.card_view import Card, stored_card

if TYPE_CHECKING:
    from dermaflux.services.browsing import OwnVerdict
    from dermaflux.services.curating import Decision

_SHORT = {
    Diagnosis.NV: "Nevus", Diagnosis.BKL: "Keratosis", Diagnosis.DF: "Dermatofibr.", Diagnosis.VASC: "Vascular",
    Diagnosis.MEL: "Melanoma", Diagnosis.BCC: "BCC", Diagnosis.AKIEC: "Actinic k.", Diagnosis.BENIGN: "Benign",
    Diagnosis.MALIGNANT: "Malignant",
}  # fmt: skip


def grid_card(stored: StoredImage, own: "OwnVerdict | None", picture: str) -> Card:
    """One card of the grid."""
    asked = stored.requested
    prediction = stored.assessment.get("prediction") or {}
    malignant, threshold = prediction.get("malignant"), prediction.get("threshold")
    agrees = None
    if asked is not None and malignant is not None and threshold is not None:
        agrees = (malignant >= threshold) == asked.malignant
    name = DIAGNOSIS_NAMES[asked.diagnosis].capitalize() if asked else "Free text"
    return {
        "id": stored.image_id,
        "picture": picture,
        "title": _SHORT[asked.diagnosis] if asked else "Free text",
        "name": name,
        "alt": f"Synthetic lesion, {name[0].lower()}{name[1:]}",
        "malignant": malignant,
        "agrees": agrees,
        "flag": "file lost" if not picture else "copy" if stored.memorised else "",
        **judged(stored, own),
    }


def judged(stored: StoredImage, own: "OwnVerdict | None") -> dict[str, Any]:
    """What changes on a card with a verdict: the common one as far as it may be seen, and the reviewer's own."""
    return {
        "verdict": str(stored.verdict) if stored.verdict else None,
        "version": stored.version,
        "mine": str(own.verdict) if own else None,
        "realism": own.realism if own else None,
        "tags": list(own.tags) if own else [],
    }


def facts_of(stored: StoredImage, history: "Sequence[Decision]", picture: str) -> Mapping[str, Any]:
    """Everything the enlarged view says of an image."""
    card = stored_card(stored, key=stored.image_id, title="", picture=picture)
    return card | {"history": [_in_words(event) for event in history]}


def _in_words(event: "Decision") -> str:
    verdict = f"settled as {event.verdict}" if event.adjudicates else str(event.verdict)
    said = "took a verdict back" if event.verdict is None else verdict
    more = [f"realism {event.realism}"] if event.realism else []
    more += [", ".join(event.tags)] if event.tags else []
    more += [f"“{event.note}”"] if event.note else []
    return f"{event.created_at[:16].replace('T', ' ')} {event.reviewer}: {'; '.join([said, *more])}"
