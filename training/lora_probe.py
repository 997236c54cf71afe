"""Probe samples of a run: does control and realism improve, not only the loss?

The seven diagnoses, each asked for at its plainest and at its wildest with one seed, judged by the embedded
measurement and classifier, and held against the training pictures. Beside the sheet of pictures stands a JSON file with
what was found on each, for pages.
A few images: they show a trend within a run, not a quality.
"""

import base64
import io
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from dermaflux.classification import LesionClassifier
from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import HAM_DIAGNOSES, Diagnosis, LesionSpec, typical_colours
from dermaflux.domain.records import Measurement
from dermaflux.generation.catalogue import ModelEntry
from dermaflux.generation.denoising import decode, denoise, draw_noise
from dermaflux.generation.guidance import Guidance
from dermaflux.generation.prompts import PromptEncoder
from dermaflux.measurement.measurer import Measurer
from training.contact_sheet import draw_sheet
from training.memorisation_check import MemorisationCheck, NearestTrained
from training.whole_files import write_whole

_PLAINEST, _WILDEST = (0.0, 0.0, 1), (2.0, 8.0, 5)
_ATTRIBUTES = ("asymmetry", "border", "num_colours")
_SHOWN_PX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """The embedded models that look at the probes."""

    measurer: Measurer
    classifier: LesionClassifier
    memorisation: MemorisationCheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One probe: what was asked, its picture, and what the judges found on it."""

    spec: LesionSpec
    image: Image.Image
    measured: Measurement
    malignant: float | None
    nearest: NearestTrained | None


class Prober:
    """Samples the probes with the pipeline as it is now. Captions are encoded once, when it is made."""

    def __init__(self, pipeline: Any, entry: ModelEntry, judges: Judges, size_px: int, seed: int) -> None:
        self._pipeline, self._entry, self._judges = pipeline, entry, judges
        self._size_px, self._seed = size_px, seed
        encoder = PromptEncoder(pipeline, entry.text_tokens)
        guided = not entry.distilled_guidance and entry.guidance_scale > 1
        self._guidance = [
            Guidance(
                caption=encoder.encode(compose(spec)),
                empty=encoder.encode("") if guided else None,
                scale=entry.guidance_scale,
            )
            for spec in probe_specs()
        ]

    def run(self, sheet: Path) -> dict[str, float | None]:
        """Sample and judge every probe, write them as one sheet; the figures by name."""
        images = [self._sample(guidance) for guidance in self._guidance]
        _write_sheet(images, sheet)
        found = [self._judges.measurer.measure(image) for image in images]
        malignant = [prediction.malignant for prediction in self._judges.classifier.predict(images)]
        check = self._judges.memorisation
        near = check.nearest(images) if check else []
        lines = [
            _line(_Judged(spec=spec, image=image, measured=seen, malignant=score, nearest=distance))
            for spec, image, seen, score, distance in zip(
                probe_specs(), images, found, malignant, near or [None] * len(images), strict=True
            )
        ]
        write_whole(sheet.with_suffix(".json"), json.dumps(lines) + "\n")
        return probe_figures(found, malignant) | (check.figures(near) if check else {})

    def _sample(self, guidance: Guidance) -> Image.Image:
        noise = draw_noise(self._pipeline, self._seed, self._size_px)
        *_, last = denoise(self._pipeline, guidance, noise, self._size_px, self._entry.num_steps)
        return decode(self._pipeline, last.latents, self._size_px)


def probe_specs() -> tuple[LesionSpec, ...]:
    """Every diagnosis at its plainest, then every diagnosis at its wildest."""
    return tuple(
        LesionSpec(asymmetry=a, border=b, colours=typical_colours(count, diagnosis), diagnosis=diagnosis)
        for a, b, count in (_PLAINEST, _WILDEST)
        for diagnosis in HAM_DIAGNOSES
    )


def probe_figures(found: list[Measurement], malignant: list[float | None]) -> dict[str, float | None]:
    """What the probes show, in the order of `probe_specs`.

    Of each attribute the mean at the plainest and at the wildest request (None where nothing could be measured), the
    AUC of P(malignant) between malignant and benign requests (None when an image could not be classified), and the
    share that was refused.
    """
    half = len(HAM_DIAGNOSES)
    figures: dict[str, float | None] = {
        f"probe_{name}_{level}": _mean([getattr(m, name) for m in part])
        for name in _ATTRIBUTES
        for level, part in (("low", found[:half]), ("high", found[half:]))
    }
    asked = [diagnosis.is_malignant for diagnosis in HAM_DIAGNOSES] * 2
    known = [score for score in malignant if score is not None]
    figures["probe_malignant_auc"] = float(roc_auc_score(asked, known)) if len(known) == len(asked) else None
    figures["probe_refused"] = sum(m.refused is not None for m in found) / len(found)
    return figures


def _line(probe: _Judged) -> dict[str, Any]:
    """Of a probe what was asked and found, and its picture as a JPEG in base64; no training picture."""
    asked = {"diagnosis": str(probe.spec.diagnosis), "asymmetry": probe.spec.asymmetry, "border": probe.spec.border}
    measured = {name: getattr(probe.measured, name) for name in _ATTRIBUTES}
    return {
        "asked": asked | {"num_colours": len(probe.spec.colours)},
        "measured": measured | {"refused": probe.measured.refused},
        "malignant": probe.malignant,
        "nearest": asdict(probe.nearest) if probe.nearest else None,
        "jpeg": _jpeg(probe.image),
    }


def _jpeg(image: Image.Image) -> str:
    small, buffer = image.convert("RGB"), io.BytesIO()
    small.thumbnail((_SHOWN_PX, _SHOWN_PX))
    small.save(buffer, "JPEG", quality=88)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _write_sheet(images: list[Image.Image], path: Path) -> None:
    half = len(HAM_DIAGNOSES)
    rows = [(Diagnosis(d).label, [images[i], images[half + i]]) for i, d in enumerate(HAM_DIAGNOSES)]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    draw_sheet(rows, images[0].width).save(temporary, "PNG")
    os.replace(temporary, path)
