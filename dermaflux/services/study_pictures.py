"""Makes the pictures of a reader study alike in all but what they show, and keeps them.

Every picture is cut to a square, brought down to the detail of the poorest one, shown in one size, and written by one
encoder with the same settings; at the end all files have the same number of bytes. So neither sharpness nor a file
tells real from synthetic. It knows no reader and no answer.
"""

import hashlib
import io
import shutil
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.domain.study import Frame, LesionQuestion, Source, StudyPlan
from dermaflux.services.pictures import FORMATS, prepare_folder, write_whole
from dermaflux.services.real_import import bare_picture

STUDIES = "studies"  # in the data folder: copies of real pictures too; never served by path
MIN_DETAIL_PX = 64
GREY = (128, 128, 128)
_SUFFIX = ".jpg"


def short_side_px(content: bytes, name: str) -> int:
    """The shorter side of a picture file, from its head alone. Raises ImageNotReadable."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            return min(picture.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageNotReadable(f"{name} cannot be read as an image. Replace the file.") from error


def checked_detail_px(detail_px: int, plan: StudyPlan) -> int:
    """The detail all pictures are brought to. Raises InvalidRequest when the poorest picture is too small."""
    if detail_px < MIN_DETAIL_PX:
        raise InvalidRequest(
            f"The smallest picture is {detail_px} px wide, and all would be brought down to it; at least "
            f"{MIN_DETAIL_PX} px are needed. Leave small pictures out of the set."
        )
    return min(detail_px, plan.size_px)


def shown_picture(content: bytes, name: str, detail_px: int, plan: StudyPlan) -> bytes:
    """A picture file as readers get it. Raises ImageNotReadable."""
    square = ImageOps.fit(bare_picture(content, name), (detail_px, detail_px), Image.Resampling.LANCZOS)
    shown = square.resize((plan.size_px, plan.size_px), Image.Resampling.BICUBIC)
    return _encoded(_framed(shown) if plan.frame is Frame.ROUND else shown)


def check_card(wanted: tuple[Source, int], plan: StudyPlan) -> bytes:
    """A card that tells what to answer: it tests attention, and nothing that a careful reader could miss."""
    source, confidence = wanted
    lines = ["Attention check", "", "Please answer", source.upper(), f"with confidence {confidence}."]
    if plan.question is not LesionQuestion.NONE:
        lines += ["", "Any answer on the lesion."]
    card = Image.new("RGB", (plan.size_px, plan.size_px), (96, 112, 128))
    font = ImageFont.load_default(size=plan.size_px / 18)
    middle = (plan.size_px / 2, plan.size_px / 2)
    ImageDraw.Draw(card).multiline_text(
        middle, "\n".join(lines), fill="white", font=font, anchor="mm", align="center", spacing=plan.size_px / 40
    )
    return _encoded(_framed(card) if plan.frame is Frame.ROUND else card)


class StudyFolder:
    """The files of all studies, a folder each, named by random ids."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, study_id: str, contents: Mapping[str, bytes]) -> dict[str, str]:
        """Write the pictures of a study by id, all or none, all equally long; their hashes by id."""
        folder = prepare_folder(self._root) / study_id
        partial = prepare_folder(folder.with_name(f".{study_id}.partial"))
        length = max(map(len, contents.values()))
        hashes = {}
        try:
            partial.chmod(0o700)  # pictures of patients
            for item_id, content in contents.items():
                padded = content.ljust(length, b"\0")  # decoders stop at the end mark
                write_whole(partial / f"{item_id}{_SUFFIX}", padded)
                hashes[item_id] = hashlib.sha256(padded).hexdigest()
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return hashes

    def read(self, study_id: str, file_id: str, sha256: str) -> bytes:
        """The bytes of a picture. Raises DataNotFound when it is gone, ImageNotReadable when it was changed."""
        try:
            content = (self._root / study_id / f"{file_id}{_SUFFIX}").read_bytes()
        except OSError as error:
            raise DataNotFound(
                f"A picture of this study cannot be read ({error.strerror}). Tell whoever looks after the app."
            ) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ImageNotReadable("A picture of this study was changed since it was made. Tell its owner.")
        return content

    def remove(self, study_id: str) -> None:
        """Remove a study's pictures; nothing happens when there are none."""
        shutil.rmtree(self._root / study_id, ignore_errors=True)


def _framed(picture: Image.Image) -> Image.Image:
    """The disc in the picture on grey, with a smooth edge."""
    scale, side = 4, picture.width
    mask = Image.new("L", (side * scale, side * scale), 0)
    ImageDraw.Draw(mask).ellipse((0, 0, side * scale - 1, side * scale - 1), fill=255)
    return Image.composite(picture, Image.new("RGB", picture.size, GREY), mask.resize(picture.size))


def _encoded(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()
