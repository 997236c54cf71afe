"""Between the rows of reader studies and their records; and how a reader is forgotten. It opens no session."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from dermaflux.curation.study_records import ItemKind, StudiedAnswer, Study, StudyItem, StudyReader
from dermaflux.curation.study_tables import StudyAnswerRow, StudyItemRow, StudyReaderRow, StudyRow
from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.study import Source, StudyAnswer, StudyPlan


def study_row(session: Session, name: str) -> StudyRow:
    """The study of that name. Raises DataNotFound, which names no other: not everybody may know of each."""
    row = session.scalars(select(StudyRow).where(StudyRow.name == name.strip())).first()
    if row is None:
        raise no_study(name)
    return row


def no_study(name: str) -> DataNotFound:
    """What is said of a study that is not there, or that is not for who asks."""
    return DataNotFound(f"There is no study {name!r} for you. Choose one of the list.")


def study(row: StudyRow) -> Study:
    """The record of a study."""
    return Study(
        study_id=row.id,
        name=row.name,
        owner=row.owner,
        seed=row.seed,
        plan=StudyPlan.from_dict(row.plan),
        sources=dict(row.sources),
        created_at=row.created_at.isoformat(),
        closed_at=row.closed_at.isoformat() if row.closed_at else None,
    )


def item(row: StudyItemRow) -> StudyItem:
    """The record of an item."""
    wanted = (Source(row.wanted_source), row.wanted_confidence) if row.wanted_source else None
    return StudyItem(
        item_id=row.id,
        kind=ItemKind(row.kind),
        sha256=row.sha256,
        origin=row.origin,
        origin_sha256=row.origin_sha256,
        diagnosis=row.diagnosis,
        repeats=row.repeats,
        wanted=wanted,  # type: ignore[arg-type] - both columns are set or neither is
    )


def item_row(study_id: str, shown: StudyItem) -> StudyItemRow:
    """The row of a new item."""
    return StudyItemRow(
        id=shown.item_id,
        study_id=study_id,
        kind=shown.kind.value,
        sha256=shown.sha256,
        origin=shown.origin,
        origin_sha256=shown.origin_sha256,
        diagnosis=shown.diagnosis,
        repeats=shown.repeats,
        wanted_source=shown.wanted[0].value if shown.wanted else None,
        wanted_confidence=shown.wanted[1] if shown.wanted else None,
    )


def reader(row: StudyReaderRow, num_answered: int) -> StudyReader:
    """The record of a reader."""
    return StudyReader(
        reader=row.reader,
        joined_at=row.joined_at.isoformat(),
        num_answered=num_answered,
        num_shown=len(row.item_order),
        finished_at=row.finished_at.isoformat() if row.finished_at else None,
        unblinded_at=row.unblinded_at.isoformat() if row.unblinded_at else None,
    )


def answer(row: StudyAnswerRow) -> StudiedAnswer:
    """The record of an answer."""
    return StudiedAnswer(
        reader=row.reader,
        item_id=row.item_id,
        answer=StudyAnswer(
            position=row.position,
            source=Source(row.source),
            confidence=row.confidence,
            lesion=Diagnosis(row.lesion) if row.lesion else None,
            browser_ms=row.browser_ms,
            num_pauses=row.num_pauses,
            zoomed=row.zoomed,
        ),
        server_ms=row.server_ms,
        answered_at=row.answered_at.isoformat(),
    )


def num_answered(session: Session, study_id: str) -> dict[str, int]:
    """How many answers each reader of a study has given."""
    found = session.execute(
        select(StudyAnswerRow.reader, func.count())
        .where(StudyAnswerRow.study_id == study_id)
        .group_by(StudyAnswerRow.reader)
    )
    return {name: number for name, number in found}


def remove(session: Session, study_id: str) -> None:
    """Take a study out with all that hangs on it."""
    items = StudyItemRow.study_id == study_id
    session.execute(delete(StudyAnswerRow).where(StudyAnswerRow.study_id == study_id))
    session.execute(delete(StudyReaderRow).where(StudyReaderRow.study_id == study_id))
    session.execute(delete(StudyItemRow).where(items, StudyItemRow.repeats.is_not(None)))
    session.execute(delete(StudyItemRow).where(items))
    session.execute(delete(StudyRow).where(StudyRow.id == study_id))


def rename_reader(session: Session, name: str, pseudonym: str) -> None:
    """Put a pseudonym wherever a user's name stands in studies: as owner, as reader, among the invited."""
    session.execute(update(StudyRow).where(StudyRow.owner == name).values(owner=pseudonym))
    for table in (StudyReaderRow, StudyAnswerRow):
        session.execute(update(table).where(table.reader == name).values(reader=pseudonym))
    for row in session.scalars(select(StudyRow)):
        invited = row.plan.get("readers", [])
        if name in invited:
            row.plan = row.plan | {"readers": [pseudonym if one == name else one for one in invited]}


def items_by_id(session: Session, ids: Sequence[str]) -> dict[str, StudyItem]:
    """Some items by their ids."""
    return {row.id: item(row) for row in session.scalars(select(StudyItemRow).where(StudyItemRow.id.in_(ids)))}
