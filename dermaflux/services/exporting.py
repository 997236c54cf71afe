"""What leaves a dataset and comes back: exports, archives, checks of files. Thin, so that pages never see the store."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dermaflux.curation.export_records import ExportFormat, ExportReport, ExportRequest
from dermaflux.curation.records import checked_dataset_name
from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.services.curating import Curating
from dermaflux.services.records import OnStep

if TYPE_CHECKING:
    from dermaflux.curation.file_check import FileCheck

_CHECKED = (".png", ".dcm")


class Exporting(Curating):
    """Exports behind plain calls. Raises InvalidRequest, DataNotFound or StorageNotWritable as the writers do."""

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

        exports = self.prepare_folder(self.settings.data_dir / "exports")
        name = f"{checked_dataset_name(dataset)}-{ExportFormat(format)}"
        with tempfile.TemporaryDirectory(dir=exports, prefix=".") as work:
            report = self.export(dataset, format, Path(work) / name, on_step)
            packed = zip_export(report.folder)
            return packed.replace(exports / packed.name)

    def check_files(self, paths: Iterable[Path]) -> "Iterator[FileCheck]":
        """What each file says of itself and whether it is true; a folder stands for its .png and .dcm files.

        Raises DataNotFound or InvalidRequest before the first file when a path leads nowhere.
        """
        from dermaflux.curation.file_check import check_file

        files = [file for path in paths for file in _files_of(path)]
        if not files:
            raise InvalidRequest("No file was named. Give at least one file or folder.")
        return (check_file(file) for file in dict.fromkeys(files))


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _CHECKED and file.is_file())
    if not found:
        raise DataNotFound(f"The folder {path} holds no {' or '.join(_CHECKED)} files. Name another.")
    return found
