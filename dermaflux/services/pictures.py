"""Picture files: found under paths, decoded, and small files written whole or not at all.

It knows files and pixels, no model and no store.
"""

import os
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from PIL import Image, ImageOps, UnidentifiedImageError

from dermaflux.domain.errors import (
    DataNotFound,
    ImageNotReadable,
    InvalidRequest,
    StorageNotWritable,
)

MAX_PIXELS = 64_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
"""The decoders that may look at a file, whatever its name: others (EPS) would start programs."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_UNREADABLE = (
    UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning,
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error,
)  # fmt: skip


def find_pictures(paths: Iterable[Path]) -> list[Path]:
    """The picture files among paths; a folder stands for all pictures under it, sorted, hidden ones left out.

    Raises DataNotFound for a path that is not there or a folder without pictures, InvalidRequest without any path.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                p
                for p in path.rglob("*")
                if p.suffix.lower() in SUFFIXES and not _is_hidden(p, path)
            )
            if not inside:
                raise DataNotFound(
                    f"The folder {path} holds no pictures ({', '.join(SUFFIXES)}). Name another."
                )
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise DataNotFound(f"{path} does not exist. Check the path.")
    if not found:
        raise InvalidRequest("No picture was named. Give at least one file or folder.")
    return list(dict.fromkeys(found))


def open_picture(source: Path | IO[bytes], name: str | None = None) -> Image.Image:
    """A file, by path or opened, decoded in its own mode. Raises ImageNotReadable when broken or too large."""
    name = name or str(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise ValueError(f"it has more than {MAX_PIXELS // 10**6} megapixels")
                return picture.copy()  # decodes all of it; the file is closed, the pixels stay
    except _UNREADABLE as error:
        reason = str(error).replace(str(source), "the file").replace("\n", " ")
        raise ImageNotReadable(
            f"{name} cannot be read as an image ({reason}). Replace the file."
        ) from error


def pair_sheet(pairs: Sequence[tuple[Image.Image, Image.Image]], tile_px: int = 192) -> Image.Image:
    """Pairs of pictures side by side, one pair a row, each as a square of tile_px."""
    gap_px = 4
    sheet = Image.new("RGB", (2 * tile_px + 3 * gap_px, len(pairs) * (tile_px + gap_px) + gap_px), "white")
    for row, pair in enumerate(pairs):
        for column, picture in enumerate(pair):
            tile = ImageOps.fit(picture.convert("RGB"), (tile_px, tile_px))
            sheet.paste(tile, (gap_px + column * (tile_px + gap_px), gap_px + row * (tile_px + gap_px)))
    return sheet


def prepare_folder(folder: Path) -> Path:
    """The folder, made when missing and shown to be writable. Raises StorageNotWritable otherwise."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = error.strerror or error
        raise StorageNotWritable(
            f"The folder {folder} cannot be written ({why}). Choose another one."
        ) from error
    return folder


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it. Raises StorageNotWritable (no space, no permission)."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        why = error.strerror or error
        raise StorageNotWritable(
            f"{path} cannot be written ({why}). Free space or choose another folder."
        ) from error


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
