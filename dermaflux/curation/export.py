"""Exports the accepted images of a dataset as files: checks, runs the format's writer, adds card and manifest.

Equal sets of images give equal bytes. It decides nothing about images and knows no format's details.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from dermaflux.curation import (
    export_dicom,
    export_imagefolder,
    export_parquet,
    export_webdataset,
)
from dermaflux.curation.export_card import licence_text, readme
from dermaflux.curation.export_folder import check_target, new_folder, write_manifest, zip_export
from dermaflux.curation.export_rows import ExportPlan, ExportRow, Tally, export_row
from dermaflux.curation.records import ExportFormat, ExportReport, ExportRequest
from dermaflux.curation.store import CurationStore
from dermaflux.domain.errors import InvalidRequest

__all__ = ["export_dataset", "zip_export"]

log = logging.getLogger(__name__)

OnStep = Callable[[int, int], None]
_WRITERS: Mapping[ExportFormat, ModuleType] = {
    ExportFormat.IMAGEFOLDER: export_imagefolder,
    ExportFormat.PARQUET: export_parquet,
    ExportFormat.WEBDATASET: export_webdataset,
    ExportFormat.DICOM: export_dicom,
}


def export_dataset(store: CurationStore, request: ExportRequest, on_step: OnStep | None = None) -> ExportReport:
    """Write the accepted images to a folder that appears when all is done.

    on_step(done, total) is called after each image; an exception it raises (Cancelled) leaves nothing behind.
    Raises InvalidRequest (nothing accepted, folder in use), DataNotFound (no such dataset, or an image file is
    gone), ImageNotReadable (an image file was changed) or StorageNotWritable.
    """
    check_target(request.folder)
    image_ids, left_out = _chosen(store, request)
    plan = ExportPlan(
        dataset=request.dataset.strip(),
        split=request.split,
        num_images=len(image_ids),
        images_per_shard=request.images_per_shard,
    )
    tally, writer = Tally(), _WRITERS[request.format]
    with new_folder(request.folder) as folder:
        writer.write(_rows(store, image_ids, plan, tally, on_step), folder, plan)
        manifest_sha256, num_bytes = _finish(folder, request, plan, tally)
    log.info("exported %d images of %s as %s", plan.num_images, plan.dataset, request.format)
    return ExportReport(
        folder=request.folder,
        format=request.format,
        num_images=plan.num_images,
        num_bytes=num_bytes,
        manifest_sha256=manifest_sha256,
        diagnoses=dict(sorted(tally.diagnoses.items())),
        left_out=left_out,
    )


def _chosen(store: CurationStore, request: ExportRequest) -> tuple[Sequence[str], Mapping[str, int]]:
    accepted = store.accepted_ids(request.dataset)
    if not accepted:
        raise InvalidRequest(
            f"No image of {request.dataset!r} is accepted yet, so there is nothing to export. Accept some first."
        )
    chosen = store.accepted_ids(request.dataset, include_memorised=request.include_memorised)
    if not chosen:
        raise InvalidRequest(
            f"All {len(accepted)} accepted images of {request.dataset!r} are too close to training images. "
            "Accept others, or ask for memorised images to be included."
        )
    memorised = len(accepted) - len(chosen)
    return chosen, {"memorised": memorised} if memorised else {}


def _rows(
    store: CurationStore, image_ids: Sequence[str], plan: ExportPlan, tally: Tally, on_step: OnStep | None
) -> Iterator[ExportRow]:
    for done, image in enumerate(store.get_many(image_ids), start=1):
        row = export_row(image, store.read_png(image), plan.split)
        tally.add(row)
        yield row
        if on_step:
            on_step(done, plan.num_images)


def _finish(folder: Path, request: ExportRequest, plan: ExportPlan, tally: Tally) -> tuple[str, int]:
    data_files = _WRITERS[request.format].DATA_FILES.format(split=plan.split.value)
    (folder / "README.md").write_text(readme(plan, tally, request.format, data_files), encoding="utf-8")
    (folder / "LICENSE.md").write_text(licence_text(tally), encoding="utf-8")
    facts = {
        "dataset": plan.dataset,
        "format": request.format.value,
        "split": plan.split.value,
        "synthetic": True,
        "num_images": plan.num_images,
    }
    return write_manifest(folder, facts)
