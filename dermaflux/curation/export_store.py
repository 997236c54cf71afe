"""The part of the store that exports read: candidates and standing verdicts.

Short transactions, one a call; records cross the border, ORM objects never do. It writes no file of an export.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from dermaflux.curation import judgements, lookups
from dermaflux.curation.judgements import Judgement
from dermaflux.curation.retention_store import RetentionStore
from dermaflux.curation.tables import ImageRow, ImageVerdictRow
from dermaflux.domain.records import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An image with a verdict, as far as the choice of an export needs it."""

    image_id: str
    sha256: str
    diagnosis: str | None
    memorised: bool | None
    verdict: Verdict


class ExportStore(RetentionStore):
    """What leaves a dataset."""

    def candidates(self, dataset: str) -> tuple[Candidate, ...]:
        """All images with a verdict in a dataset, ordered by content hash: an order that outlives the database.

        Raises DataNotFound.
        """
        columns = (ImageRow.id, ImageRow.sha256, ImageRow.diagnosis, ImageRow.memorised, ImageVerdictRow.verdict)
        with self._read() as session:
            dataset_id = lookups.dataset_row(session, dataset).id
            query = (
                select(*columns)
                .join(ImageVerdictRow, ImageVerdictRow.image_id == ImageRow.id)
                .where(ImageVerdictRow.dataset_id == dataset_id)
                .order_by(ImageRow.sha256)
            )
            return tuple(
                Candidate(
                    image_id=row.id,
                    sha256=row.sha256,
                    diagnosis=row.diagnosis,
                    memorised=row.memorised,
                    verdict=Verdict(row.verdict),
                )
                for row in session.execute(query)
            )

    def judgements(self, dataset: str) -> Mapping[str, tuple[Judgement, ...]]:
        """The standing verdicts of a dataset by image id, under pseudonyms. Raises DataNotFound."""
        found: dict[str, list[Judgement]] = defaultdict(list)
        with self._read() as session:
            for image_id, judgement in judgements.standing(session, lookups.dataset_row(session, dataset).id):
                found[image_id].append(judgement)
        return {image_id: tuple(said) for image_id, said in found.items()}
