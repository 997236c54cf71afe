"""Takes an exported folder back into the store: the same images, the same verdicts, or nothing at all.

The manifest is checked first, then every sidecar against it and every image against its sidecar. What it cannot see
is a folder in which everything, manifest included, was rewritten to fit; a signature would.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dermaflux.curation.credentials import read_credentials, without_credentials
from dermaflux.curation.export_folder import MANIFEST, manifest_of, names_in
from dermaflux.curation.export_records import ExportFormat, ImportReport
from dermaflux.curation.export_sidecars import SetHash, read_sidecars
from dermaflux.curation.image_pool import sha256_of
from dermaflux.curation.import_records import IncomingImage, ReadSidecar, read_sidecar
from dermaflux.curation.records import checked_dataset_name
from dermaflux.curation.store import CurationStore
from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.provenance import read_provenance

OnStep = Callable[[int, int], None]


def import_export(
    store: CurationStore, folder: Path, dataset: str, on_step: OnStep | None = None
) -> ImportReport:
    """Take the images of an export into a dataset, made when it is missing, with their verdicts as new decisions.

    Decisions that stand already are not repeated, so the same import again adds nothing. on_step(done, total) may
    raise to stop. Raises DataNotFound (no such folder), InvalidRequest (no export, a layout without the original
    files, or anything changed since) or StorageNotWritable; nothing is kept then.
    """
    dataset = checked_dataset_name(dataset)
    manifest = _checked_manifest(folder)
    sidecars = _checked_sidecars(folder, manifest)
    images = _images(folder, manifest, sidecars, on_step or (lambda done, total: None))
    taken = store.take_in(dataset, images)
    return ImportReport(
        dataset=dataset,
        num_images=taken.num_images,
        num_new_images=taken.num_new_images,
        num_decisions=taken.num_decisions,
        set_sha256=manifest["set_sha256"],
    )


def _checked_manifest(folder: Path) -> Mapping[str, Any]:
    if not folder.is_dir():
        raise DataNotFound(f"The folder {folder} does not exist. Check the path; an archive has to be unpacked first.")
    manifest = manifest_of(folder)
    if manifest is None:
        raise InvalidRequest(f"{folder} is no export of DermaFlux: it has no {MANIFEST} of one. Name an export.")
    if manifest.get("format") not in _READERS or not isinstance(manifest.get("set_sha256"), str):
        layouts = ", ".join(_READERS)
        raise InvalidRequest(
            f"An export as {manifest.get('format')} cannot be taken back: it lacks the original files or their "
            f"sidecars. Use one of: {layouts}."
        )
    files: Mapping[str, Any] = manifest["files"]
    found = set(names_in(folder)) - {MANIFEST}
    if differing := sorted(found ^ set(files)):
        what = "is missing from" if differing[0] in files else "was added to"
        raise InvalidRequest(f"{differing[0]} {what} the export {folder}. Nothing is imported; use the original.")
    for name, facts in files.items():
        with (folder / name).open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if not isinstance(facts, dict) or facts.get("sha256") != digest:
            raise InvalidRequest(f"{name} of the export {folder} was changed. Nothing is imported; use the original.")
    return manifest


def _checked_sidecars(folder: Path, manifest: Mapping[str, Any]) -> Mapping[str, ReadSidecar]:
    set_hash, found = SetHash(), {}
    for text in read_sidecars(folder):
        set_hash.add(text)
        sidecar = read_sidecar(text)
        found[sidecar.sha256] = sidecar
    if set_hash.hexdigest() != manifest["set_sha256"] or len(found) != manifest.get("num_images"):
        raise InvalidRequest(f"The sidecars of {folder} are not those it was exported with. Nothing is imported.")
    return found


def _images(
    folder: Path, manifest: Mapping[str, Any], sidecars: Mapping[str, ReadSidecar], told: OnStep
) -> Iterator[IncomingImage]:
    waiting = dict(sidecars)
    for done, (name, written) in enumerate(_READERS[manifest["format"]](folder), start=1):
        png = _unsigned(name, written)
        sidecar = waiting.pop(sha256_of(png), None)
        if sidecar is None or read_provenance(png) != sidecar.provenance:
            raise InvalidRequest(f"{name} of the export does not belong to its sidecar. Nothing is imported.")
        yield IncomingImage(png=png, sidecar=sidecar)
        told(done, len(sidecars))
    if waiting:
        raise InvalidRequest(f"{len(waiting)} images of the export {folder} are missing. Nothing is imported.")


def _unsigned(name: str, png: bytes) -> bytes:
    signed = read_credentials(png)
    if signed is None:
        return png
    if signed.holds is False:
        raise InvalidRequest(f"The signature of {name} does not hold ({signed.problem}). Nothing is imported.")
    return without_credentials(png)


def _loose_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob("train/*.png")):
        yield path.name, path.read_bytes()


def _parquet_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    import pyarrow.parquet

    for path in sorted(folder.glob("data/*.parquet")):
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(100, columns=["image"]):
            for image in batch.column("image").to_pylist():
                yield image["path"], image["bytes"]


def _tar_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob("data/*.tar")):
        with tarfile.open(path) as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.name.endswith(".png") else None
                yield from [] if content is None else [(entry.name, content.read())]


_READERS: Mapping[str, Callable[[Path], Iterator[tuple[str, bytes]]]] = {
    ExportFormat.IMAGEFOLDER.value: _loose_files,
    ExportFormat.COCO.value: _loose_files,
    ExportFormat.PARQUET.value: _parquet_files,
    ExportFormat.WEBDATASET.value: _tar_files,
}
