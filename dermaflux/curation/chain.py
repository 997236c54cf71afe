"""The hash chain of decisions: each event holds the hash of the one before and its own.

A change, a removal or an insertion anywhere but at the very end is seen by `check`; what is cut off at the
end is seen only by comparing the head with one noted elsewhere. It judges no verdict.
"""

import hashlib
import json
from collections.abc import Generator
from contextlib import closing

from sqlalchemy import select
from sqlalchemy.orm import Session

from dermaflux.curation.records import ChainReport
from dermaflux.curation.tables import DecisionRow, ImageRow

GENESIS = "0" * 64
_ROWS_A_FETCH = 2000


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


def _events(session: Session) -> Generator[tuple[DecisionRow, str | None], None, None]:
    statement = (
        select(DecisionRow, ImageRow.sha256)
        .outerjoin(ImageRow, ImageRow.id == DecisionRow.image_id)
        .order_by(DecisionRow.sequence)
        .execution_options(yield_per=_ROWS_A_FETCH)
    )
    with session.execute(statement) as found:  # PostgreSQL keeps a cursor open for it
        for event, image_sha256 in found:
            yield event, image_sha256
            session.expunge(event)


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
