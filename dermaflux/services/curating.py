"""The curation of stored images: datasets, decisions, pages, export. Thin, so that pages never see the store."""

import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermaflux.curation.records import (
    Dataset,
    Decision,
    DecisionRequest,
    ExportFormat,
    ExportReport,
    ExportRequest,
    ImageFilter,
    ImagePage,
    VerdictCounts,
    checked_dataset_name,
)
from dermaflux.domain.lesion import choice
from dermaflux.domain.records import Assessment, StoredImage, Verdict
from dermaflux.services.judging import Judging
from dermaflux.services.records import OnStep
from dermaflux.services.wiring import EXPORTS

if TYPE_CHECKING:
    from PIL import Image

ALL = "all"
UNDECIDED = "undecided"


class Curating(Judging):
    """The store behind plain calls. Raises DataNotFound, InvalidRequest or StorageNotWritable as the store does."""

    def image(self, image_id: str, dataset: str | None = None) -> StoredImage:
        """One stored image, with its verdict when a dataset is named."""
        return self._store().get(image_id, dataset)

    def image_path(self, image_id: str) -> Path:
        """The PNG of a stored image."""
        return Path(self._store().get(image_id).path)

    def stored_picture(self, image_id: str) -> "Image.Image":
        """The pixels of a stored image, the file checked against its hash."""
        from PIL import Image

        with Image.open(io.BytesIO(self._store().read_png(image_id))) as picture:
            return picture.convert("RGB")

    def saliency_overlay(self, image_id: str) -> "Image.Image":
        """Where the classifier looked: a heat map over the stored image, in its size."""
        from dermaflux.classification import overlay

        picture = self.stored_picture(image_id)
        return overlay(picture, self._classifier().saliency(picture))

    def assess(self, image: "str | Image.Image") -> Assessment:
        """Measure and classify a stored image, by its id, or any picture."""
        return super().assess(self.stored_picture(image) if isinstance(image, str) else image)

    def datasets(self) -> tuple[str, ...]:
        """The names of all datasets."""
        return tuple(dataset.name for dataset in self._store().datasets())

    def create_dataset(
        self, name: str, owner: str = "", description: str = "", *, exist_ok: bool = False
    ) -> Dataset:
        """A new, empty dataset; with exist_ok the one of that name when there is one."""
        return self._store().create_dataset(name, owner, description, exist_ok=exist_ok)

    def decide(
        self, dataset: str, image_id: str, reviewer: str, verdict: str, **details: Any
    ) -> StoredImage:
        """Store a verdict; it is safe when this returns. A new dataset is made with its first verdict.

        details: realism 1..5, tags, note. Returns the image with the verdict that all reviewers together come to.
        """
        request = DecisionRequest(
            dataset=checked_dataset_name(dataset),
            image_id=image_id,
            reviewer=reviewer,
            verdict=choice("verdict", verdict, Verdict),
            **details,
        )
        if not self._has_dataset(request.dataset):
            self.image(request.image_id)  # no dataset for a verdict that cannot be
            self.create_dataset(  # another reviewer may be making it at this moment
                request.dataset, owner=request.reviewer, exist_ok=True
            )
        self._store().decide(request)
        return self.image(request.image_id, request.dataset)

    def undo(self, dataset: str, reviewer: str) -> StoredImage:
        """Take back the reviewer's last standing verdict; the image with the verdict it has now."""
        undone = self._store().undo(dataset, reviewer)
        return self.image(undone.image_id, dataset)

    def decisions(self, dataset: str, image_id: str | None = None) -> tuple[Decision, ...]:
        """Every decision of a dataset or of one image in it, oldest first."""
        return self._store().decisions(dataset, image_id)

    def counts(self, dataset: str, reviewer: str | None = None) -> VerdictCounts:
        """How many images stand where; without such a dataset yet, all are undecided."""
        if not self._has_dataset(dataset):
            return VerdictCounts(undecided=self._store().page(limit=1).total)
        return self._store().counts(dataset, reviewer)

    def page(
        self,
        dataset: str,
        *,
        verdict: str = ALL,
        after: str | None = None,
        limit: int = 120,
        filters: ImageFilter | None = None,
    ) -> ImagePage:
        """A page of stored images with the verdicts of a dataset: accept, reject, unsure, undecided or all."""
        filters = filters or ImageFilter()
        if not self._has_dataset(dataset):
            empty = verdict not in (ALL, UNDECIDED)
            return (
                ImagePage(images=(), total=0, next_after=None)
                if empty
                else self._page(None, filters, after, limit)
            )
        if verdict == UNDECIDED:
            filters = replace(filters, undecided=True)
        elif verdict != ALL:
            filters = replace(filters, verdict=choice("verdict", verdict, Verdict))
        return self._page(dataset, filters, after, limit)

    def export(
        self, dataset: str, format: str | ExportFormat, out_dir: Path, on_step: OnStep | None = None
    ) -> ExportReport:
        """Write the accepted images of a dataset into a folder."""
        from dermaflux.curation.export import export_dataset

        request = ExportRequest(dataset=dataset, format=ExportFormat(format), folder=out_dir)
        return export_dataset(self._store(), request, on_step)

    def export_zip(
        self, dataset: str, format: str | ExportFormat, on_step: OnStep | None = None
    ) -> Path:
        """Write the export as one zip under the data folder, for a download."""
        from dermaflux.curation.export import zip_export

        exports = self.prepare_folder(self.settings.data_dir / EXPORTS)
        name = f"{checked_dataset_name(dataset)}-{ExportFormat(format)}"
        with tempfile.TemporaryDirectory(dir=exports, prefix=".") as work:
            report = self.export(dataset, format, Path(work) / name, on_step)
            packed = zip_export(report.folder)
            return packed.replace(exports / packed.name)

    def _page(
        self, dataset: str | None, filters: ImageFilter, after: str | None, limit: int
    ) -> ImagePage:
        return self._store().page(dataset, filters, after=after, limit=limit)

    def _has_dataset(self, name: str) -> bool:
        return name.strip() in self.datasets()
