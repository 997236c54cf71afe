"""Turns an `ImageFilter` into SELECT statements over narrow columns, so that a page is fast at 100,000 images.

It reads no pixels, writes nothing, and leaves the wide JSON columns to whoever fetches the few rows of a page.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from dermaflux.curation.records import ImageFilter, Order
from dermaflux.curation.tables import CurrentDecisionRow, ImageRow, ImageVerdictRow
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Verdict

_RANGES = (
    "asymmetry",
    "border",
    "num_colours",
    "measured_asymmetry",
    "measured_border",
    "measured_num_colours",
    "malignant_probability",
)


def passing(filters: ImageFilter, dataset_id: str | None) -> Select[str]:
    """The ids of the images that pass, unsorted. Raises InvalidRequest for a filter that cannot be."""
    conditions = _image_conditions(filters)
    if dataset_id is None:
        if filters.verdict or filters.undecided or filters.reviewer:
            raise InvalidRequest("Verdicts belong to a dataset. Choose one to filter by verdict or reviewer.")
        return select(ImageRow.id).where(*conditions)
    table, scope = _verdict_scope(filters, dataset_id)
    if filters.verdict is not None:
        query = select(table.image_id).where(scope, table.verdict == filters.verdict.value)
        return query.join(ImageRow, ImageRow.id == table.image_id).where(*conditions) if conditions else query
    if filters.undecided:
        decided = select(table.image_id).where(scope, table.image_id == ImageRow.id).exists()
        conditions.append(~decided)
    return select(ImageRow.id).where(*conditions)


def slice_of(query: Select[str], order: Order, after: str | None, offset: int, limit: int) -> Select[str]:
    """A stretch of `passing` in the order asked for; `after` is the last id of the page before."""
    key = query.selected_columns[0]
    newest = order is Order.NEWEST
    if after is not None:
        query = query.where(key < after if newest else key > after)
    return query.order_by(key.desc() if newest else key.asc()).offset(offset).limit(limit)


def number_of(filters: ImageFilter, dataset_id: str | None) -> Select[int]:
    """How many images pass. Raises as `passing` does.

    The undecided are counted as all less the decided: two walks along an index instead of a look-up for every image.
    """
    if dataset_id is None or not filters.undecided or filters.verdict is not None:
        return _count_of(passing(filters, dataset_id))
    table, scope = _verdict_scope(filters, dataset_id)
    conditions = _image_conditions(filters)
    decided = select(table.image_id).where(scope)
    if conditions:
        decided = decided.join(ImageRow, ImageRow.id == table.image_id).where(*conditions)
    everything = select(ImageRow.id).where(*conditions)
    return select(_count_of(everything).scalar_subquery() - _count_of(decided).scalar_subquery())


def verdicts_of(image_ids: Sequence[str], filters: ImageFilter, dataset_id: str) -> Select[str, str]:
    """(image_id, verdict) of those of some images that have one."""
    table, scope = _verdict_scope(filters, dataset_id)
    return select(table.image_id, table.verdict).where(scope, table.image_id.in_(image_ids))


def verdict_counts(dataset_id: str, reviewer: str | None) -> Select:
    """(verdict, number of images) of one reviewer, or of all together."""
    table, scope = _verdict_scope(ImageFilter(reviewer=reviewer), dataset_id)
    return select(table.verdict, func.count().label("number")).where(scope).group_by(table.verdict)


def accepted(dataset_id: str, include_memorised: bool) -> Select[str]:
    """The ids of the images accepted by all together, by content hash: an order that outlives the database."""
    query = (
        select(ImageRow.id)
        .join(ImageVerdictRow, ImageVerdictRow.image_id == ImageRow.id)
        .where(ImageVerdictRow.dataset_id == dataset_id, ImageVerdictRow.verdict == Verdict.ACCEPT.value)
        .order_by(ImageRow.sha256)
    )
    return query if include_memorised else query.where(ImageRow.memorised.is_not(True))


def _verdict_scope(filters: ImageFilter, dataset_id: str) -> tuple[Any, ColumnElement[bool]]:
    if filters.reviewer is None:
        return ImageVerdictRow, ImageVerdictRow.dataset_id == dataset_id
    own = (CurrentDecisionRow.dataset_id == dataset_id) & (CurrentDecisionRow.reviewer == filters.reviewer)
    return CurrentDecisionRow, own


def _image_conditions(filters: ImageFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.diagnoses:
        conditions.append(ImageRow.diagnosis.in_([d.value for d in filters.diagnoses]))
    for name in _RANGES:
        if limits := getattr(filters, name):
            conditions.append(getattr(ImageRow, name).between(*limits))
    if filters.memorised is not None:
        conditions.append(ImageRow.memorised.is_(filters.memorised))
    if filters.model is not None:
        conditions.append(ImageRow.model == filters.model)
    if filters.job_id is not None:
        conditions.append(ImageRow.job_id == filters.job_id)
    conditions += [ImageRow.caption.icontains(word, autoescape=True) for word in filters.text.split()]
    return conditions


def _count_of(query: Select[str]) -> Select[int]:
    return query.with_only_columns(func.count(query.selected_columns[0]), maintain_column_froms=True)
