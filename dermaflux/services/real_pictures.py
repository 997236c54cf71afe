"""Reads the real pictures an evaluation compares with: a folder or a zip, with a table of facts if there is one.

The table is metadata.csv inside, or (for an archive such as ham10000_224.zip) a CSV beside it whose name begins
the archive's. Known columns: file_name or image_id, split, lesion_id, diagnosis or dx, and of the patient age, sex, and
site or localization. Pixels are read one by one.
"""

import csv
import io
import random
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from PIL import Image

from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.domain.lesion import Diagnosis, choice
from dermaflux.services.pictures import SUFFIXES, open_picture

_TABLE = "metadata.csv"
_UNKNOWN = ("", "unknown", "nan", "none", "null")


@dataclass(frozen=True, slots=True, kw_only=True)
class RealPicture:
    """One real picture and what its table says; without a table it is its own lesion. split None: it counts for all."""

    name: str
    lesion_id: str
    split: str | None = None
    diagnosis: Diagnosis | None = None
    age: float | None = None
    sex: str | None = None
    site: str | None = None


class RealPictures:
    """The pictures of one split, in name order; a zip is opened once and closed at the end of `with`."""

    def __init__(self, root: Path, pictures: list[RealPicture]) -> None:
        self.pictures = pictures
        self._root = root
        self._archive = None if root.is_dir() else zipfile.ZipFile(root)

    def __enter__(self) -> Self:
        """For `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the archive."""
        if self._archive:
            self._archive.close()

    def load(self, picture: RealPicture) -> Image.Image:
        """The decoded picture. Raises ImageNotReadable."""
        name = picture.name if self._archive else str(self._root / picture.name)
        return open_picture(io.BytesIO(self.content(picture)), name)

    def content(self, picture: RealPicture) -> bytes:
        """The bytes of the picture's file. Raises ImageNotReadable."""
        try:
            if self._archive is None:
                return (self._root / picture.name).read_bytes()
            return self._archive.read(picture.name)
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError) as error:  # RuntimeError: encrypted
            raise ImageNotReadable(
                f"{picture.name} in {self._root} is damaged ({error}). Replace it."
            ) from error


def read_real(root: Path, split: str, max_images: int | None, seed: int) -> RealPictures:
    """The pictures of a split, at most max_images of them, chosen by seed.

    Raises DataNotFound when the path is not there or nothing in it belongs to the split.
    """
    names, rows = _names(root), _table(root)
    pictures = [p for name in names if (p := _picture(name, rows, split))]
    if not pictures:
        table = f", none of split {split!r} in its table" if rows else ""
        raise DataNotFound(
            f"{root} holds no usable picture{table}. Name another folder or --split."
        )
    if max_images is not None and len(pictures) > max_images:
        pictures = random.Random(seed).sample(pictures, max_images)
    return RealPictures(root, sorted(pictures, key=lambda picture: picture.name))


def _names(root: Path) -> list[str]:
    if root.is_dir():
        names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    elif zipfile.is_zipfile(root):
        with zipfile.ZipFile(root) as archive:
            names = archive.namelist()
    else:
        raise DataNotFound(f"{root} is neither a folder nor a zip of pictures. Check the path.")
    return sorted(name for name in names if name.lower().endswith(SUFFIXES) and not _is_mask(name))


def _is_mask(name: str) -> bool:
    return any(part == "masks" or part.startswith(".") for part in PurePosixPath(name).parts)


def _table(root: Path) -> Mapping[str, Mapping[str, str]]:
    """Rows by file name and by stem; empty without a table."""
    text = _table_text(root)
    if text is None:
        return {}
    rows: dict[str, Mapping[str, str]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        for key in (row.get("file_name"), row.get("image_id")):
            if key:
                rows[key] = row
    if not rows:
        raise DataNotFound(
            f"The table of {root} has neither file_name nor image_id. Add one of the columns."
        )
    return rows


def _table_text(root: Path) -> str | None:
    try:
        if root.is_dir():
            return (
                (root / _TABLE).read_text(encoding="utf-8-sig")
                if (root / _TABLE).is_file()
                else None
            )
        with zipfile.ZipFile(root) as archive:
            if _TABLE in archive.namelist():
                return archive.read(_TABLE).decode("utf-8-sig")
        beside = [p for p in sorted(root.parent.glob("*.csv")) if root.stem.startswith(p.stem)]
        return beside[-1].read_text(encoding="utf-8-sig") if beside else None
    except UnicodeDecodeError as error:
        raise DataNotFound(
            f"The table of {root} is not UTF-8 text ({error}). Save it as UTF-8."
        ) from error


def _picture(name: str, rows: Mapping[str, Mapping[str, str]], split: str) -> RealPicture | None:
    """The picture, or None when the table does not name it or puts it into another split."""
    if not rows:
        return RealPicture(name=name, lesion_id=name)
    row = rows.get(name) or rows.get(PurePosixPath(name).name) or rows.get(PurePosixPath(name).stem)
    if row is None or (row.get("split") or split) != split:
        return None
    diagnosis = row.get("diagnosis") or row.get("dx")
    return RealPicture(
        name=name,
        lesion_id=row.get("lesion_id") or name,
        split=row.get("split") or None,
        diagnosis=choice("diagnosis", diagnosis, Diagnosis) if diagnosis else None,
        age=_age(row, name),
        sex=_known(row.get("sex")),
        site=_known(row.get("site") or row.get("localization")),
    )


def _known(value: str | None) -> str | None:
    """What a cell says in small letters, None where it says nothing."""
    text = (value or "").strip().lower()
    return None if text in _UNKNOWN else text


def _age(row: Mapping[str, str], name: str) -> float | None:
    text = _known(row.get("age"))
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidRequest(f"The age of {name} is {text!r}, not a number of years. Correct the table.") from None
