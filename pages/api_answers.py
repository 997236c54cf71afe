"""What programs get: the answer of every endpoint as a type, with the meaning, the unit and the range of each field.

The one source of the schemas in `/gradio_api/info` and of the MCP tools (`pages.api_schemas`). Types only.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads typing's from Python 3.12 on only

from dermaflux.domain.lesion import (
    AGE_RANGE_YEARS,
    ASYMMETRY_RANGE,
    BORDER_RANGE,
    Colour,
    Diagnosis,
    Sex,
    Side,
    Site,
    SkinTone,
)
from dermaflux.domain.records import MAX_SEED, Verdict

_LOW_A, _HIGH_A = ASYMMETRY_RANGE
_LOW_B, _HIGH_B = BORDER_RANGE
_LOW_AGE, _HIGH_AGE = AGE_RANGE_YEARS

Share = Annotated[float, Field(ge=0, le=1)]
Asymmetry = Annotated[float, Field(ge=_LOW_A, le=_HIGH_A)]
Border = Annotated[float, Field(ge=_LOW_B, le=_HIGH_B)]
ImageId = Annotated[str, Field(description="Id of a stored generated image, as the other endpoints take it")]
DatasetName = Annotated[str, Field(description="Name of the dataset")]
Refused = Annotated[
    str | None, Field(description="Why there is no answer, in words; then every figure is null. null: there is one")
]
Caption = Annotated[
    str, Field(title="caption", description="The caption in English, in the grammar the generator was trained on")
]
Statement = Annotated[
    str, Field(title="statement", description="What the answer may be used for. It belongs beside every figure shown")
]


class LesionAnswer(TypedDict):
    """The lesion that was asked for."""

    asymmetry: Annotated[Asymmetry, Field(description="Axes of asymmetry in shape and colour (A of the ABCD rule)")]
    border: Annotated[Border, Field(description="Eighths of the contour that are irregular (B)")]
    colours: Annotated[list[Colour], Field(min_length=1, max_length=6, description="Colours of the lesion (C)")]
    diagnosis: Annotated[Diagnosis, Field(description="One of seven, or plain benign or malignant")]
    age: Annotated[float | None, Field(ge=_LOW_AGE, le=_HIGH_AGE, description="Age in years")]
    sex: Annotated[Sex | None, Field(description="Sex of the patient")]
    site: Annotated[Site | None, Field(description="Where on the body")]
    skin_tone: Annotated[SkinTone | None, Field(description="Fitzpatrick type")]


class Measured(TypedDict):
    """What was measured on an image, in the units of the request; all null when it was refused."""

    asymmetry: Annotated[Asymmetry | None, Field(description="Axes of asymmetry in shape and colour (A), 0 to 2")]
    border: Annotated[Border | None, Field(description="Eighths of the contour that are irregular (B), 0 to 8")]
    colours: Annotated[list[Colour] | None, Field(description="Colours found in the lesion (C)")]
    num_colours: Annotated[int | None, Field(ge=0, le=6, description="How many of the six colours were found")]
    colour_score: Annotated[float | None, Field(description="Variegation behind num_colours, calibrated to 1 to 6")]
    mask_area: Annotated[Share | None, Field(description="Share of the frame that the lesion fills, 0 to 1")]
    raw: Annotated[dict[str, float], Field(description="Raw measures behind the units, by name; no stable names")]
    refused: Refused


class Predicted(TypedDict):
    """The classifier's calibrated view of an image; figures are null when it was refused."""

    malignant: Annotated[Share | None, Field(description="Calibrated P(malignant) = mel + bcc + akiec, 0 to 1")]
    diagnosis: Annotated[
        dict[str, Share] | None,
        Field(description="Calibrated probability of each class: nv, bkl, df, vasc, mel, bcc, akiec; together 1"),
    ]
    threshold: Annotated[Share | None, Field(description="Operating point: called malignant from this P on, 0 to 1")]
    model_sha256: Annotated[str, Field(description="SHA-256 of the classifier's weights; empty where it is missing")]
    refused: Refused


class NearestTrainingAnswer(TypedDict):
    """The training picture that comes nearest to an image."""

    distance: Annotated[float, Field(ge=0, le=2, description="Cosine distance: 0 the same, 2 opposite")]
    threshold: Annotated[float, Field(ge=0, le=2, description="Up to here an image counts as a copy")]
    image_id: Annotated[str, Field(description="Public id of the training picture in its own data set")]


class ImageAnswer(TypedDict):
    """One finished image: what it is, how it was made, what was measured and predicted."""

    image_id: ImageId
    sha256: Annotated[str, Field(description="SHA-256 of the stored PNG")]
    caption: Annotated[str, Field(description="The caption it was sampled from")]
    spec: Annotated[LesionAnswer | None, Field(description="The lesion asked for; null when the caption is free text")]
    seed: Annotated[int, Field(ge=0, le=MAX_SEED, description="Seed of this image")]
    model: Annotated[str, Field(description="Name of the generator")]
    model_sha256: Annotated[str, Field(description="SHA-256 of the generator's weights")]
    measurement: Annotated[Measured, Field(description="To be read beside spec: what came out of what was asked")]
    prediction: Annotated[Predicted, Field(description="What the classifier makes of it")]
    nearest_training: Annotated[
        NotRequired[NearestTrainingAnswer], Field(description="Left out where nothing was compared")
    ]
    statement: Statement


class GenerateAnswer(TypedDict):
    """How far a generation is; the last one, with state done, holds every image."""

    job_id: Annotated[str, Field(description="Id of the job in the queue")]
    state: Annotated[
        Literal["queued", "running", "paused", "done", "failed", "cancelled", "interrupted"],
        Field(description="The last four are final"),
    ]
    step: Annotated[NotRequired[int], Field(ge=1, description="Sampling step of the image under way, from 1")]
    num_steps: Annotated[NotRequired[int], Field(ge=1, description="Sampling steps an image")]
    images: Annotated[list[ImageAnswer], Field(description="The images finished so far, in order")]
    skipped: Annotated[list[int], Field(description="Numbers, from 0, of the images that were skipped on the page")]
    error: Annotated[NotRequired[str | None], Field(description="Why the job failed, in words")]
    statement: Statement


class MeasureAnswer(Measured):
    """What was measured on a stored generated image."""

    statement: Statement


class ClassifyAnswer(Predicted):
    """The classifier's calibrated view of a stored generated image. Not a diagnosis."""

    statement: Statement


class ExplainAnswer(TypedDict):
    """What on a stored generated image speaks for a side, and how far that can be believed; figures null if refused."""

    side: Annotated[Side | None, Field(description="The side that the saliency map and its figures speak for")]
    predicted: Annotated[Side | None, Field(description="The side the classifier puts the image on")]
    requested: Annotated[Side | None, Field(description="The side that was asked for; null for a caption of free text")]
    malignant: Annotated[Share | None, Field(description="Calibrated P(malignant), 0 to 1, whatever the side")]
    deletion: Annotated[
        Share | None, Field(description="Area under P(side) as the hottest parts are painted over, 0 to 1; low is good")
    ]
    insertion: Annotated[
        Share | None, Field(description="Area under P(side) as the hottest parts come back, 0 to 1; high is good")
    ]
    inside_lesion_share: Annotated[
        Share | None, Field(description="Share of the map inside the lesion, 0 to 1; null where no lesion is found")
    ]
    lesion_area: Annotated[Share | None, Field(description="Share of the frame that the lesion fills, 0 to 1")]
    refused: Refused
    overlay: Annotated[str | None, Field(description="The image under the map as a JPEG data URI, where asked for")]
    statement: Statement


class VerdictAnswer(TypedDict):
    """A verdict as it stands now."""

    image_id: ImageId
    verdict: Annotated[
        Verdict | None, Field(description="What all reviewers together come to, as far as one may see it; null: none")
    ]
    dataset: DatasetName


class StoredVerdict(VerdictAnswer):
    """A verdict just stored, and the version of the image with it."""

    version: Annotated[int, Field(ge=0, description="To be sent as expected_version with a later verdict")]


class ExportedFile(TypedDict):
    """A file as Gradio's clients know one, so that they download it; url is where others get it."""

    path: Annotated[str, Field(description="Where gradio_client puts it, or where it lies on the server")]
    url: Annotated[str, Field(description="Address of the zip file on this server")]
    orig_name: Annotated[str, Field(description="Name of the zip file")]
    size: Annotated[NotRequired[int | None], Field(description="Bytes, where Gradio knows it")]
    mime_type: Annotated[NotRequired[str | None], Field(description="Kind of file, where Gradio knows it")]
    is_stream: Annotated[NotRequired[bool], Field(description="Never: it is whole")]
    meta: Annotated[dict[str, str], Field(description="Gradio's mark of a file")]


class ProbeRunning(TypedDict):
    """How far a probe is."""

    state: Annotated[Literal["running"], Field(description="It goes on")]
    doing: Annotated[str, Field(description="What is being done, in words")]
    done: Annotated[int, Field(ge=0, description="How much of that is done")]
    total: Annotated[int, Field(ge=0, description="How much there is of it; 0: not known")]


class IntervalAnswer(TypedDict):
    """An estimate with its 95 % bootstrap interval."""

    value: Annotated[float, Field(description="The estimate")]
    low: Annotated[float, Field(description="Lower bound of the interval")]
    high: Annotated[float, Field(description="Upper bound of the interval")]


class DifferenceAnswer(TypedDict):
    """A figure without and with the accepted images, means over the draws."""

    without: Annotated[Share, Field(description="With real training pictures alone, 0 to 1")]
    with_added: Annotated[Share, Field(description="With the accepted images beside them, 0 to 1")]
    delta: Annotated[IntervalAnswer, Field(description="with_added less without")]


class ClassRecallAnswer(TypedDict):
    """The recall of one class."""

    recall: Annotated[DifferenceAnswer, Field(description="Share of the class that is found")]
    num_held_out: Annotated[int, Field(ge=0, description="Real held-out pictures of the class")]
    num_added: Annotated[int, Field(ge=0, description="Accepted images of the class")]


class ProbeReportAnswer(TypedDict):
    """What the accepted images change for a quick classifier head, on held-out real pictures."""

    state: Annotated[Literal["done"], Field(description="This is the last answer")]
    verdict: Annotated[
        Literal["helps", "harms", "cannot be told"],
        Field(description="Whether the interval of the balanced accuracy leaves 0 out, and on which side"),
    ]
    headline: Annotated[str, Field(description="The answer in one sentence")]
    balanced_accuracy: Annotated[DifferenceAnswer, Field(description="Mean of the recalls of the classes")]
    malignant_auc: Annotated[
        DifferenceAnswer | None, Field(description="AUC of malignant; null where one of the two sides has no pictures")
    ]
    classes: Annotated[dict[str, ClassRecallAnswer], Field(description="By diagnosis")]
    num_real: Annotated[int, Field(ge=0, description="Real training pictures of a draw")]
    num_added: Annotated[int, Field(ge=0, description="Accepted images that were added")]
    num_held_out: Annotated[int, Field(ge=0, description="Real pictures that judge")]
    num_lesions: Annotated[int, Field(ge=0, description="Lesions of the held-out pictures")]
    num_draws: Annotated[int, Field(ge=1, description="How often the heads were trained")]
    num_added_left_out: Annotated[int, Field(ge=0, description="Accepted ones of a class without real pictures")]
    num_held_out_left_out: Annotated[int, Field(ge=0, description="Held-out ones of a class without real pictures")]
    statement: Statement


ProbeAnswer = Annotated[
    ProbeRunning | ProbeReportAnswer, Field(title="ProbeAnswer", description="How far it is; the last is the report")
]
Archive = Annotated[ExportedFile, Field(title="archive", description="The zip file")]
