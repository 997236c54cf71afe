"""The tables of curation as typed ORM classes. They never leave this package; records do.

Images and decisions are the truth; `current_decisions` and `image_verdicts` are derived from the decisions,
kept in the same transaction, and can be made again from them. Migrations own the schema, these classes map it.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dermaflux.columns import AnyJson, UtcDateTime

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What all tables of curation share: constraint names and JSON and time types."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar = {datetime: UtcDateTime(), dict[str, Any]: AnyJson(), list[str]: AnyJson()}


class ImageRow(Base):
    """One image file in the pool. The narrow columns repeat facts of the two JSON columns for queries.

    asymmetry, border, num_colours and skin_tone are the requested values, measured_* what the measurement found;
    `agrees`: the classifier is on the requested side; `distance`: how far what was found lies from the request, 0..1.
    """

    __tablename__ = "images"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    content_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    path: Mapped[str] = mapped_column(String(255))
    width_px: Mapped[int]
    height_px: Mapped[int]
    job_id: Mapped[str | None] = mapped_column(String(36), index=True)
    created_at: Mapped[datetime]
    model: Mapped[str] = mapped_column(String(255))
    diagnosis: Mapped[str | None] = mapped_column(String(16))
    asymmetry: Mapped[float | None]
    border: Mapped[float | None]
    num_colours: Mapped[int | None]
    measured_asymmetry: Mapped[float | None]
    measured_border: Mapped[float | None]
    measured_num_colours: Mapped[int | None]
    malignant_probability: Mapped[float | None]
    memorised: Mapped[bool | None]
    skin_tone: Mapped[str | None] = mapped_column(String(4))
    agrees: Mapped[bool | None]
    distance: Mapped[float | None]
    caption: Mapped[str] = mapped_column(Text)
    generated: Mapped[dict[str, Any]]
    assessment: Mapped[dict[str, Any]]


# A row is some kilobytes of JSON; a filter over 100,000 images reads this narrow copy instead, newest first.
Index(
    "ix_images_filter",
    ImageRow.id,
    ImageRow.diagnosis,
    ImageRow.asymmetry,
    ImageRow.border,
    ImageRow.num_colours,
    ImageRow.measured_asymmetry,
    ImageRow.measured_border,
    ImageRow.measured_num_colours,
    ImageRow.malignant_probability,
    ImageRow.memorised,
    ImageRow.skin_tone,
    ImageRow.agrees,
    ImageRow.distance,
    ImageRow.model,
    ImageRow.caption,
)
# Without a filter a sort walks this instead: a sixth of the bytes, captions being long. The id stands first, because a
# walk in the order of a figure is the worst case of sorting by it the other way round.
Index("ix_images_figures", ImageRow.id, ImageRow.distance, ImageRow.malignant_probability)


class DatasetRow(Base):
    """A named set under curation. A private one is its owner's alone; an archived one is kept, but not offered."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    owner: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    private: Mapped[bool] = mapped_column(default=False)
    archived_at: Mapped[datetime | None]


class DecisionRow(Base):
    """One event: a verdict, or (verdict null, undoes set) the taking back of one. Never changed, never deleted.

    `adjudicates` marks an adjudicator's verdict and the taking back of one. `request_id` tells a request that is sent
    twice from two requests. Verdicts given together share a `batch_id`, and are taken back together.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        Index("ix_decisions_state", "dataset_id", "image_id", "reviewer", "sequence"),
        Index("ix_decisions_reviewer", "dataset_id", "reviewer", "sequence"),
        Index("ix_decisions_request_id", "request_id", unique=True),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    sequence: Mapped[int] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    reviewer: Mapped[str] = mapped_column(String(100))
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
    image_id: Mapped[str] = mapped_column(String(36), index=True)  # of an image, or of one that was purged
    verdict: Mapped[str | None] = mapped_column(String(16))
    realism: Mapped[int | None]
    tags: Mapped[list[str]]
    note: Mapped[str] = mapped_column(Text)
    undoes: Mapped[str | None] = mapped_column(ForeignKey("decisions.id"), unique=True)
    adjudicates: Mapped[bool] = mapped_column(default=False)
    request_id: Mapped[str | None] = mapped_column(String(64))
    batch_id: Mapped[str | None] = mapped_column(String(64), index=True)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)


class CurrentDecisionRow(Base):
    """Derived: a reviewer's latest decision on an image that is not undone. Adjudications are kept apart."""

    __tablename__ = "current_decisions"
    __table_args__ = (Index("ix_current_decisions_reviewer", "dataset_id", "reviewer", "verdict", "image_id"),)

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True)
    reviewer: Mapped[str] = mapped_column(String(100), primary_key=True)
    decision_id: Mapped[str] = mapped_column(ForeignKey("decisions.id"))
    verdict: Mapped[str] = mapped_column(String(16))
    realism: Mapped[int | None]


class AdjudicationRow(Base):
    """Derived: the latest adjudication of an image that is not undone, by whomever."""

    __tablename__ = "adjudications"

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True)
    decision_id: Mapped[str] = mapped_column(ForeignKey("decisions.id"))
    verdict: Mapped[str] = mapped_column(String(16))


class ImageVerdictRow(Base):
    """Derived: what all reviewers together say of an image (a reject by anyone outweighs, then an accept).

    An adjudication outweighs them all; `num_reviewers` and `realism` leave it out.
    """

    __tablename__ = "image_verdicts"
    __table_args__ = (
        Index("ix_image_verdicts_verdict", "dataset_id", "verdict", "image_id"),
        Index("ix_image_verdicts_progress", "dataset_id", "num_reviewers", "image_id", "verdict"),
    )

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True)
    verdict: Mapped[str] = mapped_column(String(16))
    num_reviewers: Mapped[int]
    realism: Mapped[float | None]


class ReviewPlanRow(Base):
    """How a dataset is reviewed; without a row by one reviewer an image, and open."""

    __tablename__ = "review_plans"

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    reviewers_per_image: Mapped[int]
    blinded: Mapped[bool]


class LeaseRow(Base):
    """An image in a reviewer's hands until `expires_at`; gone when it is decided, given back or out of time."""

    __tablename__ = "leases"
    __table_args__ = (
        Index("ix_leases_reviewer", "dataset_id", "reviewer", "leased_at"),
        Index("ix_leases_expires_at", "expires_at"),
    )

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True)
    reviewer: Mapped[str] = mapped_column(String(100), primary_key=True)
    leased_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class PurgedImageRow(Base):
    """What is left of an image that was taken out of the pool: enough to check the decisions about it."""

    __tablename__ = "purged_images"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    purged_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(255))


class ChainRewriteRow(Base):
    """One time the chain was written anew from a decision on, with its heads before and after."""

    __tablename__ = "chain_rewrites"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    rewritten_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(255))
    first_sequence: Mapped[int]
    old_head: Mapped[str] = mapped_column(String(64))
    new_head: Mapped[str] = mapped_column(String(64))


class SavedFilterRow(Base):
    """A user's own filter of the grid under a name; `words` is what the front end sent."""

    __tablename__ = "saved_filters"
    __table_args__ = (UniqueConstraint("owner", "name"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    owner: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(64))
    words: Mapped[dict[str, Any]]


class DistinctImagesRow(Base):
    """Two images (first_id < second_id) that look alike and of which somebody said that they are no duplicates."""

    __tablename__ = "distinct_images"

    first_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True)
    second_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True, index=True)
    said_by: Mapped[str] = mapped_column(String(100))
    said_at: Mapped[datetime]
