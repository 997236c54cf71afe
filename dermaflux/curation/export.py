"""Exports chosen images of a dataset as files: checks, runs the format's writer, adds sidecars, card and manifest.

Equal sets of images give equal bytes, unless they are signed. It chooses no image and knows no format's details.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from dermaflux.curation import (
    export_coco,
    export_dicom,
    export_imagefolder,
    export_parquet,
    export_webdataset,
)
from dermaflux.curation.export_card import licence_text, readme
from dermaflux.curation.export_choice import Choice, choose
from dermaflux.curation.export_croissant import CROISSANT, croissant_text
from dermaflux.curation.export_figures import Tally
from dermaflux.curation.export_folder import check_target, new_folder, write_manifest, zip_export
from dermaflux.curation.export_records import ExportFormat, ExportReport, ExportRequest, ExportTools
from dermaflux.curation.export_rows import ExportPlan, ExportRow, export_row
from dermaflux.curation.export_sidecars import (
    SetHash,
    SidecarWriter,
    sidecar_of,
    sidecar_text,
    sidecar_writer,
)
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
    ExportFormat.COCO: export_coco,
}
_SHARDED = (ExportFormat.PARQUET, ExportFormat.WEBDATASET)


def export_dataset(
    store: CurationStore,
    request: ExportRequest,
    on_step: OnStep | None = None,
    tools: ExportTools | None = None,
) -> ExportReport:
    """Write the chosen images to a folder that appears when all is done.

    on_step(done, total) is called after each image, and with done 0 while duplicates are looked for; an exception it
    raises (Cancelled) leaves nothing behind. Raises InvalidRequest (nothing chosen, folder in use, COCO without a
    finder of lesions), DataNotFound (no such dataset, or an image file is gone), ImageNotReadable (an image file was
    changed) or StorageNotWritable.
    """
    tools, told = tools or ExportTools(), on_step or _nobody
    check_target(request.folder)
    if request.format is ExportFormat.COCO and tools.find_lesion is None:
        raise InvalidRequest("COCO needs lesion masks, and no segmenter is at hand. Choose another format.")
    choice = choose(store, request, lambda: told(0, 0))
    plan = ExportPlan(
        dataset=request.dataset.strip(),
        split=request.split,
        num_images=len(choice.taken),
        images_per_shard=request.images_per_shard,
        find_lesion=tools.find_lesion,
    )
    run = _Run(store=store, request=request, plan=plan, choice=choice, tools=tools, told=told)
    with new_folder(request.folder) as folder:
        report = run.write(folder)
    log.info("exported %d images of %s as %s", plan.num_images, plan.dataset, request.format)
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One export on its way."""

    store: CurationStore
    request: ExportRequest
    plan: ExportPlan
    choice: Choice
    tools: ExportTools
    told: OnStep

    def write(self, folder: Path) -> ExportReport:
        """Fill the folder."""
        tally, set_hash, layout = Tally(), SetHash(), self.request.format
        with ExitStack() as stack:
            add = stack.enter_context(sidecar_writer(folder, sharded=layout in _SHARDED))
            _WRITERS[layout].write(self._rows(tally, set_hash, add), folder, self.plan)
        manifest_sha256, num_bytes = self._finish(folder, tally, set_hash.hexdigest())
        return ExportReport(
            folder=self.request.folder,
            format=layout,
            num_images=self.plan.num_images,
            num_bytes=num_bytes,
            manifest_sha256=manifest_sha256,
            set_sha256=set_hash.hexdigest(),
            diagnoses=dict(sorted(tally.diagnoses.items())),
            left_out=self.choice.left_out,
        )

    def _rows(self, tally: Tally, set_hash: SetHash, add: SidecarWriter) -> Iterator[ExportRow]:
        signer = self.tools.signer
        images = self.store.get_many([candidate.image_id for candidate in self.choice.taken])
        for done, (candidate, image) in enumerate(zip(self.choice.taken, images, strict=True), start=1):
            sidecar = sidecar_of(image, candidate, self.choice.judgements.get(candidate.image_id, ()))
            text, png = sidecar_text(sidecar), self.store.read_png(image)
            if signer:
                png = signer.sign(png, f"{image.sha256}.png")
            row = export_row(image, png, self.plan.split, sidecar)
            tally.add(row)
            set_hash.add(text)
            add(row.key, text)
            yield row
            self.told(done, self.plan.num_images)

    def _finish(self, folder: Path, tally: Tally, set_sha256: str) -> tuple[str, int]:
        layout, plan = self.request.format, self.plan
        data_files = _WRITERS[layout].DATA_FILES.format(split=plan.split.value)
        (folder / "README.md").write_text(
            readme(plan, tally, self.choice, layout, data_files), encoding="utf-8"
        )
        (folder / "LICENSE.md").write_text(licence_text(tally), encoding="utf-8")
        if text := croissant_text(folder, plan, tally, layout):
            (folder / CROISSANT).write_text(text, encoding="utf-8")
        facts = {
            "dataset": plan.dataset,
            "format": layout.value,
            "split": plan.split.value,
            "synthetic": True,
            "num_images": plan.num_images,
            "set_sha256": set_sha256,
        }
        if self.tools.signer:
            facts["signed_with_certificate_sha256"] = self.tools.signer.certificate_sha256
        return write_manifest(folder, facts)


def _nobody(done: int, total: int) -> None:
    """Nobody wants to know."""
