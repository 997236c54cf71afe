"""The curation of stored images: datasets, decisions, pages. Thin, so that pages never see the store."""

import io
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermaflux.curation.records import (
    Dataset,
    Decision,
    DecisionRequest,
    ImageFilter,
    ImagePage,
    VerdictCounts,
    checked_dataset_name,
)
from dermaflux.domain.lesion import ExplainedSide, choice
from dermaflux.domain.records import Assessment, StoredImage, Verdict
from dermaflux.services.deduplicating import Deduplicating
from dermaflux.services.filtering import ALL, UNDECIDED
from dermaflux.services.records import Explanation, OnStep

if TYPE_CHECKING:
    from PIL import Image

    from dermaflux.services.real_import import RealImportReport

REAL = "real"  # in the data folder: sets of real pictures, for comparison only; never served


class Curating(Deduplicating):
    """The store behind plain calls. Raises DataNotFound, InvalidRequest or StorageNotWritable as the store does."""

    def image(self, image_id: str, dataset: str | None = None, viewer: str | None = None) -> StoredImage:
        """One stored image, with its verdict when a dataset is named, as far as a viewer may see it."""
        return self._store().get(image_id, dataset, viewer)

    def image_path(self, image_id: str) -> Path:
        """The PNG of a stored image."""
        return Path(self._store().get(image_id).path)

    def stored_picture(self, image_id: str) -> "Image.Image":
        """The pixels of a stored image, the file checked against its hash."""
        from PIL import Image

        with Image.open(io.BytesIO(self._store().read_png(image_id))) as picture:
            return picture.convert("RGB")

    def explain_stored(self, image_id: str, side: ExplainedSide = "predicted") -> Explanation:
        """What speaks for a side on a stored image. Raises InvalidRequest when it is the requested one of free text."""
        return self.explain(self.stored_picture(image_id), side, self.image(image_id).requested)

    def explain_both_sides(self, image_id: str) -> tuple[Explanation, ...]:
        """The side that was requested of a stored image, and when it differs, the predicted one behind it."""
        picture, spec = self.stored_picture(image_id), self.image(image_id).requested
        first = self.explain(picture, "requested" if spec else "predicted", spec)
        if first.side == first.predicted:
            return (first,)
        return first, self.explain(picture, "predicted", spec)

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

        details: realism 1..5, tags, note; expected_version, the version of the image that the reviewer saw, or
        StaleDecision is raised; request_id, with which a request sent again is stored once. Returns the image with the
        verdict that all reviewers together come to, as far as this one may see it.
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
        return self.image(request.image_id, request.dataset, request.reviewer)

    def undo(self, dataset: str, reviewer: str) -> StoredImage:
        """Take back the reviewer's last standing verdict; the image with the verdict it has now."""
        undone = self._store().undo(dataset, reviewer)
        return self.image(undone.image_id, dataset, undone.reviewer)

    def import_real(self, source: Path, name: str, on_step: OnStep | None = None) -> "RealImportReport":
        """Take a user's own real pictures in, for comparison only, into a private folder that is never served.

        Raises as `real_import.import_real` does, InvalidRequest also for a name that cannot be.
        """
        from dermaflux.services.real_import import import_real

        folder = self.prepare_folder(self.settings.data_dir / REAL)
        return import_real(source, folder / checked_dataset_name(name), on_step)

    def accepted_ids(self, dataset: str) -> tuple[str, ...]:
        """The images that all reviewers together accept, in the order of an export. Raises DataNotFound."""
        return self._store().accepted_ids(dataset)

    def mark_memorised(self, image_ids: Sequence[str], copies: Collection[str]) -> None:
        """Note which of some images copy a training picture; exports leave these behind unless asked for."""
        self._store().mark_memorised(image_ids, copies)

    def decisions(
        self, dataset: str, image_id: str | None = None, viewer: str | None = None
    ) -> tuple[Decision, ...]:
        """Every decision of a dataset or of one image in it, oldest first, as far as a viewer may see it."""
        return self._store().decisions(dataset, image_id, viewer)

    def counts(
        self, dataset: str, reviewer: str | None = None, viewer: str | None = None
    ) -> VerdictCounts:
        """How many images stand where, as far as a viewer may see it; without such a dataset yet, all are undecided."""
        if not self._has_dataset(dataset):
            return VerdictCounts(undecided=self._store().page(limit=1).total)
        return self._store().counts(dataset, reviewer, viewer)

    def page(
        self,
        dataset: str,
        *,
        verdict: str = ALL,
        after: str | None = None,
        limit: int = 120,
        filters: ImageFilter | None = None,
        viewer: str | None = None,
    ) -> ImagePage:
        """A page of stored images with the verdicts of a dataset: accept, reject, unsure, undecided or all.

        In a blinded dataset a viewer sees others' verdicts only where enough are in.
        """
        filters = filters or ImageFilter()
        if viewer is not None:
            filters = replace(filters, viewer=viewer)
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

    def _page(
        self, dataset: str | None, filters: ImageFilter, after: str | None, limit: int
    ) -> ImagePage:
        return self._store().page(dataset, filters, after=after, limit=limit)

    def _has_dataset(self, name: str) -> bool:
        return self._store().dataset(name) is not None
