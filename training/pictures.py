"""Reading pictures and putting them in a frame: archives and folders, decoding, one geometry for image and mask.

It knows no table, no split and no lesion.
"""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image, UnidentifiedImageError

from dermaflux.domain.errors import DataNotFound, ImageNotReadable

MAX_PIXELS = 64_000_000
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTransform:
    """One geometry for image and mask: crop box in pixels (left, top, right, bottom), flip, turns, size.

    Applied in that order; `quarter_turns` is counter-clockwise; box None keeps the whole frame.
    """

    size_px: tuple[int, int] | None = None
    box: tuple[float, float, float, float] | None = None
    flip: bool = False
    quarter_turns: int = 0

    def apply(self, picture: Image.Image) -> Image.Image:
        """The picture in the new frame: bicubic with antialias for colour, nearest for a 1-bit mask."""
        resample = Image.Resampling.NEAREST if picture.mode == "1" else Image.Resampling.BICUBIC
        if picture.mode == "1" and self.size_px:
            picture, resample = picture.convert("L"), Image.Resampling.BOX
        box = self.box or (0, 0, *picture.size)
        size_px = self.size_px or (round(box[2] - box[0]), round(box[3] - box[1]))
        out = picture.resize(size_px, resample, box=box)
        if self.flip:
            out = out.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if turns := self.quarter_turns % 4:
            out = out.transpose((None, 2, 3, 4)[turns])  # type: ignore[arg-type] - PIL's ROTATE_90..270
        return out


def centre_square(size_px: int) -> Callable[[Image.Image], FrameTransform]:
    """The largest centred square of a frame, resized to size_px: what models are shown at inference."""
    return centre_crop(size_px, size_px)


def centre_crop(width_px: int, height_px: int) -> Callable[[Image.Image], FrameTransform]:
    """The largest centred crop of a frame that has this shape, resized to it."""

    def fit(picture: Image.Image) -> FrameTransform:
        scale = min(picture.width / width_px, picture.height / height_px)
        width, height = width_px * scale, height_px * scale
        left, top = (picture.width - width) / 2, (picture.height - height) / 2
        return FrameTransform(size_px=(width_px, height_px), box=(left, top, left + width, top + height))

    return fit


class Pictures(Protocol):
    """Whatever reads pictures by name: one folder or archive, or several."""

    def read(self, name: str) -> bytes:
        """The bytes of a file; DataNotFound when it is not there."""
        ...

    def has(self, name: str) -> bool:
        """Whether the file exists."""
        ...


class PictureSource:
    """Reads named files from a zip archive or a folder. Opened lazily, one handle a process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._archive: zipfile.ZipFile | None = None
        self._names: set[str] | None = None

    def read(self, name: str) -> bytes:
        """The bytes of a file; DataNotFound when it is not there."""
        if self.root.is_dir():
            path = self.root / name
            if not path.is_file():
                raise DataNotFound(f"{name} is not in {self.root}. Check the table against the folder.")
            return path.read_bytes()
        try:
            return self._zip().read(name)
        except KeyError:
            raise DataNotFound(f"{name} is not in {self.root.name}. The archive is incomplete.") from None

    def has(self, name: str) -> bool:
        """Whether the file exists."""
        if self.root.is_dir():
            return (self.root / name).is_file()
        if self._names is None:
            self._names = set(self._zip().namelist())
        return name in self._names

    def size_of(self, member: str) -> int:
        """The bytes of an archive's member; DataNotFound when it is not there."""
        try:
            return self._zip().getinfo(member).file_size
        except KeyError:
            raise DataNotFound(f"{member} is not in {self.root.name}. The archive is incomplete.") from None

    def _zip(self) -> zipfile.ZipFile:
        if self._archive is None:
            if not self.root.is_file():
                raise DataNotFound(f"The archive {self.root} does not exist. Point --data-dir at its folder.")
            try:
                self._archive = zipfile.ZipFile(self.root)
            except zipfile.BadZipFile as error:
                raise DataNotFound(f"{self.root} cannot be read as an archive ({error}). Get it anew.") from error
        return self._archive

    def __getstate__(self) -> dict[str, Any]:
        """Handles do not travel to loader processes; each opens its own."""
        return {"root": self.root, "_archive": None, "_names": None}


def decode_rgb(data: bytes, name: str) -> Image.Image:
    """The RGB image of some bytes; ImageNotReadable when they are no image or too large."""
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > MAX_PIXELS:
            raise ImageNotReadable(f"{name} has more than {MAX_PIXELS // 10**6} megapixels. Make it smaller.")
        return picture.convert("RGB")
    except _BROKEN as error:
        raise ImageNotReadable(f"{name} cannot be read as an image ({error}). Replace the file.") from error


def check_image(data: bytes, name: str) -> None:
    """Raise ImageNotReadable unless the bytes open as an image (pixels are decoded later)."""
    if not name.lower().endswith(IMAGE_SUFFIXES):
        raise ImageNotReadable(f"{name} is not an image file ({', '.join(IMAGE_SUFFIXES)}).")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.verify()
    except _BROKEN as error:
        raise ImageNotReadable(f"{name} cannot be read as an image ({error}). Replace the file.") from error


def decode_mask(data: bytes, name: str) -> Image.Image:
    """The 1-bit mask of some bytes (above mid-grey is lesion); ImageNotReadable when they are no image."""
    try:
        return Image.open(io.BytesIO(data)).convert("L").point([0] * 128 + [255] * 128, "1")
    except _BROKEN as error:
        raise ImageNotReadable(f"The mask {name} cannot be read ({error}). Replace the file.") from error
