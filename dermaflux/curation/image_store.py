"""The part of the store that keeps images: their files, their rows, and pages of them with verdicts.

Short transactions, one a call; records cross the border, ORM objects never do. It makes no decision.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session, sessionmaker

from dermaflux.curation import lookups, paging, queries, rows, visibility
from dermaflux.curation.database import READS_ONLY, lock_writers, storage_errors
from dermaflux.curation.image_pool import ImagePool, sha256_of
from dermaflux.curation.records import MAX_PAGE, ImageFilter, ImagePage
from dermaflux.curation.tables import ImageRow
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.records import Assessment, GeneratedImage, StoredImage
from dermaflux.provenance import Provenance

_IMAGES_A_FETCH = 500


class ImageStore:
    """Image rows in one migrated database, image files in one pool: a folder, or what `open_pool` gives."""

    def __init__(self, engine: Engine, images: Path | ImagePool) -> None:
        self.pool = images if isinstance(images, ImagePool) else ImagePool(Path(images))
        self._engine = engine
        self._write_sessions = sessionmaker(engine, expire_on_commit=False)
        self._read_sessions = sessionmaker(engine.execution_options(**READS_ONLY), expire_on_commit=False)
        self._write_queue = threading.Lock()

    def add_image(
        self, image: bytes | GeneratedImage, assessment: Assessment | None = None, job_id: str | None = None
    ) -> StoredImage:
        """Keep an image: its file first, then its row. The same content again gives the row it has already.

        `image` is a finished sample, or the bytes of a PNG that carries its provenance record.
        Raises ImageNotReadable, DataNotFound (no record) or StorageNotWritable.
        """
        content = rows.image_content(image)
        if known := self._known_image(content):
            return known
        sha256 = sha256_of(content.png)
        path = self.pool.write(content.png, sha256)
        with self._write() as session:
            row = lookups.image_by_content(session, content.content_sha256)
            if row is None:
                row = ImageRow(id=new_id(), sha256=sha256, path=path, job_id=job_id, created_at=datetime.now(UTC))
                rows.fill_content(row, content)
                rows.fill_assessment(row, assessment)
                session.add(row)
        if not self.pool.has(path):  # a purge of the same image took the file before this row was there
            self.pool.write(content.png, sha256)
        return rows.stored_image(row, self.pool)

    def assess(
        self, image_id: str, assessment: Assessment | None = None, memorised: bool | None = None
    ) -> StoredImage:
        """Replace what was found of an image; what is None stays as it is. Raises DataNotFound."""
        with self._write() as session:
            row = lookups.image_row(session, image_id)
            if assessment is not None:
                rows.fill_assessment(row, assessment)
            if memorised is not None:
                row.memorised = memorised
        self.pool.bring_here([row.sha256])
        return rows.stored_image(row, self.pool)

    def mark_memorised(self, image_ids: Sequence[str], copies: Collection[str]) -> None:
        """Note of images that were looked at which of them copy a training picture; those not there are passed over."""
        with self._write() as session:
            for memorised in (True, False):
                some = [image_id for image_id in image_ids if (image_id in copies) is memorised]
                for start in range(0, len(some), _IMAGES_A_FETCH):
                    chosen = ImageRow.id.in_(some[start : start + _IMAGES_A_FETCH])
                    session.execute(update(ImageRow).where(chosen).values(memorised=memorised))

    def get(self, image_id: str, dataset: str | None = None, viewer: str | None = None) -> StoredImage:
        """One image, with the reviewers' common verdict, as far as a viewer may see it, when a dataset is named.

        Raises DataNotFound.
        """
        with self._read() as session:
            lookups.image_row(session, image_id)
            dataset_id = lookups.dataset_row(session, dataset).id if dataset is not None else None
            (image,) = self._images_in(session, [image_id], dataset_id, ImageFilter(viewer=viewer))
        self.pool.bring_here([image.sha256])
        return image

    def drawn_before(self, expected: Provenance) -> StoredImage | None:
        """The image that the same request already gave, by the record it would have; None when it has to be drawn."""
        with self._read() as session:
            candidates = lookups.images_of_drawing(session, rows.storable(expected.caption), expected.seed)
            wanted = expected.drawing_sha256
            row = next((r for r in candidates if Provenance.from_dict(r.generated).drawing_sha256 == wanted), None)
        if row is None or not self.pool.has(row.path):
            return None
        self.pool.bring_here([row.sha256])
        return rows.stored_image(row, self.pool)

    def read_png(self, image: StoredImage | str) -> bytes:
        """The file of an image (or of the one with that id), checked against its hash.

        Raises DataNotFound when it is gone, ImageNotReadable when it was changed.
        """
        found = self.get(image) if isinstance(image, str) else image
        return self.pool.read(Path(found.path), found.sha256)

    def page(
        self,
        dataset: str | None = None,
        filters: ImageFilter | None = None,
        *,
        offset: int = 0,
        after: str | None = None,
        limit: int = 120,
    ) -> ImagePage:
        """A page of the pool with the verdicts of a dataset; `after` (a cursor) is faster than a far offset.

        Raises InvalidRequest for a limit outside 1..500 or a negative offset, DataNotFound for no such dataset.
        """
        if not 1 <= limit <= MAX_PAGE or offset < 0:
            raise InvalidRequest(f"A page holds 1 to {MAX_PAGE} images and begins at 0 or later.")
        filters = filters or ImageFilter()
        with self._read() as session:
            dataset_id = lookups.dataset_row(session, dataset).id if dataset is not None else None
            scope = _scope(session, dataset_id, filters)
            total = session.scalar(queries.number_of(filters, scope)) or 0
            found = session.execute(paging.slice_of(filters, scope, after, offset, limit)).all()
            images = self._images_in(session, [row[0] for row in found], dataset_id, filters)
        self.pool.bring_here(image.sha256 for image in images)  # a network may be slow: no transaction waits for it
        return ImagePage(images=images, total=total, next_after=paging.cursor_of(found, limit))

    def get_many(self, image_ids: Sequence[str]) -> Iterator[StoredImage]:
        """Images in the order given, fetched in batches so that any number fits in memory; the missing are skipped."""
        for start in range(0, len(image_ids), _IMAGES_A_FETCH):
            with self._read() as session:
                images = self._images_in(session, image_ids[start : start + _IMAGES_A_FETCH])
            self.pool.bring_here(image.sha256 for image in images)
            yield from images

    def close(self) -> None:
        """Give the database's files and connections back."""
        self._engine.dispose()

    def _images_in(
        self,
        session: Session,
        image_ids: Sequence[str],
        dataset_id: str | None = None,
        filters: ImageFilter | None = None,
    ) -> tuple[StoredImage, ...]:
        """Some images in the order given, with their verdicts and versions in a dataset; the missing are skipped."""
        filters, verdicts, versions = filters or ImageFilter(), {}, {}
        if (scope := _scope(session, dataset_id, filters)) and dataset_id is not None:
            known = session.execute(queries.verdicts_of(image_ids, scope))
            verdicts = {row.image_id: row.verdict for row in known}
            view = visibility.view_of(session, dataset_id, filters.viewer)
            versions = visibility.versions_of(session, image_ids, dataset_id, view)
        found = {row.id: row for row in session.scalars(select(ImageRow).where(ImageRow.id.in_(image_ids)))}
        return tuple(
            rows.stored_image(found[i], self.pool, verdicts.get(i), versions.get(i, 0)) for i in image_ids if i in found
        )

    def _known_image(self, content: rows.ImageContent) -> StoredImage | None:
        with self._read() as session:
            row = lookups.image_by_content(session, content.content_sha256)
        if row is None:
            return None
        if self.pool.has(row.path):
            self.pool.bring_here([row.sha256])
        else:
            self.pool.write(rows.png_as_first_written(content, row), row.sha256)
        return rows.stored_image(row, self.pool)

    @contextmanager
    def _read(self) -> Iterator[Session]:
        with storage_errors("be read"), self._read_sessions.begin() as session:
            yield session

    @contextmanager
    def _write(self) -> Iterator[Session]:
        with storage_errors("be written"), self._write_queue, self._write_sessions.begin() as session:
            lock_writers(session.connection())
            yield session


def _scope(session: Session, dataset_id: str | None, filters: ImageFilter) -> queries.VerdictScope | None:
    if dataset_id is None:
        return None
    return queries.scope_of(dataset_id, filters.reviewer, visibility.view_of(session, dataset_id, filters.viewer))
