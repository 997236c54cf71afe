"""What programs send and get: the fields of a lesion, of one image and of a verdict, as types a schema is made of.

Plain records; no service and no handler.
"""

from pathlib import Path
from typing import Any, Literal, TypedDict
from urllib.parse import quote

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
ExportLayout = Literal["imagefolder", "parquet", "webdataset", "dicom", "coco"]


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


class ExportedFile(TypedDict):
    """A file as Gradio's clients know one, so that they download it; url is where others get it."""

    path: str
    url: str
    orig_name: str
    meta: dict[str, str]


def file_answer(path: Path) -> ExportedFile:
    """The file to download."""
    url = f"/gradio_api/file={quote(str(path))}"
    return ExportedFile(path=str(path), url=url, orig_name=path.name, meta={"_type": "gradio.FileData"})


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
