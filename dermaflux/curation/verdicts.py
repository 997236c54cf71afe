"""The state that follows from the decisions: each reviewer's current verdict, the adjudication, and the outcome.

Kept in three tables for speed, in the transaction of each event; `rebuild` makes them from the events alone,
`disagreement` compares. One reject keeps an image out, otherwise one accept lets it in, otherwise it is unsure;
an adjudication that stands outweighs all of these.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    Float,
    Select,
    String,
    case,
    cast,
    delete,
    except_,
    func,
    insert,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from dermaflux.curation.tables import (
    AdjudicationRow,
    CurrentDecisionRow,
    DecisionRow,
    ImageRow,
    ImageVerdictRow,
)
from dermaflux.domain.records import Verdict


def consensus(verdicts: Collection[str]) -> Verdict | None:
    """What several reviewers' verdicts come to; None when there are none."""
    for outcome in (Verdict.REJECT, Verdict.ACCEPT, Verdict.UNSURE):
        if outcome in verdicts:
            return outcome
    return None


def refresh(session: Session, event: DecisionRow) -> None:
    """Bring the derived rows of the event's image up to date after it was added."""
    # A new verdict is the latest by nature; only an undo has to look for what now stands.
    latest = event if event.verdict is not None else _last_alike(session, event)
    if event.adjudicates:
        _put_adjudication(session, event, latest)
    else:
        _put_current(session, event, latest)
    session.flush()
    _refresh_image(session, event.dataset_id, event.image_id)


def rebuild(session: Session) -> None:
    """Make the derived tables anew from the events."""
    for table in (ImageVerdictRow, CurrentDecisionRow, AdjudicationRow):
        session.execute(delete(table))
    session.execute(insert(CurrentDecisionRow).from_select(_CURRENT_COLUMNS, _derived_current()))
    session.execute(insert(AdjudicationRow).from_select(_ADJUDICATION_COLUMNS, _derived_adjudications()))
    session.execute(insert(ImageVerdictRow).from_select(_VERDICT_COLUMNS, _derived_verdicts()))
    session.expire_all()


def disagreement(session: Session) -> str | None:
    """How the derived tables differ from what the events say; None when they agree."""
    for table, columns, derived in (
        (CurrentDecisionRow, _CURRENT_COLUMNS, _derived_current()),
        (AdjudicationRow, _ADJUDICATION_COLUMNS, _derived_adjudications()),
        (ImageVerdictRow, _VERDICT_COLUMNS[:4], _derived_verdicts(with_realism=False)),
    ):
        stored = select(*(getattr(table, name) for name in columns))
        for left, right, what in ((derived, stored, "lacks"), (stored, derived, "has too many:")):
            number = session.scalar(select(func.count()).select_from(except_(left, right).subquery()))
            if number:
                return f"The table {table.__tablename__} {what} {number} rows; it can be rebuilt from the decisions."
    return None


def last_standing(
    session: Session, dataset_id: str, reviewer: str, batch_id: str | None = None
) -> DecisionRow | None:
    """A reviewer's newest decision or adjudication in a dataset, or in one batch, that is not undone."""
    query = _standing(DecisionRow).where(DecisionRow.dataset_id == dataset_id, DecisionRow.reviewer == reviewer)
    if batch_id is not None:
        query = query.where(DecisionRow.batch_id == batch_id)
    return session.scalars(query.order_by(DecisionRow.sequence.desc()).limit(1)).first()


def given_with(session: Session, decision: DecisionRow) -> list[DecisionRow]:
    """The standing decisions that a reviewer gave together with this one, itself among them, the newest first."""
    if decision.batch_id is None:
        return [decision]
    together = _standing(DecisionRow).where(
        DecisionRow.batch_id == decision.batch_id,
        DecisionRow.dataset_id == decision.dataset_id,
        DecisionRow.reviewer == decision.reviewer,
    )
    return list(session.scalars(together.order_by(DecisionRow.sequence.desc())))


_CURRENT_COLUMNS = ["dataset_id", "image_id", "reviewer", "decision_id", "verdict", "realism"]
_ADJUDICATION_COLUMNS = ["dataset_id", "image_id", "decision_id", "verdict"]
_VERDICT_COLUMNS = ["dataset_id", "image_id", "verdict", "num_reviewers", "realism"]


def _standing(decision: type[DecisionRow]) -> Select[DecisionRow]:
    undo = aliased(DecisionRow)
    undone = select(undo.id).where(undo.undoes == decision.id).exists()
    there = select(ImageRow.id).where(ImageRow.id == decision.image_id).exists()  # and was not purged
    return select(decision).where(decision.verdict.is_not(None), ~undone, there)


def _last_alike(session: Session, event: DecisionRow) -> DecisionRow | None:
    """The newest standing adjudication of the event's image, or verdict of its reviewer on it."""
    query = _standing(DecisionRow).where(
        DecisionRow.dataset_id == event.dataset_id,
        DecisionRow.image_id == event.image_id,
        DecisionRow.adjudicates.is_(event.adjudicates),
    )
    if not event.adjudicates:
        query = query.where(DecisionRow.reviewer == event.reviewer)
    return session.scalars(query.order_by(DecisionRow.sequence.desc()).limit(1)).first()


def _put_current(session: Session, event: DecisionRow, latest: DecisionRow | None) -> None:
    key = (event.dataset_id, event.image_id, event.reviewer)
    current = session.get(CurrentDecisionRow, key)
    if latest is None:
        if current is not None:
            session.delete(current)
        return
    if current is None:
        current = CurrentDecisionRow(dataset_id=key[0], image_id=key[1], reviewer=key[2])
        session.add(current)
    current.decision_id, current.verdict, current.realism = latest.id, str(latest.verdict), latest.realism


def _put_adjudication(session: Session, event: DecisionRow, latest: DecisionRow | None) -> None:
    settled = session.get(AdjudicationRow, (event.dataset_id, event.image_id))
    if latest is None:
        if settled is not None:
            session.delete(settled)
        return
    if settled is None:
        settled = AdjudicationRow(dataset_id=event.dataset_id, image_id=event.image_id)
        session.add(settled)
    settled.decision_id, settled.verdict = latest.id, str(latest.verdict)


def _refresh_image(session: Session, dataset_id: str, image_id: str) -> None:
    rows = session.execute(
        select(CurrentDecisionRow.verdict, CurrentDecisionRow.realism).where(
            CurrentDecisionRow.dataset_id == dataset_id, CurrentDecisionRow.image_id == image_id
        )
    ).all()
    settled = session.get(AdjudicationRow, (dataset_id, image_id))
    outcome = settled.verdict if settled else consensus([row.verdict for row in rows])
    shown = session.get(ImageVerdictRow, (dataset_id, image_id))
    if outcome is None:
        if shown is not None:
            session.delete(shown)
        return
    if shown is None:
        shown = ImageVerdictRow(dataset_id=dataset_id, image_id=image_id)
        session.add(shown)
    ratings = [row.realism for row in rows if row.realism is not None]
    shown.verdict, shown.num_reviewers = str(outcome), len(rows)
    shown.realism = sum(ratings) / len(ratings) if ratings else None


def _derived_current() -> Select:
    by = ("dataset_id", "image_id", "reviewer")
    return _newest_of(_standing(DecisionRow).where(DecisionRow.adjudicates.is_(False)), by, _CURRENT_COLUMNS)


def _derived_adjudications() -> Select:
    by = ("dataset_id", "image_id")
    return _newest_of(_standing(DecisionRow).where(DecisionRow.adjudicates.is_(True)), by, _ADJUDICATION_COLUMNS)


def _newest_of(decisions: Select[DecisionRow], by: Sequence[str], names: Sequence[str]) -> Select:
    standing = decisions.subquery()
    newest = (
        func.row_number()
        .over(partition_by=[standing.c[name] for name in by], order_by=standing.c.sequence.desc())
        .label("newest")
    )
    ranked = select(standing, newest).subquery()
    columns = [ranked.c["id" if name == "decision_id" else name] for name in names]
    return select(*columns).where(ranked.c.newest == 1)


def _derived_verdicts(with_realism: bool = True) -> Select:
    current, settled = _derived_current().subquery(), _derived_adjudications().subquery()
    nothing = cast(null(), String(16))
    said = union_all(
        select(current.c.dataset_id, current.c.image_id, current.c.verdict, nothing.label("settled"),
               cast(current.c.realism, Float).label("realism")),
        select(settled.c.dataset_id, settled.c.image_id, nothing, settled.c.verdict, cast(null(), Float)),
    ).subquery()  # fmt: skip

    def any_of(verdict: Verdict) -> Any:
        return func.sum(case((said.c.verdict == verdict.value, 1), else_=0)) > 0

    outcome = case(
        (func.max(said.c.settled).is_not(None), func.max(said.c.settled)),
        (any_of(Verdict.REJECT), Verdict.REJECT.value),
        (any_of(Verdict.ACCEPT), Verdict.ACCEPT.value),
        else_=Verdict.UNSURE.value,
    )
    columns: list[Any] = [said.c.dataset_id, said.c.image_id, outcome, func.count(said.c.verdict)]
    if with_realism:
        columns.append(func.avg(said.c.realism))
    return select(*columns).group_by(said.c.dataset_id, said.c.image_id)
