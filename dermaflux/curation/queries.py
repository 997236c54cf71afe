"""Turns an `ImageFilter` into SELECT statements over narrow columns, so that a page is fast at 100,000 images.

It reads no pixels, writes nothing, and leaves the wide JSON columns to whoever fetches the few rows of a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, cast, func, select, true, union_all

from dermaflux.curation import disputes
from dermaflux.curation.records import ImageFilter, Order
from dermaflux.curation.tables import CurrentDecisionRow, ImageRow, ImageVerdictRow
from dermaflux.curation.text_search import holds_word
from dermaflux.curation.visibility import Blinded, complete
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.identifiers import first_id_of
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
_EXACT = ("memorised", "agrees", "model", "job_id")


@dataclass(frozen=True, slots=True)
class VerdictScope:
    """Whose verdicts count: columns image_id and verdict, and the condition that picks their rows.

    compared_from: how many reviewers must have judged an image before the viewer may know whether they agree.
    """

    columns: Any
    condition: ColumnElement[bool]
    dataset_id: str
    compared_from: int


def scope_of(dataset_id: str, reviewer: str | None, view: Blinded | None) -> VerdictScope:
    """The verdicts of one reviewer in a dataset, or of all together, as far as the viewer may see them."""
    compared_from = view.reviewers_per_image if view is not None else 2
    if reviewer is None:
        if view is not None:
            return VerdictScope(_shown_to(view), true(), dataset_id, compared_from)
        return VerdictScope(ImageVerdictRow, ImageVerdictRow.dataset_id == dataset_id, dataset_id, compared_from)
    own = (CurrentDecisionRow.dataset_id == dataset_id) & (CurrentDecisionRow.reviewer == reviewer)
    if view is not None and view.viewer != reviewer:
        own &= _is_complete(view)
    return VerdictScope(CurrentDecisionRow, own, dataset_id, compared_from)


def passing(filters: ImageFilter, scope: VerdictScope | None) -> Select[str]:
    """The ids of the images that pass, unsorted. Raises InvalidRequest for a filter that cannot be."""
    conditions = _conditions(filters, scope)
    if scope is None:
        if filters.asks_for_verdicts or filters.undecided or filters.reviewer:
            raise InvalidRequest("Verdicts belong to a dataset. Choose one to filter by verdict, reviewer or realism.")
        return select(ImageRow.id).where(*conditions)
    said = scope.columns
    if filters.verdict is not None or filters.order.by_realism:
        query = select(said.image_id).where(scope.condition)
        if filters.verdict is not None:
            query = query.where(said.verdict == filters.verdict.value)
        if filters.order.by_realism:
            query = query.where(said.realism.is_not(None))
        needed = conditions or filters.order not in (Order.NEWEST, Order.OLDEST)
        return query.join(ImageRow, ImageRow.id == said.image_id).where(*conditions) if needed else query
    if filters.undecided:
        decided = select(said.image_id).where(scope.condition, said.image_id == ImageRow.id).exists()
        conditions.append(~decided)
    return select(ImageRow.id).where(*conditions)


def number_of(filters: ImageFilter, scope: VerdictScope | None) -> Select[int]:
    """How many images pass. Raises as `passing` does.

    The undecided are counted as all less the decided: two walks along an index instead of a look-up for every image.
    """
    if scope is None or not filters.undecided or filters.verdict is not None:
        return _count_of(passing(filters, scope))
    conditions = _conditions(filters, scope)
    decided = select(scope.columns.image_id).where(scope.condition)
    if conditions:
        decided = decided.join(ImageRow, ImageRow.id == scope.columns.image_id).where(*conditions)
    everything = select(ImageRow.id).where(*conditions)
    return select(_count_of(everything).scalar_subquery() - _count_of(decided).scalar_subquery())


def verdicts_of(image_ids: Sequence[str], scope: VerdictScope) -> Select[str, str]:
    """(image_id, verdict) of those of some images that have one."""
    said = scope.columns
    return select(said.image_id, said.verdict).where(scope.condition, said.image_id.in_(image_ids))


def verdict_counts(scope: VerdictScope) -> Select:
    """(verdict, number of images) of one reviewer, or of all together."""
    verdict = scope.columns.verdict
    return select(verdict, func.count().label("number")).where(scope.condition).group_by(verdict)


def diagnosis_counts() -> Select:
    """(requested diagnosis, whether the classifier is on its side, number of images)."""
    by = (ImageRow.diagnosis, ImageRow.agrees)
    return select(*by, func.count().label("number")).group_by(*by)


def accepted(dataset_id: str) -> Select[str]:
    """The ids of the images accepted by all together, by content hash: an order that outlives the database."""
    return (
        select(ImageRow.id)
        .join(ImageVerdictRow, ImageVerdictRow.image_id == ImageRow.id)
        .where(ImageVerdictRow.dataset_id == dataset_id, ImageVerdictRow.verdict == Verdict.ACCEPT.value)
        .order_by(ImageRow.sha256)
    )


def _shown_to(view: Blinded) -> Any:
    """The common verdict where enough reviewers have judged, elsewhere the viewer's own."""
    said = ImageVerdictRow
    common = select(said.image_id, said.verdict, said.realism).where(complete(view))
    # From the unfinished images, which are few, instead of from all that the viewer has judged.
    own = (
        select(
            CurrentDecisionRow.image_id,
            CurrentDecisionRow.verdict,
            cast(CurrentDecisionRow.realism, Float).label("realism"),
        )
        .join(
            ImageVerdictRow,
            (ImageVerdictRow.dataset_id == view.dataset_id) & (ImageVerdictRow.image_id == CurrentDecisionRow.image_id),
        )
        .where(
            ImageVerdictRow.num_reviewers < view.reviewers_per_image,
            CurrentDecisionRow.dataset_id == view.dataset_id,
            CurrentDecisionRow.reviewer == view.viewer,
        )
    )
    return union_all(common, own).subquery("shown").c


def _is_complete(view: Blinded) -> ColumnElement[bool]:
    judged = select(ImageVerdictRow.image_id).where(
        complete(view), ImageVerdictRow.image_id == CurrentDecisionRow.image_id
    )
    return judged.exists()


def _conditions(filters: ImageFilter, scope: VerdictScope | None) -> list[ColumnElement[bool]]:
    conditions = _image_conditions(filters)
    if scope is not None and filters.reviewers_agree is not None:
        found = disputes.compared(scope.dataset_id, scope.compared_from, agree=filters.reviewers_agree)
        conditions.append(ImageRow.id.in_(found))
    return conditions


def _image_conditions(filters: ImageFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.diagnoses:
        conditions.append(ImageRow.diagnosis.in_([d.value for d in filters.diagnoses]))
    for name in _RANGES:
        if limits := getattr(filters, name):
            conditions.append(getattr(ImageRow, name).between(*limits))
    for name in _EXACT:
        if (wanted := getattr(filters, name)) is not None:
            conditions.append(getattr(ImageRow, name) == wanted)
    if filters.skin_tones:
        conditions.append(ImageRow.skin_tone.in_([tone.value for tone in filters.skin_tones]))
    if filters.image_ids is not None:
        conditions.append(ImageRow.id.in_(filters.image_ids))
    conditions += _days(filters)
    conditions += [holds_word(ImageRow.caption, word) for word in filters.text.split()]
    return conditions


def _days(filters: ImageFilter) -> list[ColumnElement[bool]]:
    """Ids are made by the time at which their images are stored, and sort by it."""
    found: list[ColumnElement[bool]] = []
    if filters.made_from is not None:
        found.append(ImageRow.id >= _first_id_on(filters.made_from))
    if filters.made_until is not None and filters.made_until < date.max:
        found.append(ImageRow.id < _first_id_on(filters.made_until + timedelta(days=1)))
    return found


def _first_id_on(day: date) -> str:
    return first_id_of(max(datetime.combine(day, time.min, UTC), datetime.fromtimestamp(0, UTC)))


def _count_of(query: Select[str]) -> Select[int]:
    return query.with_only_columns(func.count(query.selected_columns[0]), maintain_column_froms=True)
