"""The measurer: one picture in, one `Measurement` out, in the units of `LesionSpec` or refused in words.

Wires segmenter, checks, raw measures and calibration. It knows no store, no front end and no setting.
"""

from pathlib import Path
from typing import Protocol, Self

import numpy as np
from PIL import Image

from dermaflux.domain.errors import InvalidRequest, NotMeasurable
from dermaflux.domain.lesion import SkinTone
from dermaflux.domain.records import Measurement
from dermaflux.measurement.calibration import CALIBRATION_NAME, Calibration
from dermaflux.measurement.masks import (
    analysis_mask,
    analysis_picture,
    check_certain,
    check_measurable,
    lesion_mask,
)
from dermaflux.measurement.raw import RawMeasures, raw_measures, skin_angle
from dermaflux.measurement.skin import skin_tone

SEGMENTER_FOLDER = "segmenter"
CALIBRATION_FOLDER = "measurement"


class LesionFinder(Protocol):
    """Anything that gives a lesion probability map (h, w) in 0..1 for an RGB picture."""

    def probability(self, image: Image.Image) -> np.ndarray:
        """Lesion probability, float32 (h, w), of any resolution at the picture's aspect."""
        ...


class Measurer:
    """Segments and measures pictures; holds the network and the calibration, keeps no state between calls."""

    def __init__(self, segmenter: LesionFinder, calibration: Calibration) -> None:
        self._segmenter = segmenter
        self.calibration = calibration

    @classmethod
    def from_folder(cls, models_dir: Path) -> Self:
        """The embedded measurer of an assets/models folder; its calibration lies in ../measurement.

        Raises ModelNotAvailable when weights or calibration are missing or unreadable.
        """
        from dermaflux.measurement.segmenter import Segmenter  # torch is loaded on first use only

        calibration = Calibration.load(models_dir.parent / CALIBRATION_FOLDER / CALIBRATION_NAME)
        return cls(Segmenter.load(models_dir / SEGMENTER_FOLDER), calibration)

    def measure(self, image: Image.Image, mask: np.ndarray | None = None) -> Measurement:
        """All numbers of one picture; `refused` says why when there can be none.

        mask: bool or 0/1 (H, W) in the picture's size, instead of the embedded segmenter's. The
        calibration holds for the segmenter's masks; other masks shift the numbers somewhat.
        Raises InvalidRequest when the mask is not of the picture's size.
        """
        if mask is not None and np.shape(mask) != (image.height, image.width):
            raise InvalidRequest(
                f"The mask is {np.shape(mask)}, the image {(image.height, image.width)} (height, width). "
                "Give a mask of the image's size."
            )
        try:
            picture = analysis_picture(image)
            found = (
                self._certain_mask(picture) if mask is None else analysis_mask(mask, picture.size)
            )
            check_measurable(found)
            raw = raw_measures(np.asarray(picture), found)
            return measurement_of(raw, float(found.mean()), self.calibration)
        except NotMeasurable as refusal:
            return Measurement(refused=str(refusal))

    def segment(self, image: Image.Image) -> np.ndarray:
        """The lesion as bool (H, W) in the picture's own size; all false when there is none."""
        try:
            picture = analysis_picture(image)
            found = lesion_mask(self._segmenter.probability(picture), picture.size)
        except NotMeasurable:
            return np.zeros((image.height, image.width), dtype=bool)
        full = Image.fromarray(found.astype(np.uint8) * 255).resize(
            image.size, Image.Resampling.BICUBIC
        )
        return np.asarray(full) > 127

    def skin_tone(self, image: Image.Image) -> SkinTone | None:
        """The skin type that the skin around the lesion looks like, an estimate; None where too little of it is seen.

        It is asked of lesions too that cannot be measured, such as those the frame cuts.
        """
        try:
            picture = analysis_picture(image)
            found = lesion_mask(self._segmenter.probability(picture), picture.size)
            angle = skin_angle(np.asarray(picture), found)
        except NotMeasurable:
            return None
        return None if angle is None else skin_tone(angle)

    def _certain_mask(self, picture: Image.Image) -> np.ndarray:
        probability = self._segmenter.probability(picture)
        check_certain(probability)
        return lesion_mask(probability, picture.size)


def measurement_of(raw: RawMeasures, mask_area: float, calibration: Calibration) -> Measurement:
    """The record of a measured lesion: raw measures brought to the units of `LesionSpec`."""
    variegation = calibration.colour.percentile(raw.values)
    colours = calibration.share_rule.present(raw.shares, variegation)
    return Measurement(
        asymmetry=calibration.asymmetry.value(raw.values),
        border=calibration.border.value(raw.values),
        colours=colours,
        num_colours=len(colours),
        colour_score=calibration.colour.value(raw.values),
        mask_area=mask_area,
        raw=dict(raw.values),
    )
