"""The part of the store behind the grid: ids of a filter, own verdicts, choices, saved filters, counts for boards.

Short transactions, one a call; records cross the border, ORM objects never do. It makes no decision.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

from sqlalchemy import delete, func, null, select

from dermaflux.curation import lookups, paging, queries, visibility
from dermaflux.curation.grid_records import (
    MAX_FILTER_NAME_CHARS,
    MAX_SAVED_FILTERS,
    BoardCounts,
    CellCount,
    GridChoices,
    OwnVerdict,
    SavedFilter,
)
from dermaflux.curation.image_store import ImageStore
from dermaflux.curation.records import ImageFilter, VerdictCounts
from dermaflux.curation.retention import parts
from dermaflux.curation.tables import (
    CurrentDecisionRow,
    DecisionRow,
    DistinctImagesRow,
    ImageRow,
    SavedFilterRow,
)
from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.records import StoredImage, Verdict

_LATEST_TAGGED = 2000


class GridStore(ImageStore):
    """What the grid reads and remembers beside images and decisions."""

    def matching_ids(self, dataset: str | None, filters: ImageFilter, limit: int) -> tuple[str, ...]:
        """The first images that pass, in the filter's order. Raises as `page` does."""
        with self._read() as session:
            dataset_id = lookups.dataset_row(session, dataset).id if dataset is not None else None
            view = visibility.view_of(session, dataset_id, filters.viewer)
            scope = queries.scope_of(dataset_id, filters.reviewer, view) if dataset_id is not None else None
            return tuple(session.scalars(paging.slice_of(filters, scope, None, 0, limit)))

    def images_now(self, dataset: str, viewer: str, image_ids: Sequence[str]) -> Mapping[str, StoredImage]:
        """Images by id as a viewer may see them in a dataset; those that are gone are left out. Raises DataNotFound."""
        with self._read() as session:
            dataset_id, filters = lookups.dataset_row(session, dataset).id, ImageFilter(viewer=viewer)
            found = [
                one for some in parts(image_ids) for one in self._images_in(session, some, dataset_id, filters)
            ]
        return {image.image_id: image for image in found}

    def own_verdicts(self, dataset: str, reviewer: str, image_ids: Sequence[str]) -> Mapping[str, OwnVerdict]:
        """What a reviewer's standing decisions say of some images, by image id. Raises DataNotFound."""
        current, said = CurrentDecisionRow, DecisionRow
        with self._read() as session:
            dataset_id = lookups.dataset_row(session, dataset).id
            query = (
                select(said.image_id, said.verdict, said.realism, said.tags, said.note)
                .join(current, current.decision_id == said.id)
                .where(current.dataset_id == dataset_id, current.reviewer == reviewer)
            )
            found = [
                row for some in parts(image_ids) for row in session.execute(query.where(current.image_id.in_(some)))
            ]
        return {
            row.image_id: OwnVerdict(
                verdict=Verdict(row.verdict), realism=row.realism, tags=tuple(row.tags), note=row.note
            )
            for row in found
        }

    def grid_choices(self, dataset: str | None, viewer: str) -> GridChoices:
        """What a viewer may filter a dataset by. In a blinded dataset other reviewers are not named."""
        with self._read() as session:
            models = tuple(session.scalars(select(ImageRow.model).distinct().order_by(ImageRow.model)))
            if dataset is None:
                return GridChoices(models=models, reviewers=(), tags=())
            dataset_id = lookups.dataset_row(session, dataset).id
            current, said = CurrentDecisionRow, DecisionRow
            known = select(current.reviewer).where(current.dataset_id == dataset_id).distinct()
            tagged = select(said.tags).where(said.dataset_id == dataset_id, said.verdict.is_not(None))
            if visibility.view_of(session, dataset_id, viewer) is not None:
                known, tagged = known.where(current.reviewer == viewer), tagged.where(said.reviewer == viewer)
            reviewers = tuple(session.scalars(known.order_by(current.reviewer)))
            latest = session.scalars(tagged.order_by(said.sequence.desc()).limit(_LATEST_TAGGED))
            tags = Counter(tag for some in latest for tag in some)
        return GridChoices(models=models, reviewers=reviewers, tags=tuple(tag for tag, _ in tags.most_common()))

    def saved_filters(self, owner: str) -> tuple[SavedFilter, ...]:
        """A user's own filters by name."""
        query = select(SavedFilterRow).where(SavedFilterRow.owner == owner).order_by(SavedFilterRow.name)
        with self._read() as session:
            return tuple(SavedFilter(name=row.name, words=row.words) for row in session.scalars(query))

    def save_filter(self, owner: str, name: str, words: Mapping[str, Any]) -> None:
        """Keep a filter under a name, in place of the one that had it. Raises InvalidRequest for name or number."""
        name = name.strip()
        if not 0 < len(name) <= MAX_FILTER_NAME_CHARS or not name.isprintable():
            raise InvalidRequest(f"A filter needs a name of 1 to {MAX_FILTER_NAME_CHARS} printable characters.")
        mine = select(SavedFilterRow).where(SavedFilterRow.owner == owner)
        with self._write() as session:
            row = session.scalars(mine.where(SavedFilterRow.name == name)).first()
            if row is None:
                if (session.scalar(select(func.count()).select_from(mine.subquery())) or 0) >= MAX_SAVED_FILTERS:
                    raise InvalidRequest(f"{MAX_SAVED_FILTERS} filters are saved already. Delete one first.")
                row = SavedFilterRow(id=new_id(), owner=owner, name=name)
                session.add(row)
            row.words = dict(words)

    def delete_filter(self, owner: str, name: str) -> None:
        """Forget a user's filter. Raises DataNotFound."""
        mine = (SavedFilterRow.owner == owner) & (SavedFilterRow.name == name)
        with self._write() as session:
            if not session.execute(delete(SavedFilterRow).where(mine).returning(SavedFilterRow.id)).all():
                raise DataNotFound(f"There is no saved filter {name!r} of {owner}. Reload the page.")

    def say_distinct(self, image_ids: Iterable[str], said_by: str) -> None:
        """Remember that no two of these images are duplicates. Raises DataNotFound for an image that is not there."""
        image_ids = sorted(set(image_ids))
        with self._write() as session:
            for image_id in image_ids:
                lookups.image_sha256(session, image_id)
            for first, second in combinations(image_ids, 2):
                session.merge(
                    DistinctImagesRow(first_id=first, second_id=second, said_by=said_by, said_at=datetime.now(UTC))
                )

    def unsay_distinct(self, image_ids: Iterable[str], said_by: str) -> None:
        """Forget what one said of pairs among these images."""
        pair, ids = DistinctImagesRow, list(image_ids)
        with self._write() as session:
            session.execute(
                delete(pair).where(pair.said_by == said_by, pair.first_id.in_(ids), pair.second_id.in_(ids))
            )

    def distinct_pairs(self, image_ids: Sequence[str]) -> frozenset[tuple[str, str]]:
        """The pairs among these images of which somebody said so, each in ascending order."""
        wanted, pair = set(image_ids), DistinctImagesRow
        with self._read() as session:
            found = session.execute(select(pair.first_id, pair.second_id)).all()
        return frozenset((a, b) for a, b in found if a in wanted and b in wanted)

    def board_counts(self, dataset: str | None, viewer: str, *, compared: bool) -> BoardCounts:
        """How many images the filters of the virtual boards let pass, as far as a viewer may see it, as of one moment.

        compared: also on how many reviewers disagree. Without a dataset nobody has judged anything.
        """
        with self._read() as session:
            made = session.execute(queries.diagnosis_counts()).all()
            verdicts: dict[str, int] = {}
            disagreeing = 0
            if dataset is not None:
                dataset_id = lookups.dataset_row(session, dataset).id
                scope = queries.scope_of(dataset_id, None, visibility.view_of(session, dataset_id, viewer))
                verdicts = {row.verdict: row.number for row in session.execute(queries.verdict_counts(scope))}
                if compared:
                    disagreeing = session.scalar(queries.number_of(ImageFilter(reviewers_agree=False), scope)) or 0
        diagnoses: Counter[str] = Counter()
        for row in made:
            diagnoses[row.diagnosis] += row.number
        return BoardCounts(
            verdicts=VerdictCounts(**verdicts, undecided=diagnoses.total() - sum(verdicts.values())),
            diagnoses={name: number for name, number in diagnoses.items() if name is not None},
            classifier_disagrees=sum(row.number for row in made if row.agrees is False),
            reviewers_disagree=disagreeing if compared else None,
        )

    def cell_counts(self, dataset: str | None, attribute: str, viewer: str) -> tuple[CellCount, ...]:
        """Images by diagnosis, measured value of an attribute, requested skin tone and standing in a dataset.

        attribute: asymmetry, border or num_colours. Without a dataset nobody has judged anything.
        """
        column = ImageRow.__table__.c[f"measured_{attribute}"]
        value = func.round(column * 10) / 10.0  # some hundred cells instead of one an image
        with self._read() as session:
            verdict: Any = null()
            query = select(ImageRow.diagnosis, value, ImageRow.skin_tone)
            if dataset is not None:
                dataset_id = lookups.dataset_row(session, dataset).id
                scope = queries.scope_of(dataset_id, None, visibility.view_of(session, dataset_id, viewer))
                said = select(scope.columns.image_id, scope.columns.verdict).where(scope.condition).subquery()
                verdict, query = said.c.verdict, query.outerjoin(said, said.c.image_id == ImageRow.id)
            by = [ImageRow.diagnosis, value, ImageRow.skin_tone, *([verdict] if dataset is not None else [])]
            found = session.execute(query.add_columns(verdict, func.count()).group_by(*by)).all()
        return tuple(
            CellCount(diagnosis=row[0], level=row[1], skin_tone=row[2], verdict=Verdict(row[3]) if row[3] else None,
                      number=row[4])
            for row in found
        )  # fmt: skip
