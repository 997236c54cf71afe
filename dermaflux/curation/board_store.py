"""The part of the store that keeps the datasets themselves: made, changed, archived, and who may see them.

Short transactions, one a call. Who is asking and whether they may is decided by the caller.
"""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dermaflux.curation import lookups, rows
from dermaflux.curation.image_store import ImageStore
from dermaflux.curation.records import MAX_NOTE_CHARS, Dataset, checked_dataset_name
from dermaflux.curation.tables import DatasetRow
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.identifiers import new_id


class BoardStore(ImageStore):
    """Datasets by name."""

    def create_dataset(
        self, name: str, owner: str = "", description: str = "", *, private: bool = False, exist_ok: bool = False
    ) -> Dataset:
        """A new, empty dataset; with exist_ok the one of that very name when there is one.

        Raises InvalidRequest for a bad name or one that is taken (case does not count).
        """
        name = checked_dataset_name(name)
        with self._write() as session:
            taken = _alike(session, name)
            if taken is not None and exist_ok and taken.name == name:
                return rows.dataset(taken)
            _check_free(taken)
            row = DatasetRow(
                id=new_id(), name=name, owner=owner, description=_checked_text(description),
                created_at=datetime.now(UTC), private=private,
            )  # fmt: skip
            session.add(row)
        return rows.dataset(row)

    def datasets(self) -> tuple[Dataset, ...]:
        """All datasets by name."""
        with self._read() as session:
            return tuple(rows.dataset(row) for row in session.scalars(select(DatasetRow).order_by(DatasetRow.name)))

    def dataset(self, name: str) -> Dataset | None:
        """The dataset of that name, None when there is none."""
        with self._read() as session:
            row = session.scalars(select(DatasetRow).where(DatasetRow.name == name.strip())).first()
            return rows.dataset(row) if row else None

    def change_dataset(
        self,
        name: str,
        *,
        new_name: str | None = None,
        description: str | None = None,
        private: bool | None = None,
        archived: bool | None = None,
    ) -> Dataset:
        """Change what is not None; decisions stay. Raises DataNotFound, InvalidRequest as `create_dataset`."""
        wanted = None if new_name is None else checked_dataset_name(new_name)
        with self._write() as session:
            row = lookups.dataset_row(session, name)
            if wanted is not None and wanted != row.name:
                taken = _alike(session, wanted)
                _check_free(None if taken is row else taken)  # only the case changes
                row.name = wanted
            if description is not None:
                row.description = _checked_text(description)
            if private is not None:
                row.private = private
            if archived is not None and archived != (row.archived_at is not None):
                row.archived_at = datetime.now(UTC) if archived else None
        return rows.dataset(row)


def _alike(session: Session, name: str) -> DatasetRow | None:
    return session.scalars(select(DatasetRow).where(func.lower(DatasetRow.name) == name.lower())).first()


def _check_free(taken: DatasetRow | None) -> None:
    if taken is not None:
        known = "that name" if taken.private else repr(taken.name)
        raise InvalidRequest(f"There is a dataset {known} already. Choose another name or use that one.")


def _checked_text(description: str) -> str:
    if len(description) > MAX_NOTE_CHARS:
        raise InvalidRequest(f"The description is longer than {MAX_NOTE_CHARS} characters. Shorten it.")
    return description.encode("utf-8", "replace").decode().replace("\0", "?").strip()
