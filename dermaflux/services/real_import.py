"""Takes a user's own real pictures in for comparison: decoded, stripped of all but pixels, written under new names.

Whatever a file carries beside its pixels stays behind: EXIF with its GPS place, comments, thumbnails, its name (which
may name a patient), and every column of its table that is not known here. Nothing in a file is executed: only decoders
of plain pictures may look at it. It knows no store: real pictures never enter the pool of synthetic ones.
"""

import csv
import hashlib
import io
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, ImageCms, ImageOps

from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.services.pictures import SUFFIXES, open_picture, prepare_folder, write_whole
from dermaflux.services.records import OnStep

MAX_FILE_MB = 64
MAX_PICTURES = 200_000
COLUMNS = ("split", "lesion_id", "diagnosis", "dx", "age", "sex", "site", "localization", "skin_tone")
_TABLE = "metadata.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file that was not taken in, by its name in the source, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RealImportReport:
    """What was taken in: the folder, how many pictures, the columns left behind, and what was refused."""

    folder: Path
    num_pictures: int
    num_repeated: int
    columns_left_behind: tuple[str, ...]
    refused: tuple[Refused, ...]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self) | {"folder": str(self.folder)}


def import_real(source: Path, target: Path, on_step: OnStep | None = None) -> RealImportReport:
    """Bring the pictures of a folder or zip into the new folder `target`; it appears whole or not at all.

    Files that are no pictures, too large or reached through a link out of the folder are refused one by one. Raises
    InvalidRequest when the target is taken, DataNotFound when nothing is left, StorageNotWritable.
    """
    if target.exists():
        raise InvalidRequest(f"There is a set of real pictures in {target} already. Choose another name.")
    partial = prepare_folder(target.with_name(f".{target.name}.partial"))
    try:
        partial.chmod(0o700)  # pictures of patients
        with _opened(source) as files:
            report = _taken_in(files, partial, on_step)
        if not report.num_pictures:
            first = f" The first: {report.refused[0].name}: {report.refused[0].why}" if report.refused else ""
            raise DataNotFound(f"{source} holds no picture that can be taken in.{first}")
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return replace(report, folder=target)


def bare(content: bytes, name: str) -> bytes:
    """The pixels of a picture file as a PNG that carries nothing else, upright and in sRGB. Raises ImageNotReadable."""
    out = io.BytesIO()
    bare_picture(content, name).save(out, "PNG")
    return out.getvalue()


def bare_picture(content: bytes, name: str) -> Image.Image:
    """The pixels of a picture file and nothing else, upright and in sRGB. Raises ImageNotReadable."""
    picture = open_picture(io.BytesIO(content), name)
    upright = ImageOps.exif_transpose(picture)
    profile = picture.info.get("icc_profile")
    plain = _in_srgb(upright, profile) if profile else upright.convert("RGB")
    return Image.frombytes("RGB", plain.size, plain.tobytes())  # a new picture: no info to be written along


class _Files:
    """The files of a folder or zip by name; each is read when it is asked for, never more of it than allowed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._archive = zipfile.ZipFile(root) if root.is_file() else None

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()

    def names(self) -> list[str]:
        if self._archive is not None:
            names = [entry.filename for entry in self._archive.infolist() if not entry.is_dir()]
        else:
            names = [path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file()]
        return sorted(name for name in names if not any(part.startswith(".") for part in PurePosixPath(name).parts))

    def read(self, name: str) -> bytes:
        """The content. Raises ImageNotReadable for one too large, damaged, or outside the folder."""
        limit = MAX_FILE_MB * 10**6
        try:
            if self._archive is not None:
                with self._archive.open(name) as entry:
                    content = entry.read(limit + 1)  # what an archive says of a size need not be true
            else:
                path = (self._root / name).resolve()
                if not path.is_relative_to(self._root.resolve()):
                    raise ImageNotReadable("it is a link to somewhere else.")
                with path.open("rb") as handle:
                    content = handle.read(limit + 1)
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:  # RuntimeError: encrypted
            raise ImageNotReadable(f"it cannot be read ({error}).") from error
        if len(content) > limit:
            raise ImageNotReadable(f"it is larger than {MAX_FILE_MB} MB.")
        return content


def _opened(source: Path) -> _Files:
    if not source.is_dir() and not zipfile.is_zipfile(source):
        raise DataNotFound(f"{source} is neither a folder nor a zip of pictures. Check the path.")
    return _Files(source)


def _taken_in(files: _Files, folder: Path, on_step: OnStep | None) -> RealImportReport:
    names = files.names()
    pictures = [name for name in names if name.lower().endswith(SUFFIXES)]
    if len(pictures) > MAX_PICTURES:
        raise InvalidRequest(f"There are {len(pictures)} pictures; at most {MAX_PICTURES} are taken in at once.")
    facts, left_behind = _table(files, names)
    rows: dict[str, Mapping[str, str]] = {}
    refused: list[Refused] = []
    for done, name in enumerate(pictures, start=1):
        try:
            content = bare(files.read(name), name)
        except ImageNotReadable as error:
            refused.append(Refused(name=name, why=str(error)))
        else:
            key = f"{hashlib.sha256(content).hexdigest()[:32]}.png"
            if key not in rows:
                write_whole(folder / key, content)
            rows.setdefault(key, facts.get(name) or facts.get(PurePosixPath(name).name) or _stem(facts, name))
        if on_step:
            on_step(done, len(pictures))
    _write_table(folder, rows)
    repeated = len(pictures) - len(refused) - len(rows)
    return RealImportReport(
        folder=folder,
        num_pictures=len(rows),
        num_repeated=repeated,
        columns_left_behind=left_behind,
        refused=tuple(refused),
    )


def _stem(facts: Mapping[str, Mapping[str, str]], name: str) -> Mapping[str, str]:
    return facts.get(PurePosixPath(name).stem, {})


def _table(files: _Files, names: list[str]) -> tuple[dict[str, Mapping[str, str]], tuple[str, ...]]:
    """What the set's metadata.csv says of each file, in the known columns only, and the columns left behind."""
    if _TABLE not in names:
        return {}, ()
    try:
        reader = csv.DictReader(io.StringIO(files.read(_TABLE).decode("utf-8-sig")))
        lines = list(reader)
    except (UnicodeDecodeError, csv.Error, ImageNotReadable) as error:
        raise DataNotFound(f"{_TABLE} cannot be read ({error}). Save it as CSV in UTF-8.") from error
    columns = [name for name in reader.fieldnames or () if name in COLUMNS]
    facts: dict[str, Mapping[str, str]] = {
        key: {name: line[name] or "" for name in columns}
        for line in lines
        if (key := line.get("file_name") or line.get("image_id"))
    }
    known = {*COLUMNS, "file_name", "image_id"}
    return facts, tuple(name for name in reader.fieldnames or () if name not in known)


def _write_table(folder: Path, rows: Mapping[str, Mapping[str, str]]) -> None:
    columns = ["file_name", *dict.fromkeys(name for row in rows.values() for name in row)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(_lines(rows))
    write_whole(folder / _TABLE, text.getvalue().encode())


def _lines(rows: Mapping[str, Mapping[str, str]]) -> Iterator[dict[str, str]]:
    return ({"file_name": name} | dict(row) for name, row in sorted(rows.items()))


def _in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """The picture in the colours of a screen; where its profile is damaged, its numbers as they are."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        converted = None
    return picture.convert("RGB") if converted is None else converted
