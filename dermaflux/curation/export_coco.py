"""The COCO layout: the imagefolder's files, and `annotations/instances_train.json` with diagnoses and lesion masks.

The masks come from a finder of lesions that is handed in; it knows no model. Masks are uncompressed run lengths
(column by column, beginning with the background), exact and read by pycocotools as they are. An image on which no
lesion is found has no annotation.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dermaflux.curation import export_imagefolder
from dermaflux.curation.export_figures import NOT_STATED
from dermaflux.curation.export_records import FindLesion
from dermaflux.curation.export_rows import ExportPlan, ExportRow
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import DISCLAIMER

DATA_FILES = export_imagefolder.DATA_FILES
_CATEGORY_IDS = {name: number for number, name in enumerate([*map(str, Diagnosis), NOT_STATED], start=1)}


def write(rows: Iterator[ExportRow], folder: Path, plan: ExportPlan) -> None:
    """Write every image with its metadata line, then the annotations."""
    assert plan.find_lesion is not None, "checked before an export begins"
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    noted = _noted(rows, plan.find_lesion, images, annotations)
    export_imagefolder.write(noted, folder, plan)
    content = {
        "info": {"description": f"{plan.dataset}. {DISCLAIMER}", "version": "1.0", "contributor": "DermaFlux"},
        "licenses": [{"id": 1, "name": "See LICENSE.md", "url": "LICENSE.md"}],
        "categories": [_category(name, number) for name, number in _CATEGORY_IDS.items()],
        "images": images,
        "annotations": annotations,
    }
    (folder / "annotations").mkdir()
    target = folder / "annotations" / f"instances_{plan.split.value}.json"
    target.write_text(json.dumps(content) + "\n", encoding="utf-8")


def run_lengths(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of a bool (H, W) mask read column by column, beginning with the background."""
    flat = mask.astype(bool).ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    return [0, *counts] if flat[0] else counts


def _noted(
    rows: Iterator[ExportRow], find_lesion: FindLesion, images: list[dict[str, Any]], annotations: list[dict[str, Any]]
) -> Iterator[ExportRow]:
    for number, row in enumerate(rows, start=1):
        with Image.open(io.BytesIO(row.png)) as picture:
            mask = find_lesion(picture.convert("RGB"))
        diagnosis = row.fields["diagnosis"] or NOT_STATED
        images.append({
            "id": number, "file_name": f"{row.key}.png", "width": mask.shape[1], "height": mask.shape[0],
            "license": 1, "sha256": row.fields["sha256"], "diagnosis": diagnosis, "synthetic": True,
        })  # fmt: skip
        if mask.any():
            found = _annotation(mask) | {"image_id": number, "category_id": _CATEGORY_IDS[diagnosis]}
            annotations.append({"id": len(annotations) + 1} | found)
        yield row


def _annotation(mask: np.ndarray) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "segmentation": {"counts": run_lengths(mask), "size": list(mask.shape)},
        "area": int(mask.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "iscrowd": 0,
    }


def _category(name: str, number: int) -> dict[str, Any]:
    if name == NOT_STATED:
        return {"id": number, "name": name, "supercategory": NOT_STATED}
    diagnosis = Diagnosis(name)
    kind = str(diagnosis.side)
    return {"id": number, "name": name, "supercategory": kind, "label": diagnosis.label}
