"""From any picture to what the network is shown, and where each view lies on the picture.

The same code serves the app and the validation during training, so both see the same pixels.
It knows no network and no label.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from dermaflux.domain.errors import InvalidRequest

CROPS = ("centre", "whole", "both")
MIN_SIDE_PX = 32
MIN_CONTRAST = 6.0
"""Grey levels (of 255) between the 1st and the 99th percentile below which a picture is called blank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """What the network was trained to see: square size, mean and sd a channel (0..1), and the crop.

    crop: `centre` = largest centred square, `whole` = the frame squeezed to a square, `both` = the mean.
    """

    size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: str = "centre"

    def __post_init__(self) -> None:
        """Raise InvalidRequest when the crop is unknown or the sizes cannot be."""
        if self.crop not in CROPS:
            raise InvalidRequest(f"crop is {self.crop!r}. Choose one of: {', '.join(CROPS)}.")
        if self.size_px < 16 or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InvalidRequest("size_px must be 16 or more, with three means and three positive sds.")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One square view of a picture: the box (left, top, right, bottom), in its pixels, and the pixels seen."""

    box: tuple[int, int, int, int]
    pixels: np.ndarray


def to_rgb(picture: Image.Image) -> Image.Image:
    """The picture in 8-bit RGB: grey is repeated, 16-bit scaled, what is transparent becomes white."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, dtype=np.float32)
        top = 65535.0 if values.size and values.max() > 255 else 255.0
        picture = Image.fromarray((values / top * 255).clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        coloured = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured)
    return picture.convert("RGB")


def refusal(rgb: Image.Image) -> str | None:
    """Why no honest prediction can be given for an RGB picture, or None when one can."""
    if min(rgb.size) < MIN_SIDE_PX:
        return (
            f"The picture is {rgb.width}x{rgb.height} px, but at least {MIN_SIDE_PX} px a side are needed. "
            "Use a larger one."
        )
    grey = np.asarray(rgb.convert("L").resize((64, 64), Image.Resampling.BOX))
    low, high = np.percentile(grey, (1, 99))
    if high - low < MIN_CONTRAST:
        return "The picture is blank: it shows no structure to classify. Use a picture of a lesion."
    return None


def views(rgb: Image.Image, facts: InputFacts) -> list[View]:
    """The square views of a picture, uint8 (size, size, 3) each; `both` gives one where they coincide."""
    boxes = _boxes(rgb.size, facts.crop)
    square = (facts.size_px, facts.size_px)
    return [
        View(box=box, pixels=np.asarray(rgb.resize(square, Image.Resampling.BICUBIC, box=box)))
        for box in boxes
    ]


def normalised(pixels: np.ndarray | torch.Tensor, facts: InputFacts) -> torch.Tensor:
    """uint8 (B, H, W, 3) as float32 (B, 3, H, W), channels last in memory, with the network's mean and sd."""
    tensor = torch.as_tensor(pixels).permute(0, 3, 1, 2).to(torch.float32) / 255.0
    mean = torch.tensor(facts.mean, device=tensor.device).view(1, 3, 1, 1)
    std = torch.tensor(facts.std, device=tensor.device).view(1, 3, 1, 1)
    return ((tensor - mean) / std).contiguous(memory_format=torch.channels_last)


def turned(pixels: np.ndarray, count: int) -> list[np.ndarray]:
    """The first `count` (1, 2, 4 or 8) turns and mirror images of a square (H, W, ...); `unturned` inverts."""
    return [_turn(pixels, index) for index in range(count)]


def unturned(array: np.ndarray, index: int) -> np.ndarray:
    """Turn number `index` of `turned` undone, on the first two axes."""
    back = np.rot90(array, -(index // 2))
    return back[:, ::-1] if index % 2 else back


def _turn(array: np.ndarray, index: int) -> np.ndarray:
    flipped = array[:, ::-1] if index % 2 else array
    return np.ascontiguousarray(np.rot90(flipped, index // 2))


def _boxes(size: Sequence[int], crop: str) -> list[tuple[int, int, int, int]]:
    width, height = size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    centre, whole = (left, top, left + side, top + side), (0, 0, width, height)
    wanted = {"centre": [centre], "whole": [whole], "both": [centre, whole]}[crop]
    return list(dict.fromkeys(wanted))
