"""From probabilities to a mask, and the checks that decide whether a lesion can be measured at all.

A refusal is a sentence, never a number. It knows no network and no score.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from dermaflux.domain.errors import NotMeasurable

ANALYSIS_AREA_PX = 200 * 150
MIN_SIDE_PX = 48
MIN_AREA_SHARE, MAX_AREA_SHARE = 0.01, 0.80
MAX_FRAME_SHARE = 0.20
MIN_CONFIDENCE = 0.4
_MIN_CONTRAST = 3.0
_CONFIDENT, _SURE, _MAYBE = 0.5, 0.7, 0.3


def analysis_picture(image: Image.Image) -> Image.Image:
    """The picture as RGB at the standard area of 30,000 px, aspect kept; transparency on white.

    Raises NotMeasurable when a side is under MIN_SIDE_PX or the picture is one flat colour.
    """
    if min(image.size) < MIN_SIDE_PX:
        raise NotMeasurable(
            f"The image is {image.width}x{image.height} px, too small to measure. "
            f"Use one with at least {MIN_SIDE_PX} px a side."
        )
    scale = (ANALYSIS_AREA_PX / (image.width * image.height)) ** 0.5
    size_px = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    picture = _opaque(image).resize(size_px, Image.Resampling.BICUBIC)
    pixels = np.asarray(picture, dtype=np.float32)
    if float(pixels.std(axis=(0, 1)).max()) < _MIN_CONTRAST:
        raise NotMeasurable(
            "The image is blank: one even colour throughout. Use a picture that shows a lesion."
        )
    return picture


def analysis_mask(mask: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """A given mask (H, W) of any size as bool at (width, height) `size_px`: more than half covered."""
    cover = Image.fromarray((np.asarray(mask) > 0).astype(np.uint8) * 255)
    return np.asarray(cover.resize(size_px, Image.Resampling.BOX)) > 127


def lesion_mask(probability: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """The lesion of a probability map (h, w) as bool at (width, height) `size_px`, maybe empty.

    Above one half, the component with the most central weight, holes filled.
    """
    grown = Image.fromarray(probability).resize(size_px, Image.Resampling.BICUBIC)
    return main_component(np.asarray(grown) > _CONFIDENT)


def mask_confidence(probability: np.ndarray) -> float:
    """How sure the outline is, 0..1: overlap (IoU) of the masks above .7 and above .3; 0 without a lesion."""
    sure, maybe = main_component(probability > _SURE), main_component(probability > _MAYBE)
    union = int((sure | maybe).sum())
    return float((sure & maybe).sum()) / union if union else 0.0


def connected_parts(mask: np.ndarray, *, diagonal: bool = False) -> tuple[np.ndarray, int]:
    """The connected parts of a bool mask: int labels from 1 (0 outside) and their number."""
    labels = np.empty(mask.shape, dtype=np.int32)
    ndimage.label(mask, structure=ndimage.generate_binary_structure(2, 1 + diagonal), output=labels)
    return labels, int(labels.max(initial=0))


def main_component(mask: np.ndarray) -> np.ndarray:
    """The largest connected part, with central parts counting more, holes filled; empty stays empty."""
    labels, count = connected_parts(mask)
    if count == 0:
        return mask
    weight = np.bincount(labels.ravel(), _centrality(mask.shape).ravel(), minlength=count + 1)
    weight[0] = 0
    return np.asarray(ndimage.binary_fill_holes(labels == weight.argmax()))


def check_measurable(mask: np.ndarray) -> None:
    """Raise NotMeasurable when the mask is empty, too small, too large or cut by the frame."""
    share = float(mask.mean())
    if share < MIN_AREA_SHARE:
        what = (
            "No lesion was found"
            if share == 0
            else f"The lesion covers only {share:.1%} of the image"
        )
        raise NotMeasurable(
            f"{what}, so nothing can be measured. Use a picture with a larger lesion."
        )
    if share > MAX_AREA_SHARE:
        raise NotMeasurable(
            f"The lesion covers {share:.0%} of the image, so no outline or skin is left to measure. "
            "Use a picture that shows skin around it."
        )
    cut = frame_share(mask)
    if cut > MAX_FRAME_SHARE:
        raise NotMeasurable(
            f"The frame cuts {cut:.0%} of the lesion's outline, so its shape is not known. "
            "Use a picture that shows the whole lesion."
        )


def check_certain(probability: np.ndarray) -> None:
    """Raise NotMeasurable when the segmenter's own outline is in doubt (`mask_confidence` too low)."""
    confidence = mask_confidence(probability)
    if probability.max() > _SURE and confidence < MIN_CONFIDENCE:
        raise NotMeasurable(
            f"The outline of the lesion is unclear (confidence {confidence:.2f}), so its numbers would be "
            "guesses. Use a picture with a clearer lesion, or give a mask."
        )


def frame_share(mask: np.ndarray) -> float:
    """The share of the outline that lies on the edge of the picture, 0..1; 0 for an empty mask."""
    inner = np.asarray(ndimage.binary_erosion(mask, border_value=0), dtype=bool)
    outline = mask & ~inner
    total = int(outline.sum())
    if total == 0:
        return 0.0
    edge = outline.copy()
    edge[1:-1, 1:-1] = False
    return float(edge.sum()) / total


def _centrality(shape: tuple[int, ...]) -> np.ndarray:
    y = np.linspace(-1, 1, shape[0])[:, None]
    x = np.linspace(-1, 1, shape[1])[None]
    return np.exp(-(x**2 + y**2))


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
