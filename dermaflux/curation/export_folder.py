"""Where an export lands: a folder that appears at once and whole, with a manifest, or not at all.

It knows files only. A folder is replaced only when everything in it came from an earlier export.
"""

import glob
import hashlib
import json
import os
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dermaflux.curation.database import storage_errors
from dermaflux.curation.folder_exchange import exchanged
from dermaflux.domain.errors import InvalidRequest

MANIFEST = "manifest.json"
MADE_BY = "DermaFlux export"
_HELD_OUT = ("val", "valid", "validation", "eval", "dev", "test")
_STORED = (".png", ".tar", ".parquet")
_EARLIER = ".earlier"
_DRAFT_KEPT_SECONDS = 3600.0
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def check_target(folder: Path) -> None:
    """Raise InvalidRequest when an export may not be written to that folder."""
    if folder.name.lower() in _HELD_OUT and (folder.parent / "train").is_dir():
        raise InvalidRequest(
            f"{folder} is the {folder.name} split beside a train split; synthetic images are not written there. "
            "Choose another folder."
        )
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InvalidRequest(f"{folder} is a file. Give the name of a folder.")
    foreign = _foreign_file(folder)
    if foreign is not None:
        raise InvalidRequest(
            f"{folder} holds {foreign}, which no earlier export wrote, so it is not overwritten. "
            "Choose a new or an empty folder."
        )


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill; on success it takes the target's place, on any failure it is gone.

    Raises InvalidRequest as `check_target` does, StorageNotWritable when the disk refuses.
    """
    with storage_errors("write the export"):
        target = target.absolute()
        check_target(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        _tidy(target)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
        draft.mkdir()
        try:
            yield draft
            _put_in_place(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> tuple[str, int]:
    """List every file with hash and size in `manifest.json`; returns its own sha256 and the bytes in all."""
    files = {}
    for path in files_in(folder):
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        files[path.relative_to(folder).as_posix()] = {"sha256": digest, "bytes": path.stat().st_size}
    manifest = {"made_by": MADE_BY} | dict(facts) | {"files": files}
    content = (json.dumps(manifest, indent=1) + "\n").encode()
    (folder / MANIFEST).write_bytes(content)
    return hashlib.sha256(content).hexdigest(), len(content) + sum(entry["bytes"] for entry in files.values())


def zip_export(folder: Path) -> Path:
    """Pack an export into `FOLDER.zip` beside it and return that path; equal exports give equal archives.

    Raises InvalidRequest when the folder is no export, StorageNotWritable when the disk refuses.
    """
    folder = folder.absolute()
    if manifest_of(folder) is None:
        raise InvalidRequest(f"{folder} is no export of DermaFlux. Export the dataset first.")
    target = folder.with_name(f"{folder.name}.zip")
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.zip.partial")
    with storage_errors("write the archive"):
        try:
            with zipfile.ZipFile(draft, "w") as archive:
                for path in files_in(folder):
                    _add(archive, path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
    return target


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, date_time=_ZIP_EPOCH)
    entry.external_attr = 0o644 << 16
    entry.file_size = path.stat().st_size
    if path.suffix not in _STORED:
        entry.compress_type = zipfile.ZIP_DEFLATED
    with path.open("rb") as content, archive.open(entry, "w") as packed:
        shutil.copyfileobj(content, packed, 1 << 20)


def _put_in_place(draft: Path, target: Path) -> None:
    if not target.exists() or not any(target.iterdir()):
        os.replace(draft, target)
        return
    check_target(target)  # again: somebody may have put a file there in the meantime
    if exchanged(draft, target):
        return  # the earlier export is the draft now, and goes as one
    earlier = target.with_name(f"{draft.name}{_EARLIER}")
    os.replace(target, earlier)
    try:
        os.replace(draft, target)
    except OSError:
        os.replace(earlier, target)
        raise
    shutil.rmtree(earlier)


def _tidy(target: Path) -> None:
    """Undo what a killed export left beside the target: its earlier export moves back, old drafts go."""
    for earlier in sorted(target.parent.glob(f".{glob.escape(target.name)}.*.partial{_EARLIER}")):
        if not target.exists():
            os.replace(earlier, target)
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.partial*"):
        if time.time() - left.stat().st_mtime > _DRAFT_KEPT_SECONDS:  # a younger one may be at work
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _foreign_file(folder: Path) -> str | None:
    manifest = manifest_of(folder)
    known = set(manifest["files"]) | {MANIFEST} if manifest else set()
    return next((name for name in names_in(folder) if name not in known), None)


def manifest_of(folder: Path) -> Mapping[str, Any] | None:
    """The manifest of an export; None when the folder has none, or one that is not ours."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # no manifest, or not ours: that is the question asked here
    ours = isinstance(manifest, dict) and manifest.get("made_by") == MADE_BY and isinstance(manifest.get("files"), dict)
    return manifest if ours else None


def files_in(folder: Path) -> list[Path]:
    """Every file below the folder, sorted; links count as files, wherever they lead."""
    return sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def names_in(folder: Path) -> list[str]:
    """The same as names relative to the folder, as a manifest has them."""
    return [path.relative_to(folder).as_posix() for path in files_in(folder)]
