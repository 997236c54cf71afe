"""The tables of reader studies as typed ORM classes, on the same base as all of curation.

A study and its items never change once they are there. What a reader saw at which place is the order in
`study_readers`; an answer belongs to one reader and one item, once.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dermaflux.curation.tables import Base


class StudyRow(Base):
    """A study. `plan` is how it is done, `sources` which dataset and which real pictures it draws from."""

    __tablename__ = "studies"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    owner: Mapped[str] = mapped_column(String(100))
    seed: Mapped[int]
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    plan: Mapped[dict[str, Any]]
    sources: Mapped[dict[str, Any]]


class StudyItemRow(Base):
    """One thing that is shown. Its id is random and names its file, so that neither tells what it is.

    kind: real, synthetic, repeat (of `repeats`) or check, a card that tells what to answer. `sha256` is that of the
    bytes that readers get, `origin_sha256` that of the file they were made from.
    """

    __tablename__ = "study_items"
    __table_args__ = (Index("ix_study_items_study_id", "study_id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"))
    kind: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(255))
    origin_sha256: Mapped[str] = mapped_column(String(64))
    diagnosis: Mapped[str | None] = mapped_column(String(16))
    repeats: Mapped[str | None] = mapped_column(ForeignKey("study_items.id"))
    wanted_source: Mapped[str | None] = mapped_column(String(16))
    wanted_confidence: Mapped[int | None]


class StudyReaderRow(Base):
    """Somebody who began to read, or who looked at the results and can therefore no longer begin."""

    __tablename__ = "study_readers"

    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), primary_key=True)
    reader: Mapped[str] = mapped_column(String(100), primary_key=True)
    item_order: Mapped[list[str]]
    joined_at: Mapped[datetime]
    turned_at: Mapped[datetime]  # when the present picture's turn came; what the server's time counts from
    finished_at: Mapped[datetime | None]
    unblinded_at: Mapped[datetime | None]


class StudyAnswerRow(Base):
    """What one reader answered of one item; server_ms counts from the answer before, so it holds pauses and network."""

    __tablename__ = "study_answers"

    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), primary_key=True)
    reader: Mapped[str] = mapped_column(String(100), primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("study_items.id"), primary_key=True)
    position: Mapped[int]
    source: Mapped[str] = mapped_column(String(16))
    confidence: Mapped[int]
    lesion: Mapped[str | None] = mapped_column(String(16))
    browser_ms: Mapped[int]
    server_ms: Mapped[int]
    num_pauses: Mapped[int]
    zoomed: Mapped[bool]
    answered_at: Mapped[datetime]
