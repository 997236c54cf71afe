"""A step preview as a few kilobytes, for a page in another process than its worker: three numbers, then a JPEG."""

import io
import struct
from typing import Any

from PIL import Image

from dermaflux.domain.records import StepPreview

PREVIEW_SIZE_PX = 256
_JPEG_QUALITY = 80
_NUMBERS = struct.Struct(">HHH")  # image_index, step, num_steps


def pack_preview(preview: Any) -> bytes | None:
    """The bytes of a StepPreview, at most 256 px a side; None for anything else."""
    if not isinstance(preview, StepPreview):
        return None
    small = preview.image.convert("RGB")
    small.thumbnail((PREVIEW_SIZE_PX, PREVIEW_SIZE_PX), Image.Resampling.BILINEAR)
    content = io.BytesIO()
    small.save(content, "JPEG", quality=_JPEG_QUALITY)
    return _NUMBERS.pack(preview.image_index, preview.step, preview.num_steps) + content.getvalue()


def unpack_preview(content: bytes) -> StepPreview:
    """The preview that `pack_preview` packed."""
    image_index, step, num_steps = _NUMBERS.unpack_from(content)
    with Image.open(io.BytesIO(content[_NUMBERS.size :]), formats=["JPEG"]) as image:
        return StepPreview(image_index=image_index, step=step, num_steps=num_steps, image=image.convert("RGB"))
