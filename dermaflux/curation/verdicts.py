"""The state that follows from the decisions: each reviewer's current verdict, and all reviewers' together.

Kept in two tables for speed, in the transaction of each event; `rebuild` makes them from the events alone,
`disagreement` compares. One reject keeps an image out, otherwise one accept lets it in, otherwise it is unsure.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Float, Select, case, cast, delete, except_, func, insert, select
from sqlalchemy.orm import Session, aliased

from dermaflux.curation.tables import CurrentDecisionRow, DecisionRow, ImageVerdictRow
from dermaflux.domain.records import Verdict


def consensus(verdicts: Collection[str]) -> Verdict | None:
    """What several reviewers' verdicts come to; None when there are none."""
    for outcome in (Verdict.REJECT, Verdict.ACCEPT, Verdict.UNSURE):
        if outcome in verdicts:
            return outcome
    return None


def refresh(session: Session, event: DecisionRow) -> None:
    """Bring the derived rows of the event's image up to date after it was added."""
    key = (event.dataset_id, event.image_id, event.reviewer)
    # A new verdict is the latest by nature; only an undo has to look for what now stands.
    latest = event if event.verdict is not None else _last_on_image(session, *key)
    current = session.get(CurrentDecisionRow, key)
    if latest is None:
        if current is not None:
            session.delete(current)
    else:
        if current is None:
            current = CurrentDecisionRow(dataset_id=key[0], image_id=key[1], reviewer=key[2])
            session.add(current)
        current.decision_id, current.verdict, current.realism = latest.id, str(latest.verdict), latest.realism
    session.flush()
    _refresh_image(session, event.dataset_id, event.image_id)


def rebuild(session: Session) -> None:
    """Make both derived tables anew from the events."""
    session.execute(delete(ImageVerdictRow))
    session.execute(delete(CurrentDecisionRow))
    session.execute(insert(CurrentDecisionRow).from_select(_CURRENT_COLUMNS, _derived_current()))
    session.execute(insert(ImageVerdictRow).from_select(_VERDICT_COLUMNS, _derived_verdicts()))
    session.expire_all()


def disagreement(session: Session) -> str | None:
    """How the derived tables differ from what the events say; None when they agree."""
    for table, columns, derived in (
        (CurrentDecisionRow, _CURRENT_COLUMNS, _derived_current()),
        (ImageVerdictRow, _VERDICT_COLUMNS[:4], _derived_verdicts(with_realism=False)),
    ):
        stored = select(*(getattr(table, name) for name in columns))
        for left, right, what in ((derived, stored, "lacks"), (stored, derived, "has too many:")):
            number = session.scalar(select(func.count()).select_from(except_(left, right).subquery()))
            if number:
                return f"The table {table.__tablename__} {what} {number} rows; it can be rebuilt from the decisions."
    return None


def last_standing(session: Session, dataset_id: str, reviewer: str) -> DecisionRow | None:
    """A reviewer's newest decision in a dataset that is not undone: what undo takes back."""
    return session.scalars(
        _standing(DecisionRow)
        .where(DecisionRow.dataset_id == dataset_id, DecisionRow.reviewer == reviewer)
        .order_by(DecisionRow.sequence.desc())
        .limit(1)
    ).first()


_CURRENT_COLUMNS = ["dataset_id", "image_id", "reviewer", "decision_id", "verdict", "realism"]
_VERDICT_COLUMNS = ["dataset_id", "image_id", "verdict", "num_reviewers", "realism"]


def _standing(decision: type[DecisionRow]) -> Select[DecisionRow]:
    undo = aliased(DecisionRow)
    undone = select(undo.id).where(undo.undoes == decision.id).exists()
    return select(decision).where(decision.verdict.is_not(None), ~undone)


def _last_on_image(session: Session, dataset_id: str, image_id: str, reviewer: str) -> DecisionRow | None:
    return session.scalars(
        _standing(DecisionRow)
        .where(
            DecisionRow.dataset_id == dataset_id,
            DecisionRow.image_id == image_id,
            DecisionRow.reviewer == reviewer,
        )
        .order_by(DecisionRow.sequence.desc())
        .limit(1)
    ).first()


def _refresh_image(session: Session, dataset_id: str, image_id: str) -> None:
    rows = session.execute(
        select(CurrentDecisionRow.verdict, CurrentDecisionRow.realism).where(
            CurrentDecisionRow.dataset_id == dataset_id, CurrentDecisionRow.image_id == image_id
        )
    ).all()
    outcome = consensus([row.verdict for row in rows])
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
    standing = _standing(DecisionRow).subquery()
    newest = (
        func.row_number()
        .over(
            partition_by=(standing.c.dataset_id, standing.c.image_id, standing.c.reviewer),
            order_by=standing.c.sequence.desc(),
        )
        .label("newest")
    )
    ranked = select(standing, newest).subquery()
    columns = [ranked.c["id" if name == "decision_id" else name] for name in _CURRENT_COLUMNS]
    return select(*columns).where(ranked.c.newest == 1)


def _derived_verdicts(with_realism: bool = True) -> Select:
    current = _derived_current().subquery()

    def any_of(verdict: Verdict) -> Any:
        return func.sum(case((current.c.verdict == verdict.value, 1), else_=0)) > 0

    outcome = case(
        (any_of(Verdict.REJECT), Verdict.REJECT.value),
        (any_of(Verdict.ACCEPT), Verdict.ACCEPT.value),
        else_=Verdict.UNSURE.value,
    )
    columns: list[Any] = [current.c.dataset_id, current.c.image_id, outcome, func.count()]
    if with_realism:
        columns.append(func.avg(cast(current.c.realism, Float)))
    return select(*columns).group_by(current.c.dataset_id, current.c.image_id)
