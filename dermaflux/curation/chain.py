"""The hash chain of decisions: each event holds the hash of the one before and its own.

A change, a removal or an insertion anywhere but at the very end is seen by `check`; what is cut off at the
end is seen only by comparing the head with one noted elsewhere. It judges no verdict. An image that was purged has
left its hash, so that decisions about it can be checked still.
The ids of the request and of the batch are not hashed: they say how a decision came, and nothing of what was decided.
"""

import hashlib
import json
from collections.abc import Generator
from contextlib import closing

from sqlalchemy import func, select, true, update
from sqlalchemy.orm import Session

from dermaflux.curation.records import ChainReport
from dermaflux.curation.tables import DecisionRow, ImageRow, PurgedImageRow
from dermaflux.domain.errors import DataNotFound

GENESIS = "0" * 64
_ROWS_A_FETCH = 2000

Found = Generator[tuple[DecisionRow, str | None], None, None]


def append(session: Session, event: DecisionRow, image_sha256: str) -> DecisionRow:
    """Give the event its place and hashes and add it; the caller's transaction must hold the write lock."""
    last = session.execute(
        select(DecisionRow.sequence, DecisionRow.hash).order_by(DecisionRow.sequence.desc()).limit(1)
    ).first()
    event.sequence, event.previous_hash = (last[0] + 1, last[1]) if last else (1, GENESIS)
    event.hash = event_hash(event, image_sha256)
    session.add(event)
    session.flush()
    return event


def event_hash(event: DecisionRow, image_sha256: str) -> str:
    """sha256 of the event as canonical JSON, with the previous hash and the image's content hash in it."""
    fields = {
        "id": event.id,
        "sequence": event.sequence,
        "created_at": event.created_at.isoformat(timespec="microseconds"),
        "reviewer": event.reviewer,
        "dataset_id": event.dataset_id,
        "image_id": event.image_id,
        "image_sha256": image_sha256,
        "verdict": event.verdict,
        "realism": event.realism,
        "tags": event.tags,
        "note": event.note,
        "undoes": event.undoes,
        "previous_hash": event.previous_hash,
    }
    if event.adjudicates:  # only then, so that decisions made before there were adjudications keep their hash
        fields["adjudicates"] = True
    text = json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check(session: Session) -> ChainReport:
    """Walk the whole chain; the report names the first event that does not fit. About 50,000 events a second."""
    count, head = 0, GENESIS
    with closing(_events(session)) as events:
        for event, image_sha256 in events:
            problem = _problem(event, image_sha256, count + 1, head)
            if problem:
                return ChainReport(num_decisions=count, head=head, problem=problem)
            count, head = count + 1, event.hash
    return ChainReport(num_decisions=count, head=head)


def rewrite(session: Session, first_sequence: int) -> tuple[str, str]:
    """Hash the chain anew from a decision on, after it was changed for a good reason; the heads before and after.

    The caller's transaction must hold the write lock, and note what was done. Raises DataNotFound when an image of the
    chain is gone without a trace.
    """
    newest = select(DecisionRow.sequence, DecisionRow.hash).order_by(DecisionRow.sequence.desc()).limit(1)
    last = session.execute(newest).one()
    head = session.scalar(select(DecisionRow.hash).where(DecisionRow.sequence == first_sequence - 1)) or GENESIS
    for start in range(first_sequence, last.sequence + 1, _ROWS_A_FETCH):
        changes = []
        for event, image_sha256 in list(_events(session, start, start + _ROWS_A_FETCH - 1)):
            if image_sha256 is None:
                raise DataNotFound(f"Decision {event.sequence} is about image {event.image_id}, which is gone.")
            event.previous_hash = head
            head = event_hash(event, image_sha256)
            changes.append({"id": event.id, "previous_hash": event.previous_hash, "hash": head})
        session.execute(update(DecisionRow), changes)
    return last.hash, head


def _events(session: Session, first: int = 1, last: int | None = None) -> Found:
    statement = (
        select(DecisionRow, func.coalesce(ImageRow.sha256, PurgedImageRow.sha256))
        .outerjoin(ImageRow, ImageRow.id == DecisionRow.image_id)
        .outerjoin(PurgedImageRow, PurgedImageRow.id == DecisionRow.image_id)
        .where(DecisionRow.sequence >= first, true() if last is None else DecisionRow.sequence <= last)
        .order_by(DecisionRow.sequence)
        .execution_options(yield_per=_ROWS_A_FETCH)
    )
    with session.execute(statement) as found:  # PostgreSQL keeps a cursor open for it
        for event, image_sha256 in found:
            session.expunge(event)
            yield event, image_sha256


def _problem(event: DecisionRow, image_sha256: str | None, sequence: int, head: str) -> str | None:
    if event.sequence != sequence:
        return f"Decision {sequence} is missing; the next one found is {event.sequence}."
    if event.previous_hash != head:
        return f"Decision {sequence} does not follow the one before it: something was replaced or slipped in."
    if image_sha256 is None:
        return f"Decision {sequence} is about image {event.image_id}, which is gone."
    if event.hash != event_hash(event, image_sha256):
        return f"Decision {sequence} ({event.id}) or the image it is about was changed after it was made."
    return None
