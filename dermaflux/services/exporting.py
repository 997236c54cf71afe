"""What leaves a dataset and comes back: exports, archives, checks of files. Thin, so that pages never see the store."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermaflux.curation.export_records import (
    ExportFormat,
    ExportReport,
    ExportRequest,
    ExportTools,
    ImportReport,
)
from dermaflux.curation.records import checked_dataset_name
from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.services.curating import Curating
from dermaflux.services.records import OnStep
from dermaflux.services.unpacking import unpack
from dermaflux.services.wiring import EXPORTS

if TYPE_CHECKING:
    from dermaflux.curation.file_check import FileCheck

_CHECKED = (".png", ".dcm")


class Exporting(Curating):
    """Exports behind plain calls. Raises InvalidRequest, DataNotFound or StorageNotWritable as the writers do."""

    def export(
        self,
        dataset: str,
        format: str | ExportFormat,
        out_dir: Path,
        on_step: OnStep | None = None,
        **choice: Any,
    ) -> ExportReport:
        """Write images of a dataset into a folder; without a `choice` (fields of ExportRequest) those accepted.

        What is exported is signed when the settings name a certificate and a key.
        """
        from dermaflux.curation.export import export_dataset

        request = ExportRequest(dataset=dataset, format=ExportFormat(format), folder=out_dir, **choice)
        return export_dataset(self._store(), request, on_step, self._export_tools(request.format))

    def export_zip(
        self, dataset: str, format: str | ExportFormat, on_step: OnStep | None = None, **choice: Any
    ) -> Path:
        """Write the export as one zip under the data folder, for a download."""
        from dermaflux.curation.export import zip_export

        exports = self.prepare_folder(self.settings.data_dir / EXPORTS)
        name = f"{checked_dataset_name(dataset)}-{ExportFormat(format)}"
        with tempfile.TemporaryDirectory(dir=exports, prefix=".") as work:
            report = self.export(dataset, format, Path(work) / name, on_step, **choice)
            packed = zip_export(report.folder)
            if on_step is not None:  # whoever stopped it while it was packed gets nothing
                on_step(report.num_images, report.num_images)
            return packed.replace(exports / packed.name)

    def push(self, folder: Path, repository: str, *, public: bool = False) -> str:
        """Upload an exported folder to a dataset repository of the hub; its address."""
        from dermaflux.curation.export_push import push_to_hub

        return push_to_hub(folder, repository, public=public)

    def import_export(self, folder: Path, dataset: str, on_step: OnStep | None = None) -> ImportReport:
        """Take an exported folder back in: the same images, with their verdicts as new decisions, or nothing."""
        from dermaflux.curation.import_export import import_export

        return import_export(self._store(), folder, dataset, on_step)

    def import_zip(self, archive: Path, dataset: str, on_step: OnStep | None = None) -> ImportReport:
        """The same from a zip of one. Raises also InvalidRequest for a zip that is damaged or unpacks too large."""
        work = self.prepare_folder(self.settings.data_dir / EXPORTS)
        with tempfile.TemporaryDirectory(dir=work, prefix=".") as name:
            folder = unpack(archive, Path(name))
            try:
                return self.import_export(folder, dataset, on_step)
            except (DataNotFound, InvalidRequest) as error:  # whoever sent the zip knows it by its own name
                raise type(error)(str(error).replace(str(folder), archive.name)) from error

    def check_files(self, paths: Iterable[Path]) -> "Iterator[FileCheck]":
        """What each file says of itself and whether it is true; a folder stands for its .png and .dcm files.

        Raises DataNotFound or InvalidRequest before the first file when a path leads nowhere.
        """
        from dermaflux.curation.file_check import check_file

        files = [file for path in paths for file in _files_of(path)]
        if not files:
            raise InvalidRequest("No file was named. Give at least one file or folder.")
        return (check_file(file) for file in dict.fromkeys(files))

    def _export_tools(self, format: ExportFormat) -> ExportTools:
        certificate, key, signer = self.settings.c2pa_cert, self.settings.c2pa_key, None
        if (certificate is None) != (key is None):
            raise InvalidRequest(
                "Signed exports need both DERMAFLUX_C2PA_CERT and DERMAFLUX_C2PA_KEY. Set the other, or unset both."
            )
        if certificate is not None and key is not None:
            from dermaflux.curation.credentials import CredentialSigner

            signer = CredentialSigner(certificate, key)
        needs_masks = format is ExportFormat.COCO
        return ExportTools(find_lesion=self._measurer().segment if needs_masks else None, signer=signer)


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _CHECKED and file.is_file())
    if not found:
        raise DataNotFound(f"The folder {path} holds no {' or '.join(_CHECKED)} files. Name another.")
    return found
