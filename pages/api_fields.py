"""What programs send and get: the fields of a lesion, of one image and of a verdict, as types a schema is made of.

Plain records; no service and no handler.
"""

from typing import Any, TypedDict

from dermaflux.domain.lesion import (
    Colour,
    Diagnosis,
    LesionSpec,
    Sex,
    Site,
    SkinTone,
    choice,
    typical_colours,
)
from dermaflux.domain.records import DISCLAIMER
from dermaflux.services.records import Finished

Answer = dict[str, Any]


class LesionFields(TypedDict, total=False):
    """A lesion as a program states it; colours by name, or how many."""

    asymmetry: float
    border: float
    colours: list[Colour] | int
    diagnosis: Diagnosis
    age: float | None
    sex: Sex | None
    site: Site | None
    skin_tone: SkinTone | None


class VerdictAnswer(TypedDict):
    """A verdict as it stands now; None: none."""

    image_id: str
    verdict: str | None
    dataset: str


class StoredVerdict(VerdictAnswer):
    """A verdict just stored, and the version of the image with it."""

    version: int


def lesion_of(fields: LesionFields) -> LesionSpec:
    """The lesion. Raises InvalidRequest for a field that is missing, unknown or out of range."""
    values: dict[str, Any] = dict(fields)
    if isinstance(values.get("colours"), int):
        side = choice("diagnosis", values.get("diagnosis"), Diagnosis)
        values["colours"] = [str(colour) for colour in typical_colours(values["colours"], side)]
    return LesionSpec.from_dict(values)


def image_answer(event: Finished) -> Answer:
    """One finished image: what it is, how it was made, what was measured and predicted."""
    stored = event.stored
    made = {name: stored.generated.get(name) for name in ("caption", "spec", "seed", "model", "model_sha256")}
    return {
        "image_id": stored.image_id,
        "sha256": stored.sha256,
        **made,
        **event.assessment.to_dict(),
        "statement": DISCLAIMER,
    }
