"""What every export format says of an image: one row with fixed columns, and the PNG as it lies in the pool.

It knows no file layout. Nothing in a row depends on when or where the export is made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dermaflux.curation.export_records import FindLesion
from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Split, StoredImage

# Column -> its kind, in the order written. "strings" is a list of strings; everything but sha256 may be null.
COLUMNS: Mapping[str, str] = {
    "sha256": "string",
    "synthetic": "bool",
    "split": "string",
    "caption": "string",
    "diagnosis": "string",
    "malignant": "bool",
    "asymmetry": "float",
    "border": "float",
    "colours": "strings",
    "num_colours": "int",
    "age": "float",
    "sex": "string",
    "site": "string",
    "skin_tone": "string",
    "measured_asymmetry": "float",
    "measured_border": "float",
    "measured_colours": "strings",
    "measured_num_colours": "int",
    "measurement_refused": "string",
    "predicted_malignant": "float",
    "predicted_diagnosis": "string",
    "classifier_sha256": "string",
    "seed": "int",
    "steps": "int",
    "guidance_scale": "float",
    "contrast_scale": "float",
    "size_px": "int",
    "model": "string",
    "model_sha256": "string",
    "adapter": "string",
    "adapter_sha256": "string",
    "adapter_weight": "float",
    "chosen_from": "int",
    "licence": "string",
    "created_at": "string",
    "verdict": "string",
}
_SPEC = ("diagnosis", "asymmetry", "border", "colours", "age", "sex", "site", "skin_tone")
_MADE = (
    "caption",
    "seed",
    "steps",
    "guidance_scale",
    "contrast_scale",
    "size_px",
    "model",
    "model_sha256",
    "adapter",
    "adapter_sha256",
    "adapter_weight",
    "chosen_from",
    "licence",
    "created_at",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRow:
    """One image ready to be written. `key` is unique in the export and safe as a file name; fields hold COLUMNS.

    `png` may be signed; sha256 in the fields and `sidecar` is always that of the file in the pool.
    """

    key: str
    png: bytes
    generated: Mapping[str, Any]
    fields: Mapping[str, Any]
    sidecar: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What a format module needs to know of the whole export besides its rows."""

    dataset: str
    split: Split
    num_images: int
    images_per_shard: int
    find_lesion: FindLesion | None = None

    @property
    def num_shards(self) -> int:
        """How many shards the images fill."""
        return -(-self.num_images // self.images_per_shard)


def export_row(image: StoredImage, png: bytes, split: Split, sidecar: Mapping[str, Any]) -> ExportRow:
    """The row of a stored image, of its file (whose hash was checked when it was read) and of its sidecar."""
    found: dict[str, Any] = dict.fromkeys(COLUMNS)
    found |= {"sha256": image.sha256, "synthetic": True, "split": str(split), "verdict": sidecar["verdict"]}
    found |= {name: image.generated.get(name) for name in _MADE}
    found |= _requested(image.generated.get("spec"))
    found |= _assessed(image.assessment)
    return ExportRow(key=image.sha256[:32], png=png, generated=image.generated, fields=found, sidecar=sidecar)


def shards(rows: Iterator[ExportRow], plan: ExportPlan) -> Iterator[tuple[int, list[ExportRow]]]:
    """The rows in shards of `images_per_shard`, numbered from 0; one shard is in memory at a time."""
    shard: list[ExportRow] = []
    number = 0
    for row in rows:
        shard.append(row)
        if len(shard) == plan.images_per_shard:
            yield number, shard
            number, shard = number + 1, []
    if shard:
        yield number, shard


def _requested(spec: Mapping[str, Any] | None) -> dict[str, Any]:
    if not spec:
        return {}
    wanted = {name: spec.get(name) for name in _SPEC}
    try:
        malignant = Diagnosis(spec["diagnosis"]).is_malignant
    except (KeyError, ValueError) as error:
        raise DermaFluxError(f"A stored image asks for an unknown diagnosis ({error}). Update DermaFlux.") from error
    return wanted | {"malignant": malignant, "num_colours": len(spec["colours"])}


def _assessed(assessment: Mapping[str, Any]) -> dict[str, Any]:
    measurement = assessment.get("measurement") or {}
    prediction = assessment.get("prediction") or {}
    classes = prediction.get("diagnosis") or {}
    return {
        "measured_asymmetry": measurement.get("asymmetry"),
        "measured_border": measurement.get("border"),
        "measured_colours": measurement.get("colours"),
        "measured_num_colours": measurement.get("num_colours"),
        "measurement_refused": measurement.get("refused"),
        "predicted_malignant": prediction.get("malignant"),
        "predicted_diagnosis": max(classes, key=classes.__getitem__) if classes else None,
        "classifier_sha256": prediction.get("model_sha256") or None,
    }
