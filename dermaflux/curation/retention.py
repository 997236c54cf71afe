"""What may go: images rejected long ago, and what a user left behind. Each function works in the caller's transaction.

Decisions are never deleted: an image that goes leaves its hash in `purged_images`, so that the chain of decisions can
still be checked. A user who goes becomes a pseudonym; the chain is then written anew from the first decision that
named the user, and `chain_rewrites` keeps the old head beside the new one. Files are removed by the store, afterwards.
"""

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import Select, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from dermaflux.curation import chain, study_rows, verdicts
from dermaflux.curation.tables import (
    AdjudicationRow,
    ChainRewriteRow,
    CurrentDecisionRow,
    DatasetRow,
    DecisionRow,
    DistinctImagesRow,
    ImageRow,
    ImageVerdictRow,
    LeaseRow,
    PurgedImageRow,
    SavedFilterRow,
)
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.records import Verdict

_AT_ONCE = 500
_FOLLOWERS = (CurrentDecisionRow, AdjudicationRow, ImageVerdictRow, LeaseRow)


def rejected_before(moment: datetime) -> Select[str]:
    """The ids of images that some dataset rejects, none has another verdict on, and nobody judged since."""
    judged = select(ImageVerdictRow.image_id).group_by(ImageVerdictRow.image_id)
    other = ImageVerdictRow.verdict != Verdict.REJECT.value
    only_rejected = judged.having(func.count().filter(other) == 0).subquery()
    touched = exists().where(DecisionRow.image_id == only_rejected.c.image_id, DecisionRow.created_at >= moment)
    return select(only_rejected.c.image_id).where(~touched)


def made_only_for(job_ids: Sequence[str], user: str) -> Iterator[Select[str]]:
    """The ids of the images of some jobs on which nobody but the user has decided, some jobs at a time."""
    others = exists().where(DecisionRow.image_id == ImageRow.id, DecisionRow.reviewer != user)
    for some in parts(job_ids):
        yield select(ImageRow.id).where(ImageRow.job_id.in_(some), ~others)


def purge(session: Session, image_ids: Sequence[str], reason: str) -> list[str]:
    """Take images out of the pool, leaving their hashes; the paths of the files that may now be removed."""
    paths: list[str] = []
    for some in parts(image_ids):
        going = session.execute(
            select(ImageRow.id, ImageRow.sha256, ImageRow.path).where(ImageRow.id.in_(some))
        ).all()
        for table in _FOLLOWERS:
            session.execute(delete(table).where(table.image_id.in_(some)))
        marks = [
            {"id": row.id, "sha256": row.sha256, "purged_at": datetime.now(UTC), "reason": reason} for row in going
        ]
        if marks:
            session.execute(insert(PurgedImageRow), marks)
        pair = DistinctImagesRow
        session.execute(delete(pair).where(pair.first_id.in_(some) | pair.second_id.in_(some)))
        session.execute(delete(ImageRow).where(ImageRow.id.in_(some)))
        paths += [row.path for row in going]
    return paths


def anonymise(session: Session, user: str) -> int:
    """Make a reviewer a pseudonym wherever the name stands, notes removed; how many decisions were changed."""
    pseudonym = f"former reviewer {secrets.token_hex(4)}"
    session.execute(delete(LeaseRow).where(LeaseRow.reviewer == user))
    session.execute(update(DatasetRow).where(DatasetRow.owner == user).values(owner=pseudonym))
    session.execute(delete(SavedFilterRow).where(SavedFilterRow.owner == user))
    session.execute(update(DistinctImagesRow).where(DistinctImagesRow.said_by == user).values(said_by=pseudonym))
    study_rows.rename_reader(session, user, pseudonym)
    own = DecisionRow.reviewer == user
    first = session.scalar(select(func.min(DecisionRow.sequence)).where(own))
    if first is None:
        return 0
    changed = session.scalar(select(func.count()).select_from(DecisionRow).where(own)) or 0
    session.execute(update(DecisionRow).where(own).values(reviewer=pseudonym, note="", request_id=None, batch_id=None))
    old_head, new_head = chain.rewrite(session, first)
    session.add(
        ChainRewriteRow(
            id=new_id(),
            rewritten_at=datetime.now(UTC),
            reason=f"{changed} decisions of one reviewer made anonymous",
            first_sequence=first,
            old_head=old_head,
            new_head=new_head,
        )
    )
    session.flush()
    verdicts.rebuild(session)
    return changed


def parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Some ids (or paths) at a time: a statement takes only so many."""
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
