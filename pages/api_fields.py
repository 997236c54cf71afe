"""What programs send: the fields of a lesion; and how records become the answers of `pages.api_answers`.

Plain records; no service and no handler.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict  # pydantic reads typing's from Python 3.12 on only

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
from dermaflux.services.records import Ended, Finished, JobEvent, Paused, Preview, Skipped
from pages.api_answers import ExportedFile, GenerateAnswer, ImageAnswer

ExportLayout = Literal["imagefolder", "parquet", "webdataset", "dicom", "coco"]


@with_config(ConfigDict(extra="forbid"))
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


def image_answer(event: Finished) -> ImageAnswer:
    """One finished image: what it is, how it was made, what was measured and predicted."""
    stored = event.stored
    made = {name: stored.generated.get(name) for name in ("caption", "spec", "seed", "model", "model_sha256")}
    found = event.assessment.to_dict()
    return ImageAnswer(image_id=stored.image_id, sha256=stored.sha256, **made, **found, statement=DISCLAIMER)


def generation_answers(job_id: str, events: Iterable[JobEvent]) -> Iterator[GenerateAnswer]:
    """An answer at each event of a job, with all that is known by then."""
    answer = GenerateAnswer(job_id=job_id, state="queued", images=[], skipped=[], statement=DISCLAIMER)
    for event in events:
        match event:
            case Preview():
                answer["state"], answer["step"], answer["num_steps"] = "running", event.step, event.num_steps
            case Paused():
                answer["state"] = "paused"
            case Finished():
                answer["images"] = [*answer["images"], image_answer(event)]
            case Skipped():
                answer["skipped"] = [*answer["skipped"], event.image_index]
            case Ended():
                answer["state"], answer["error"] = event.state, event.error  # type: ignore[typeddict-item] - one of them
        yield answer.copy()
