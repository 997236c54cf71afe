"""Pictures as data URIs, so that a card needs no file route and no preview ever touches the disk.

It knows PIL and base64, not what is on a picture.
"""

import base64
import functools
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from dermaflux.domain.errors import DataNotFound

PREVIEW_SIZE_PX = 256
SHOWN_SIZE_PX = 640
GRID_SIZE_PX = 128
_LOSSLESS_BYTES = 400_000
_GRID_PICTURES_KEPT = 12_000  # of some 5 kB each, a hundred pages
_DECODERS = 4


def preview_uri(image: Image.Image) -> str:
    """A step preview: JPEG, at most 256 px a side, some 10 kB."""
    return _jpeg_uri(image, PREVIEW_SIZE_PX, 80)


def overlay_uri(image: Image.Image) -> str:
    """A saliency overlay in the size a card shows."""
    return _jpeg_uri(image, SHOWN_SIZE_PX, 90)


def picture_uri(path: Path) -> str:
    """A stored picture: its own lossless bytes while they are few, else a fine JPEG of at most 640 px a side.

    Raises DataNotFound when the file is gone.
    """
    data = _read(path)
    if len(data) <= _LOSSLESS_BYTES:
        return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    with Image.open(io.BytesIO(data)) as image:
        return _jpeg_uri(image, SHOWN_SIZE_PX, 92)


def grid_uris(paths: Sequence[Path]) -> list[str]:
    """Small JPEGs for the cards of a grid, decoded side by side; empty where the file is gone."""
    with ThreadPoolExecutor(_DECODERS) as pool:
        return list(pool.map(_grid_uri, paths))


def _grid_uri(path: Path) -> str:
    try:
        return thumbnail_uri(path)
    except DataNotFound:  # one lost file must not take the page away; the card says so
        return ""


@functools.lru_cache(maxsize=_GRID_PICTURES_KEPT)
def thumbnail_uri(path: Path) -> str:
    """A small JPEG of a stored picture for long lists. Stored files never change, so it is kept.

    Raises DataNotFound when the file is gone.
    """
    with Image.open(io.BytesIO(_read(path))) as image:
        return _jpeg_uri(image, GRID_SIZE_PX, 82)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataNotFound(
            f"The picture {path.name} cannot be read ({error.strerror}). Check the data directory."
        ) from error


def _jpeg_uri(image: Image.Image, max_px: int, quality: int) -> str:
    small = image.convert("RGB")
    small.thumbnail((max_px, max_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
