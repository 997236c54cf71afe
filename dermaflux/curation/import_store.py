"""The part of the store that imports write: images with their verdicts, all of them or none.

It checks no export; what comes in has been checked. Records cross the border, ORM objects never do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dermaflux.curation import chain, judgements, lookups, rows, verdicts
from dermaflux.curation.export_store import ExportStore
from dermaflux.curation.image_pool import pool_name
from dermaflux.curation.import_records import IncomingImage, ReadSidecar
from dermaflux.curation.judgements import Judgement
from dermaflux.curation.tables import (
    AdjudicationRow,
    CurrentDecisionRow,
    DatasetRow,
    DecisionRow,
    ImageRow,
)
from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.identifiers import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """What came in: all images, those new to the store, and the decisions added to the chain."""

    num_images: int
    num_new_images: int
    num_decisions: int


class ImportStore(ExportStore):
    """What comes back into a dataset."""

    def take_in(self, dataset: str, images: Iterable[IncomingImage]) -> TakenIn:
        """Keep images with their verdicts in a dataset, made when it is missing: all of them, or none.

        Files are written while the images come, rows and decisions in one transaction at the end; whatever is raised
        on the way (by `images` too) takes the new files away again. Images that are known keep their own assessment.
        Raises InvalidRequest (the name is that of a dataset but for its case), ImageNotReadable, DataNotFound (no
        record in a file) or StorageNotWritable.
        """
        waiting: list[_Waiting] = []
        try:
            for image in images:
                waiting.append(self._written(image))
            with self._write() as session:
                return _add_all(session, dataset, waiting)
        except BaseException:
            self._remove_files([image.path for image in waiting if image.path is not None and image.is_new_file])
            raise

    def _written(self, image: IncomingImage) -> "_Waiting":
        content, sidecar = rows.image_content(image.png), image.sidecar
        with self._read() as session:
            known = lookups.image_by_content(session, content.content_sha256)
        name, is_new_file = None, False
        if known is None or known.sha256 == sidecar.sha256:  # a known image whose file was lost gets it back
            is_new_file = not self.pool.has(pool_name(sidecar.sha256))
            name = self.pool.write(content.png, sidecar.sha256)
        return _Waiting(content=replace(content, png=b""), sidecar=sidecar, path=name, is_new_file=is_new_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """An image whose file is written; path None when the store has its content in another file."""

    content: rows.ImageContent
    sidecar: ReadSidecar
    path: str | None
    is_new_file: bool


def _add_all(session: Session, dataset: str, waiting: Sequence[_Waiting]) -> TakenIn:
    home = _dataset(session, dataset)
    num_new_images = num_decisions = 0
    for image in waiting:
        row = lookups.image_by_content(session, image.content.content_sha256)
        if row is None:
            row = _new_row(image)
            session.add(row)
            session.flush()
            num_new_images += 1
        num_decisions += sum(_decide(session, home.id, row, said) for said in image.sidecar.judgements)
    return TakenIn(num_images=len(waiting), num_new_images=num_new_images, num_decisions=num_decisions)


def _dataset(session: Session, name: str) -> DatasetRow:
    row = session.scalars(select(DatasetRow).where(func.lower(DatasetRow.name) == name.lower())).first()
    if row is not None and row.name != name:
        raise InvalidRequest(f"There is a dataset {row.name!r} already. Choose another name or use that one.")
    if row is None:
        row = DatasetRow(id=new_id(), name=name, owner="", description="", created_at=datetime.now(UTC))
        session.add(row)
        session.flush()
    return row


def _new_row(image: _Waiting) -> ImageRow:
    if image.path is None:
        raise DataNotFound(f"Image {image.sidecar.sha256} was purged while it was taken in. Import again.")
    row = ImageRow(id=new_id(), sha256=image.sidecar.sha256, path=image.path, created_at=datetime.now(UTC))
    rows.fill_content(row, image.content)
    rows.fill_assessment(row, image.sidecar.assessment)
    row.memorised = image.sidecar.memorised
    return row


def _decide(session: Session, dataset_id: str, image: ImageRow, said: Judgement) -> bool:
    if _stands_already(session, dataset_id, image.id, said):
        return False
    event = DecisionRow(
        id=new_id(),
        created_at=datetime.now(UTC),
        reviewer=said.reviewer,
        dataset_id=dataset_id,
        image_id=image.id,
        verdict=said.verdict.value,
        realism=said.realism,
        tags=list(said.tags),
        note=judgements.import_note(said.decided_at),
        adjudicates=said.adjudicates,
    )
    chain.append(session, event, image.sha256)
    verdicts.refresh(session, event)
    return True


def _stands_already(session: Session, dataset_id: str, image_id: str, said: Judgement) -> bool:
    if said.adjudicates:
        settled = session.get(AdjudicationRow, (dataset_id, image_id))
        return settled is not None and settled.verdict == said.verdict.value
    current = session.get(CurrentDecisionRow, (dataset_id, image_id, said.reviewer))
    return current is not None and (current.verdict, current.realism) == (said.verdict.value, said.realism)
