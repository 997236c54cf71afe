"""The part of the store that keeps reader studies: what is shown, to whom in which order, and what they answered.

Short transactions, one a call. It asks nobody's role and opens no picture; `services` does. A reader's next place is
the number of their answers, so that stopping, going on and sending twice need nothing of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dermaflux.curation import study_rows
from dermaflux.curation.image_store import ImageStore
from dermaflux.curation.records import checked_dataset_name, checked_reviewer
from dermaflux.curation.study_order import order_for
from dermaflux.curation.study_records import StudiedAnswer, Study, StudyItem, StudyReader, Turn
from dermaflux.curation.study_tables import StudyAnswerRow, StudyItemRow, StudyReaderRow, StudyRow
from dermaflux.domain.errors import InvalidRequest, NotAllowed
from dermaflux.domain.study import MAX_ANSWER_MS, StudyAnswer, StudyPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStudy:
    """A study to be stored with its items, all or nothing."""

    study_id: str
    name: str
    owner: str
    seed: int
    plan: StudyPlan
    sources: dict[str, Any]
    items: Sequence[StudyItem]


class StudyStore(ImageStore):
    """Reader studies beside the images."""

    def check_study_name(self, name: str) -> str:
        """The name without outer blanks. Raises InvalidRequest when it cannot be or is taken (case does not count)."""
        name = checked_dataset_name(name, "study")
        with self._read() as session:
            _check_free(session, name)
        return name

    def add_study(self, new: NewStudy) -> Study:
        """Store a study; nothing of it changes afterwards. Raises InvalidRequest when the name is taken."""
        with self._write() as session:
            _check_free(session, new.name)
            row = StudyRow(
                id=new.study_id,
                name=new.name,
                owner=checked_reviewer(new.owner),
                seed=new.seed,
                created_at=datetime.now(UTC),
                plan=new.plan.to_dict(),
                sources=new.sources,
            )
            session.add(row)
            session.flush()
            first = [item for item in new.items if item.repeats is None]
            session.add_all(study_rows.item_row(new.study_id, item) for item in first)
            session.flush()
            session.add_all(study_rows.item_row(new.study_id, item) for item in new.items if item.repeats)
        return study_rows.study(row)

    def studies(self) -> tuple[Study, ...]:
        """All studies, the newest first."""
        with self._read() as session:
            found = session.scalars(select(StudyRow).order_by(StudyRow.created_at.desc(), StudyRow.id))
            return tuple(study_rows.study(row) for row in found)

    def study(self, name: str) -> Study:
        """One study. Raises DataNotFound."""
        with self._read() as session:
            return study_rows.study(study_rows.study_row(session, name))

    def study_items(self, name: str) -> tuple[StudyItem, ...]:
        """All that is shown in a study, with its key. Raises DataNotFound."""
        with self._read() as session:
            study_id = study_rows.study_row(session, name).id
            return _items(session, study_id)

    def study_readers(self, name: str) -> tuple[StudyReader, ...]:
        """Everybody who began to read or looked at the results, by the time they did. Raises DataNotFound."""
        with self._read() as session:
            study_id = study_rows.study_row(session, name).id
            numbers = study_rows.num_answered(session, study_id)
            query = select(StudyReaderRow).where(StudyReaderRow.study_id == study_id)
            found = session.scalars(query.order_by(StudyReaderRow.joined_at, StudyReaderRow.reader))
            return tuple(study_rows.reader(row, numbers.get(row.reader, 0)) for row in found)

    def study_answers(self, name: str) -> tuple[StudiedAnswer, ...]:
        """Every answer of a study, reader by reader in the order they saw. Raises DataNotFound."""
        with self._read() as session:
            study_id = study_rows.study_row(session, name).id
            query = select(StudyAnswerRow).where(StudyAnswerRow.study_id == study_id)
            found = session.scalars(query.order_by(StudyAnswerRow.reader, StudyAnswerRow.position))
            return tuple(study_rows.answer(row) for row in found)

    def begin_reading(self, name: str, reader: str) -> Turn:
        """Where the reader is, who joins with the first call; the server's time of the picture begins.

        Raises DataNotFound, InvalidRequest (the study is closed) or NotAllowed (the reader has seen results).
        """
        reader = checked_reviewer(reader)
        with self._write() as session:
            study, now = study_rows.study_row(session, name), datetime.now(UTC)
            row = session.get(StudyReaderRow, (study.id, reader))
            if row is None:
                _check_open(study)
                order = order_for(_items(session, study.id), study.seed, reader)
                row = StudyReaderRow(
                    study_id=study.id, reader=reader, item_order=order, joined_at=now, turned_at=now
                )
                session.add(row)
            if row.finished_at is None:
                _check_may_go_on(study, row)
            row.turned_at = now
            session.flush()
            return _turn(session, study, row)

    def answer_study(self, name: str, reader: str, answer: StudyAnswer) -> Turn:
        """Store an answer, once; then where the reader is. One that was sent before, or ahead, changes nothing.

        Raises InvalidRequest (closed, not begun, an answer that does not fit the study's question), DataNotFound.
        """
        with self._write() as session:
            study, now = study_rows.study_row(session, name), datetime.now(UTC)
            row = session.get(StudyReaderRow, (study.id, reader))
            if row is None or row.unblinded_at:
                raise InvalidRequest("You have not begun to read this study. Open it from the list.")
            position = _num_answered(session, study.id, reader)
            if answer.position == position < len(row.item_order):
                _check_open(study)
                answer.check_fits(StudyPlan.from_dict(study.plan).question)
                session.add(_answer_row(row, answer, now))
                row.turned_at = now
                if position + 1 == len(row.item_order):
                    row.finished_at = now
                session.flush()
            return _turn(session, study, row)

    def note_unblinded(self, name: str, reader: str) -> None:
        """Note that somebody looked at the results, who had not read to the end, and so cannot read any more."""
        with self._write() as session:
            study, now = study_rows.study_row(session, name), datetime.now(UTC)
            row = session.get(StudyReaderRow, (study.id, reader))
            if row is None:
                row = StudyReaderRow(study_id=study.id, reader=reader, item_order=[], joined_at=now, turned_at=now)
                session.add(row)
            if row.finished_at is None and row.unblinded_at is None:
                row.unblinded_at = now

    def close_study(self, name: str) -> None:
        """Take no more answers. Raises DataNotFound."""
        with self._write() as session:
            row = study_rows.study_row(session, name)
            row.closed_at = row.closed_at or datetime.now(UTC)

    def remove_study(self, name: str) -> str:
        """Remove a study with its answers for good; its id, by which its files are found. Raises DataNotFound."""
        with self._write() as session:
            study_id = study_rows.study_row(session, name).id
            study_rows.remove(session, study_id)
        return study_id


def _check_free(session: Session, name: str) -> None:
    if session.scalars(select(StudyRow.id).where(func.lower(StudyRow.name) == name.lower())).first():
        raise InvalidRequest(f"There is a study named {name!r} already. Choose another name.")


def _check_open(study: StudyRow) -> None:
    if study.closed_at is not None:
        raise InvalidRequest(f"The study {study.name!r} is closed and takes no more answers.")


def _check_may_go_on(study: StudyRow, row: StudyReaderRow) -> None:
    if row.unblinded_at is not None:
        raise NotAllowed(
            f"You have looked at the results of {study.name!r}, so you can no longer read in it without bias."
        )
    _check_open(study)


def _items(session: Session, study_id: str) -> tuple[StudyItem, ...]:
    query = select(StudyItemRow).where(StudyItemRow.study_id == study_id).order_by(StudyItemRow.id)
    return tuple(study_rows.item(row) for row in session.scalars(query))


def _num_answered(session: Session, study_id: str, reader: str) -> int:
    query = select(func.count()).select_from(StudyAnswerRow)
    mine = (StudyAnswerRow.study_id == study_id) & (StudyAnswerRow.reader == reader)
    return session.scalar(query.where(mine)) or 0


def _turn(session: Session, study: StudyRow, row: StudyReaderRow) -> Turn:
    position = _num_answered(session, study.id, row.reader)
    near = row.item_order[position : position + 2]
    found = study_rows.items_by_id(session, near)
    current, following = ([found[item_id] for item_id in near] + [None, None])[:2]
    return Turn(
        study=study_rows.study(study),
        position=position,
        total=len(row.item_order),
        current=current,
        following=following,
    )


def _answer_row(row: StudyReaderRow, answer: StudyAnswer, now: datetime) -> StudyAnswerRow:
    return StudyAnswerRow(
        study_id=row.study_id,
        reader=row.reader,
        item_id=row.item_order[answer.position],
        position=answer.position,
        source=answer.source.value,
        confidence=answer.confidence,
        lesion=answer.lesion.value if answer.lesion else None,
        browser_ms=answer.browser_ms,
        server_ms=min(round((now - row.turned_at).total_seconds() * 1000), MAX_ANSWER_MS),
        num_pauses=answer.num_pauses,
        zoomed=answer.zoomed,
        answered_at=now,
    )
