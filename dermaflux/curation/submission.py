"""Whether a decision may enter the chain: it was not sent before, and its reviewer saw the newest state.

It reads only; the caller's transaction must hold the write lock, so that nothing changes between check and store.
"""

import hashlib
import json
from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from dermaflux.curation.records import DecisionRequest
from dermaflux.curation.tables import DecisionRow
from dermaflux.curation.visibility import events_shown, versions_of, view_of
from dermaflux.domain.errors import InvalidRequest, StaleDecision

_NAMED_EVENTS = 3


def request_key(request: DecisionRequest, adjudicates: bool) -> str | None:
    """What makes a request sent twice one: its own id, or all it says when it names the version it is about.

    Without both, None: saying the same again later may well be meant.
    """
    if request.request_id is not None:
        return request.request_id
    if request.expected_version is None:
        return None
    text = json.dumps(asdict(request) | {"adjudicates": adjudicates}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def first_answer(session: Session, dataset_id: str, request: DecisionRequest, adjudicates: bool) -> DecisionRow | None:
    """The event that the same request made before; None when it is new.

    Raises InvalidRequest when its id was used for another decision.
    """
    key = request_key(request, adjudicates)
    if key is None:
        return None
    made = session.scalars(select(DecisionRow).where(DecisionRow.request_id == key)).first()
    if made is None:
        return None
    asked = (dataset_id, request.image_id, request.reviewer, request.verdict.value, adjudicates)
    if (made.dataset_id, made.image_id, made.reviewer, made.verdict, made.adjudicates) != asked:
        raise InvalidRequest(
            f"The request id {key!r} belongs to another decision. Nothing was stored; give each decision its own id."
        )
    return made


def check_version(session: Session, dataset_id: str, request: DecisionRequest) -> None:
    """Raise StaleDecision when the image was decided on since the reviewer saw it, as far as he may know."""
    if request.expected_version is None:
        return
    view = view_of(session, dataset_id, request.reviewer)
    seen = versions_of(session, [request.image_id], dataset_id, view).get(request.image_id, 0)
    if seen == request.expected_version:
        return
    newer = select(DecisionRow).where(
        DecisionRow.dataset_id == dataset_id,
        DecisionRow.image_id == request.image_id,
        DecisionRow.sequence > request.expected_version,
    )
    if view is not None:
        newer = newer.where(events_shown(view))
    events = session.scalars(newer.order_by(DecisionRow.sequence.desc()).limit(_NAMED_EVENTS))
    said = ", ".join(_in_words(event, request.reviewer) for event in events)
    why = f"Since you saw this image: {said}." if said else f"Version {request.expected_version} is not of this image."
    raise StaleDecision(f"{why} Your verdict was not stored; look again, then decide.")


def _in_words(event: DecisionRow, reader: str) -> str:
    who = "you" if event.reviewer == reader else event.reviewer
    if event.verdict is None:
        return f"{who} took a verdict back"
    return f"{who} {'settled it as' if event.adjudicates else 'said'} {event.verdict}"
