"""`croissant.json`: what is in an export for machines, after Croissant 1.0 with the responsible-AI vocabulary.

Written as plain JSON-LD, so that it needs no library; a test holds it against mlcroissant, which also loads the
records by it. Only layouts that it can describe have one. Source: mlcommons.org/croissant/1.0 and .../RAI/1.0.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermaflux.curation.export_card import licence_name
from dermaflux.curation.export_figures import Tally
from dermaflux.curation.export_records import ExportFormat
from dermaflux.curation.export_rows import COLUMNS, ExportPlan
from dermaflux.curation.export_seven_cs import INTENDED_USE, LIMITS, OUT_OF_SCOPE
from dermaflux.domain.records import DISCLAIMER

CROISSANT = "croissant.json"
_TYPES = {"string": "sc:Text", "strings": "sc:Text", "bool": "sc:Boolean", "float": "sc:Float", "int": "sc:Integer"}
_SPECIAL = {"created_at": "sc:DateTime"}  # readers of JSON lines make a time of it by themselves
_CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/", "prov": "http://www.w3.org/ns/prov#",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "samplingRate": "cr:samplingRate", "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source",
    "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip


def croissant_text(folder: Path, plan: ExportPlan, tally: Tally, layout: ExportFormat) -> str | None:
    """The description of an export whose data files are written; None for a layout that Croissant cannot read."""
    match layout:
        case ExportFormat.IMAGEFOLDER | ExportFormat.COCO:
            distribution, fields = _image_files(folder, plan)
        case ExportFormat.PARQUET:
            distribution, fields = _shards(folder)
        case _:
            return None
    records = {"@type": "cr:RecordSet", "@id": "images", "name": "images", "field": fields}
    content = {"@context": _CONTEXT, "@type": "sc:Dataset"} | _about(plan, tally) | _responsible(tally)
    content |= {"distribution": distribution, "recordSet": [records]}
    return json.dumps(content, indent=1) + "\n"


def _about(plan: ExportPlan, tally: Tally) -> dict[str, Any]:
    about = {
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": plan.dataset,
        "description": f"{plan.num_images} synthetic dermoscopy-like images of skin lesions. {DISCLAIMER}",
        "license": f"{licence_name(tally)}: see LICENSE.md",
        "keywords": ["synthetic", "medical", "dermatology"],
        "creator": {"@type": "sc:Organization", "name": "DermaFlux"},
        "citeAs": f"{plan.dataset}, a synthetic dataset made with DermaFlux (arXiv 2603.16392)",
        "url": "https://arxiv.org/abs/2603.16392",
        "version": "1.0.0",
        "isLiveDataset": False,
    }
    # The day of the newest verdict: an export has no date of its own.
    return about | ({"datePublished": tally.latest[:10]} if tally.latest else {})


def _responsible(tally: Tally) -> dict[str, Any]:
    models = sorted(weights for weights, _, _ in tally.sources)
    refused = tally.known["measurement refused"]
    return {
        "rai:hasSyntheticData": True,
        "prov:wasDerivedFrom": models,
        "rai:dataCollection": f"Generated from captions by {'; '.join(models)}. No image shows a patient.",
        "rai:dataCollectionType": ["Synthetic data"],
        "rai:dataCollectionMissingData": f"The measurement refused {refused} of {tally.num_images} images.",
        "rai:dataAnnotationProtocol": [
            "Reviewers accepted, rejected or left open each image; one reject keeps an image out. "
            "Who judged what and when stands in the sidecars, under pseudonyms."
        ],
        "rai:machineAnnotationTools": ["DermaFlux: segmentation and ABCD measurement, calibrated classifier"],
        "rai:dataBiases": [LIMITS.replace("\n", " ")],
        "rai:dataLimitations": [f"Out of scope: {OUT_OF_SCOPE}".replace("\n", " ")],
        "rai:dataUseCases": [INTENDED_USE],
        "rai:dataSocialImpact": "Synthetic images may be passed off as photographs; each carries a record.",
        "rai:personalSensitiveInformation": ["None: no person was photographed, and reviewers are under pseudonyms."],
    }


def _image_files(folder: Path, plan: ExportPlan) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    lines = f"{plan.split.value}/metadata.jsonl"
    files = [
        _file_object(folder, lines, "application/jsonlines"),
        {
            "@type": "cr:FileSet",
            "@id": "png-files",
            "name": "png-files",
            "encodingFormat": "image/png",
            "includes": f"{plan.split.value}/*.png",
        },
    ]
    source: Mapping[str, Any] = {"fileObject": {"@id": lines}}
    of_file: Mapping[str, Any] = {"fileSet": {"@id": "png-files"}}
    name = _field("file_name", "sc:Text", of_file | {"extract": {"fileProperty": "filename"}})
    name["references"] = dict(source) | {"extract": {"column": "file_name"}}
    image = _field("image", "sc:ImageObject", of_file | {"extract": {"fileProperty": "content"}})
    return files, [name, image, *_columns(source)]


def _shards(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    names = sorted(path.relative_to(folder).as_posix() for path in (folder / "data").glob("*.parquet"))
    files = [_file_object(folder, name, "application/x-parquet") for name in names]
    shards = {
        "@type": "cr:FileSet",
        "@id": "shards",
        "name": "shards",
        "encodingFormat": "application/x-parquet",
        "includes": "data/*.parquet",
    }
    source = {"fileSet": {"@id": "shards"}}
    extract = {"extract": {"column": "image"}, "transform": {"jsonPath": "bytes"}}
    return [*files, shards], [_field("image", "sc:ImageObject", source | extract), *_columns(source)]


def _columns(source: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        _field(name, _SPECIAL.get(name) or _TYPES[kind], dict(source) | {"extract": {"column": name}})
        | ({"repeated": True} if kind == "strings" else {})
        for name, kind in COLUMNS.items()
    ]


def _field(name: str, kind: str, source: Mapping[str, Any]) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"images/{name}", "name": name, "dataType": kind, "source": source}


def _file_object(folder: Path, name: str, encoding: str) -> dict[str, Any]:
    with (folder / name).open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": encoding,
        "sha256": digest,
    }
