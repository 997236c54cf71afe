"""Between ORM rows and records: fills image rows from their content, and makes the records that leave.

It opens no session and touches no file.
"""

import io
import math
from dataclasses import dataclass

from PIL import Image

from dermaflux.curation.image_pool import ImagePool
from dermaflux.curation.records import Dataset, Decision
from dermaflux.curation.tables import DatasetRow, DecisionRow, ImageRow
from dermaflux.domain import closeness
from dermaflux.domain.errors import ImageNotReadable
from dermaflux.domain.records import Assessment, GeneratedImage, StoredImage, Verdict
from dermaflux.provenance import Provenance, from_generated, inspect, png_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageContent:
    """A PNG, its size in pixels, and the record inside it."""

    png: bytes
    size_px: tuple[int, int]
    provenance: Provenance

    @property
    def content_sha256(self) -> str:
        """The same for the same pixels made in the same way, whenever they were made."""
        return self.provenance.content_sha256


def image_content(image: bytes | GeneratedImage) -> ImageContent:
    """What is to be stored of a finished sample or of a PNG with a provenance record.

    Raises ImageNotReadable (no image, or pixels changed since) or DataNotFound (no record inside).
    """
    if isinstance(image, GeneratedImage):
        provenance = from_generated(image)
        return ImageContent(png=png_bytes(image.image, provenance), size_px=image.image.size, provenance=provenance)
    found = inspect(image)
    if not found.intact:
        raise ImageNotReadable(
            "The image was edited after it was generated, so its record is no longer true. Use the original."
        )
    return ImageContent(png=image, size_px=found.size_px, provenance=found.provenance)


def png_as_first_written(content: ImageContent, row: ImageRow) -> bytes:
    """The bytes a lost file had: the same pixels, with the record as the row has kept it."""
    with Image.open(io.BytesIO(content.png)) as picture:
        return png_bytes(picture, Provenance.from_dict(row.generated))


def fill_content(row: ImageRow, content: ImageContent) -> None:
    """Set the columns that follow from the image and its record."""
    provenance, spec = content.provenance, content.provenance.spec
    row.content_sha256 = content.content_sha256
    row.width_px, row.height_px = content.size_px
    row.model = provenance.model
    row.caption = storable(provenance.caption)
    row.diagnosis = str(spec.diagnosis) if spec else None
    row.asymmetry = spec.asymmetry if spec else None
    row.border = spec.border if spec else None
    row.num_colours = len(spec.colours) if spec else None
    row.skin_tone = str(spec.skin_tone) if spec and spec.skin_tone else None
    row.generated = provenance.to_dict()


def storable(caption: str) -> str:
    """The caption as a column holds it: no database takes lone surrogates, PostgreSQL no NUL. `generated` has both."""
    return caption.encode("utf-8", "replace").decode().replace("\0", "?")


def fill_assessment(row: ImageRow, assessment: Assessment | None) -> None:
    """Set the columns that follow from measurement and classifier; None means not assessed yet.

    The content must be filled in before: some compare what was found with what was asked for.
    """
    row.assessment = assessment.to_dict() if assessment else {}
    measurement = assessment.measurement if assessment else None
    row.measured_asymmetry = measurement.asymmetry if measurement else None
    row.measured_border = measurement.border if measurement else None
    row.measured_num_colours = measurement.num_colours if measurement else None
    row.malignant_probability = assessment.prediction.malignant if assessment else None
    spec = Provenance.from_dict(row.generated).spec
    row.distance = row.agrees = None
    if assessment and spec:
        found = closeness.distance(spec, assessment)
        row.distance = found if math.isfinite(found) else None
        predicted = assessment.prediction
        if predicted.malignant is not None and predicted.threshold is not None:
            row.agrees = (predicted.malignant >= predicted.threshold) == spec.malignant


def stored_image(row: ImageRow, pool: ImagePool, verdict: str | None = None, version: int = 0) -> StoredImage:
    """The record of an image row; its path is where the file is on this machine."""
    return StoredImage(
        image_id=row.id,
        sha256=row.sha256,
        path=str(pool.path(row.path)),
        job_id=row.job_id,
        created_at=row.created_at.isoformat(),
        generated=row.generated,
        assessment=row.assessment,
        verdict=Verdict(verdict) if verdict else None,
        version=version,
        memorised=row.memorised,
    )


def dataset(row: DatasetRow) -> Dataset:
    """The record of a dataset row."""
    return Dataset(
        name=row.name,
        owner=row.owner,
        description=row.description,
        created_at=row.created_at.isoformat(),
        private=row.private,
        archived=row.archived_at is not None,
    )


def decision(row: DecisionRow, dataset_name: str) -> Decision:
    """The record of an event."""
    return Decision(
        decision_id=row.id,
        sequence=row.sequence,
        created_at=row.created_at.isoformat(),
        reviewer=row.reviewer,
        dataset=dataset_name,
        image_id=row.image_id,
        verdict=Verdict(row.verdict) if row.verdict else None,
        realism=row.realism,
        tags=tuple(row.tags),
        note=row.note,
        undoes=row.undoes,
        previous_hash=row.previous_hash,
        hash=row.hash,
        adjudicates=row.adjudicates,
    )
