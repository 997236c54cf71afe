"""Records -> what one card shows. Plain dicts, JSON-ready, in the shape that assets/web/card.js reads.

Pure: no service, no file (the caller hands in the picture as a URI), no Gradio.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dermaflux.domain.caption import ASYMMETRY_WORDS, BORDER_WORDS, asymmetry_level, border_level
from dermaflux.domain.lesion import (
    ASYMMETRY_RANGE,
    BORDER_RANGE,
    DIAGNOSIS_NAMES,
    Colour,
    Diagnosis,
    LesionSpec,
)
from dermaflux.domain.records import StoredImage
from dermaflux.services.records import Explanation, assessment_of

Card = dict[str, Any]
TOP_DIAGNOSES = 3
_SHORT_HASH = 12


def image_title(index: int, seed: int) -> str:
    """How an image of a job is named on its card."""
    return f"Image {index + 1} · seed {seed}"


def empty_card(index: int, title: str, num_steps: int | None) -> Card:
    """The card of an image that has not begun."""
    return {
        "key": str(index),
        "state": "waiting",
        "status": "Waiting",
        "title": title,
        "alt": "Synthetic lesion, not yet sampled",
        "step": 0,
        "num_steps": num_steps or 0,
        "preview": None,
        "picture": None,
        "image_id": None,
        "verdict": None,
        "note": None,
    }


def skipped_card(card: Card) -> Card:
    """What an image's card becomes when the image is skipped."""
    return card | {"state": "skipped", "status": "Skipped", "alt": "Skipped, not drawn", "step": 0, "preview": None}


def stored_card(stored: StoredImage, *, key: str, title: str, picture: str) -> Card:
    """The card of a finished image: what was asked, what was measured, what the classifier says."""
    asked = stored.requested
    measurement = stored.assessment.get("measurement") or {}
    prediction = stored.assessment.get("prediction") or {}
    return {
        "key": key,
        "state": "done",
        "status": "",
        "title": title,
        "alt": _alt(asked),
        "step": 0,
        "num_steps": 0,
        "preview": None,
        "picture": picture,
        "image_id": stored.image_id,
        "verdict": str(stored.verdict) if stored.verdict else None,
        "note": None,
        "attributes": _attributes(asked, measurement),
        "colours": _colours(asked, measurement),
        "refused": measurement.get("refused"),
        "prediction": _prediction(asked, prediction),
        "nearest": _nearest(stored),
        "caption": str(stored.generated.get("caption", "")),
        "details": _details(stored),
    }


def saliency_view(found: Explanation) -> dict[str, str]:
    """The words beside a saliency map: its side in short and in full, and its scores without what is not known."""
    sides = {"requested": found.requested, "predicted": found.predicted}
    who = [name for name, side in sides.items() if side == found.side]
    side = f"{found.side}, {' and '.join(who)}" if who else str(found.side)
    return {
        "label": f"{who[0] if who else 'for'} {found.side}".capitalize(),
        "alt": f"Saliency map over the synthetic lesion: what speaks for {side}",
        "note": "; ".join([f"What speaks for {side}", *_saliency_scores(found)]),
    }


def _saliency_scores(found: Explanation) -> list[str]:
    words = []
    if found.inside_lesion_share is not None and found.lesion_area is not None:
        words.append(
            f"{found.inside_lesion_share:.0%} of the map lies inside the lesion, which fills {found.lesion_area:.0%}"
        )
    if found.deletion is not None and found.insertion is not None:
        words.append(f"deletion {found.deletion:.2f}, insertion {found.insertion:.2f}")
    return words


def _nearest(stored: StoredImage) -> dict[str, Any] | None:
    """How near a training picture comes, in words, and whether that is a flag; None where nothing was compared."""
    nearest = assessment_of(stored).nearest
    if nearest is None:
        return None
    likeness, limit = f"Similarity {1 - nearest.distance:.3f} to {nearest.image_id}", f"{1 - nearest.threshold:.3f}"
    if nearest.is_copy:
        words = f"May be memorised. {likeness}; from {limit} on it counts as a copy and is left out of exports."
    else:
        words = f"{likeness}; under {limit}, so not flagged as a copy."
    return {"text": words, "flag": nearest.is_copy}


def _attributes(asked: LesionSpec | None, measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": "Asymmetry",
            "max": ASYMMETRY_RANGE[1],
            "requested": asked.asymmetry if asked else None,
            "measured": measured.get("asymmetry"),
            "word": ASYMMETRY_WORDS[asymmetry_level(asked.asymmetry)][0] if asked else "",
        },
        {
            "name": "Border",
            "max": BORDER_RANGE[1],
            "requested": asked.border if asked else None,
            "measured": measured.get("border"),
            "word": BORDER_WORDS[border_level(asked.border)][0] if asked else "",
        },
    ]


def _colours(asked: LesionSpec | None, measured: Mapping[str, Any]) -> dict[str, Any]:
    found = None if measured.get("refused") else measured.get("colours")
    return {
        "names": [str(colour) for colour in Colour],
        "requested": [str(colour) for colour in asked.colours] if asked else None,
        "measured": None if found is None else [str(colour) for colour in found],
    }


def _prediction(asked: LesionSpec | None, prediction: Mapping[str, Any]) -> dict[str, Any] | None:
    if not prediction:
        return None
    if prediction.get("refused"):
        return {"refused": prediction["refused"]}
    malignant, threshold = prediction["malignant"], prediction["threshold"]
    return {
        "refused": None,
        "malignant": malignant,
        "threshold": threshold,
        "agrees": None if asked is None else (malignant >= threshold) == asked.malignant,
        "top": _top(prediction.get("diagnosis") or {}),
    }


def _top(probabilities: Mapping[str, float]) -> list[tuple[str, float]]:
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])[:TOP_DIAGNOSES]
    return [
        (DIAGNOSIS_NAMES[Diagnosis(name)].capitalize(), probability) for name, probability in ranked
    ]


def _alt(asked: LesionSpec | None) -> str:
    if asked is None:
        return "Synthetic lesion made from free text"
    return (
        f"Synthetic lesion, requested: {asked.diagnosis.label}, asymmetry {asked.asymmetry:g}, "
        f"border {asked.border:g}, {len(asked.colours)} colours"
    )


def _details(stored: StoredImage) -> list[tuple[str, str]]:
    made = stored.generated
    rows: Sequence[tuple[str, Any]] = (
        ("Image", stored.image_id),
        ("Made", stored.created_at[:19].replace("T", " ")),
        ("Seed", made.get("seed")),
        ("Steps", made.get("steps")),
        ("Chosen from", f"{n} candidates" if (n := made.get("chosen_from", 1)) > 1 else None),
        ("Guidance", made.get("guidance_scale")),
        ("Contrast", made.get("contrast_scale")),
        ("Size", f"{made['size_px']} px" if made.get("size_px") else None),
        ("Model", _named(made, "model")),
        ("Adapter", _named(made, "adapter")),
        ("Licence", made.get("licence")),
        ("File sha256", stored.sha256),
    )
    return [(name, str(value)) for name, value in rows if value not in (None, "")]


def _named(made: Mapping[str, Any], field: str) -> str | None:
    name, sha256 = made.get(field), made.get(f"{field}_sha256")
    return None if not name else f"{name} ({sha256[:_SHORT_HASH]})" if sha256 else str(name)
