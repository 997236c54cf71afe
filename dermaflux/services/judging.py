"""What is seen on an image: measurement, classification, mask, saliency, features. Any picture, stored or not."""

import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dermaflux.domain.errors import (
    DataNotFound,
    ImageNotReadable,
    InvalidRequest,
    ModelNotAvailable,
)
from dermaflux.domain.lesion import ExplainedSide, LesionSpec, Side, SkinTone
from dermaflux.domain.records import Assessment, Measurement, NearestTraining, Prediction
from dermaflux.provenance import read_provenance
from dermaflux.services import pictures
from dermaflux.services.records import Explanation
from dermaflux.services.wiring import Wiring

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


class Judging(Wiring):
    """The measurer and the classifier behind plain calls. Raises ModelNotAvailable when a model is missing."""

    def assess(self, image: "Image.Image") -> Assessment:
        """Measure and classify one image."""
        return Assessment(measurement=self.measure(image), prediction=self.classify(image))

    def assess_as_far_as_can_be(self, image: "Image.Image") -> Assessment:
        """The same; where a judge is not installed, its refusal: the image itself is still good."""
        try:
            measurement = self.measure(image)
        except ModelNotAvailable as error:
            measurement = Measurement(refused=str(error))
        try:
            prediction = self.classify(image)
        except ModelNotAvailable as error:
            prediction = Prediction(refused=str(error))
        return Assessment(measurement=measurement, prediction=prediction, nearest=self.nearest_training(image))

    def nearest_training(self, image: "Image.Image") -> NearestTraining | None:
        """How near the image comes to a picture the embedded generator learned from; None where that is not known."""
        known = self._training_vectors()
        if not known.given:
            return None
        vectors, threshold = known.given
        distance, image_id = vectors.nearest(self._descriptor().embed([image])[0])
        return NearestTraining(distance=round(distance, 4), threshold=round(threshold, 4), image_id=image_id)

    def measure(self, image: "Image.Image") -> Measurement:
        """Asymmetry, border and colours, or why not."""
        return self._measurer().measure(image)

    def classify(self, image: "Image.Image") -> Prediction:
        """The calibrated P(malignant) and the diagnoses, or why not."""
        return self._classifier().predict([image])[0]

    def calibration_note(self) -> str:
        """What is known of how far the classifier's probabilities can be taken at their word; empty if nothing is."""
        try:
            facts = json.loads((self.classifier_folder() / "config.json").read_text(encoding="utf-8"))
            val, data = facts["metrics"]["val"], str(facts["data_name"]).partition(",")[0]
            share = val["num_positive"] / val["num_pictures"]
            return (
                f"Calibrated on real pictures of {data}: mean error {val['ece']:.3f}, {share:.0%} malignant there. "
                "How well it holds on synthetic ones is not known."
            )
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            return ""  # one without figures gets no note; one that is broken says so when it is used

    def segment(self, image: "Image.Image") -> "Image.Image":
        """The lesion mask of an image: mode L, 0 or 255, in its size; all 0 when no lesion is found."""
        from PIL import Image

        mask = self._measurer().segment(image)
        return Image.fromarray(mask.astype("uint8") * 255)

    def skin_tone(self, image: "Image.Image") -> SkinTone | None:
        """The skin type that the skin around the lesion looks like: an estimate, None where too little is seen."""
        return self._measurer().skin_tone(image)

    def explain(
        self, image: "Image.Image", side: ExplainedSide = "predicted", spec: LesionSpec | None = None
    ) -> Explanation:
        """What speaks for a side, how far the map names what that side rests on, and how much of it is on the lesion.

        spec: what was asked of the picture, where that is known. Raises InvalidRequest when the side that was requested
        is asked for and it is not.
        """
        from dermaflux.classification import overlay

        requested = side_of(spec.malignant) if spec else None
        if side == "requested" and requested is None:
            raise InvalidRequest(
                "No lesion was described for this image, so no side was requested. "
                "Ask for predicted, benign or malignant."
            )
        classifier = self._classifier()
        prediction = classifier.predict([image])[0]
        if prediction.malignant is None or prediction.threshold is None:
            return Explanation(requested=requested, refused=prediction.refused)
        predicted = side_of(prediction.malignant >= prediction.threshold)
        explained = requested if side == "requested" else predicted if side == "predicted" else side
        where = classifier.saliency(image, malignant=explained == "malignant")
        found = classifier.faithfulness(image, where, malignant=explained == "malignant")
        inside, area = self._lesion_shares(image, where)
        return Explanation(
            side=explained,
            predicted=predicted,
            requested=requested,
            malignant=prediction.malignant,
            deletion=found.deletion,
            insertion=found.insertion,
            inside_lesion_share=inside,
            lesion_area=area,
            overlay=overlay(image, where),
        )

    def lesion_embedder(self, features: Path | None = None) -> Callable[[Sequence["Image.Image"]], "np.ndarray"]:
        """What gives images the (N, D) features in which copies are looked for: the embedded descriptor, or a model.

        `features` as for `embedder`. Raises ModelNotAvailable.
        """
        return self._descriptor().embed if features is None else self.embedder(features)

    def embedder(self, features: Path | None = None) -> Callable[[Sequence["Image.Image"]], "np.ndarray"]:
        """What gives images the (N, D) features in which sets are compared: the embedded classifier, or a model.

        `features` is a folder of transformers or a file of Inception v3. Raises ModelNotAvailable.
        """
        if features is None:
            return self._classifier().embed
        from dermaflux.classification.feature_extractor import FeatureExtractor

        return FeatureExtractor.load(features, self._judging_device()).embed

    def measure_file(self, path: Path) -> Measurement:
        """Measure a picture file. Raises ImageNotReadable."""
        return self.measure(self.open_picture(path))

    def classify_file(self, path: Path) -> Prediction:
        """Classify a picture file. Raises ImageNotReadable."""
        return self.classify(self.open_picture(path))

    def explain_file(self, path: Path, side: ExplainedSide = "predicted") -> Explanation:
        """Explain the classifier's view of a picture file, which may say itself what was asked of it.

        Raises ImageNotReadable, or InvalidRequest when the requested side is asked for and the file names none.
        """
        return self.explain(self.open_picture(path), side, _spec_in(path))

    def segment_file(self, path: Path) -> "Image.Image":
        """The lesion mask of a picture file: mode L, 0 or 255, in its size. Raises ImageNotReadable."""
        return self.segment(self.open_picture(path))

    def find_pictures(self, paths: Iterable[Path]) -> list[Path]:
        """The picture files among files and folders. Raises DataNotFound or InvalidRequest."""
        return pictures.find_pictures(paths)

    def open_picture(self, path: Path) -> "Image.Image":
        """A decoded picture file. Raises ImageNotReadable."""
        return pictures.open_picture(path)

    def write_pairs(self, path: Path, pairs: "Sequence[tuple[Image.Image, Image.Image]]") -> None:
        """Write pairs of pictures side by side as one PNG. Raises StorageNotWritable."""
        content = io.BytesIO()
        pictures.pair_sheet(pairs).save(content, "PNG")
        self.prepare_folder(path.parent)
        self.write_whole(path, content.getvalue())

    def prepare_folder(self, folder: Path) -> Path:
        """The folder, made when missing and shown to be writable. Raises StorageNotWritable."""
        return pictures.prepare_folder(folder)

    def write_whole(self, path: Path, content: bytes) -> None:
        """Write a file so that nobody ever sees half of it. Raises StorageNotWritable."""
        pictures.write_whole(path, content)

    def _lesion_shares(self, image: "Image.Image", where: "np.ndarray") -> tuple[float | None, float | None]:
        """The share of a map (H, W) inside the lesion, and the lesion's share of the frame; None without a lesion."""
        try:
            mask = self._measurer().segment(image)
        except ModelNotAvailable:  # the map is good without it
            return None, None
        total = float(where.sum())
        if not mask.any() or not total:
            return None, None
        return float(where[mask].sum()) / total, float(mask.mean())


def side_of(malignant: bool) -> Side:
    """The name of a side."""
    return "malignant" if malignant else "benign"


def _spec_in(path: Path) -> LesionSpec | None:
    try:
        return read_provenance(path).spec
    except (DataNotFound, ImageNotReadable):  # a picture of somebody else's
        return None
