"""Finds one row by what a caller names it, or says what there is instead. It writes nothing."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from dermaflux.curation.tables import DatasetRow, ImageRow
from dermaflux.domain.errors import DataNotFound


def image_row(session: Session, image_id: str) -> ImageRow:
    """The image with that id. Raises DataNotFound."""
    row = session.get(ImageRow, image_id)
    if row is None:
        raise DataNotFound(f"There is no image {image_id!r}. Reload the page.")
    return row


def image_sha256(session: Session, image_id: str) -> str:
    """The content hash of an image, without its wide columns. Raises DataNotFound."""
    sha256 = session.scalar(select(ImageRow.sha256).where(ImageRow.id == image_id))
    return sha256 if sha256 is not None else image_row(session, image_id).sha256


def image_by_content(session: Session, content_sha256: str) -> ImageRow | None:
    """The image with that content, whenever it was made."""
    return session.scalars(select(ImageRow).where(ImageRow.content_sha256 == content_sha256)).first()


def images_of_drawing(session: Session, caption: str, seed: int) -> Sequence[ImageRow]:
    """The images drawn from that caption, as it is stored, and seed: one for each setting and model that was tried."""
    asked = ImageRow.generated["seed"].as_integer() == seed
    return session.scalars(select(ImageRow).where(ImageRow.caption == caption, asked)).all()


def dataset_row(session: Session, name: str) -> DatasetRow:
    """The dataset of that name. Raises DataNotFound naming those there are, but private ones to nobody."""
    row = session.scalars(select(DatasetRow).where(DatasetRow.name == name.strip())).first()
    if row is None:
        shared = select(DatasetRow.name).where(~DatasetRow.private).order_by(DatasetRow.name)
        known = session.scalars(shared.limit(10)).all()
        have = f"There are: {', '.join(known)}." if known else "There is none yet; create one first."
        raise DataNotFound(f"There is no dataset {name!r}. {have}")
    return row
