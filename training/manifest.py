"""The manifest of a training set from several sources: one row a picture, in one parquet file, read as a data set.

It knows the columns and how to read them; `training.build_manifest` makes it. Paths stand below the root of their set,
so a manifest may move with `roots` given anew.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.lesion import Diagnosis, Sex, Site, SkinTone, choice
from dermaflux.domain.records import Split
from training.dataset import LesionDataset
from training.lesion_records import LesionRecord
from training.pictures import FrameTransform
from training.sources.roots import ManyRoots, in_set

ROWS_A_GROUP = 16_384
_NAMES = pa.dictionary(pa.int16(), pa.string())
SCHEMA = pa.schema([
    ("image_path", pa.string()), ("source", _NAMES), ("image_id", pa.string()), ("lesion_id", pa.string()),
    ("patient_id", pa.string()), ("group", pa.string()), ("split", _NAMES), ("diagnosis", _NAMES),
    ("malignant", pa.bool_()), ("age", pa.float32()), ("sex", _NAMES), ("site", _NAMES), ("skin_tone", _NAMES),
    ("caption", pa.string()), ("licence", _NAMES), ("citation", _NAMES), ("sha256", pa.string()),
    ("phash", pa.uint64()), ("width", pa.int32()), ("height", pa.int32()),
])  # fmt: skip
_FACTS = b"dermaflux"


def with_facts(schema: pa.Schema, facts: Mapping[str, Any]) -> pa.Schema:
    """The schema with what is said of the whole manifest: roots, seed, shares, references."""
    return schema.with_metadata({_FACTS: json.dumps(facts).encode()})


def facts_of(path: Path) -> dict[str, Any]:
    """What is said of the whole manifest. Raises DataNotFound when the file is no manifest."""
    with _opened(path) as parquet:
        return json.loads((parquet.schema_arrow.metadata or {}).get(_FACTS, b"{}"))


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a manifest in order, some at a time in memory.

    Raises DataNotFound when the file is not there or no parquet, InvalidRequest when columns are missing.
    """
    with _opened(path) as parquet:
        if missing := [name for name in SCHEMA.names if name not in parquet.schema_arrow.names]:
            raise InvalidRequest(f"{path} is no manifest: it lacks {', '.join(missing)}. Build it anew.")
        for batch in parquet.iter_batches(batch_size=ROWS_A_GROUP, columns=SCHEMA.names):
            yield from batch.to_pylist()


def load_manifest(
    path: Path,
    fit: Callable[[Image.Image], FrameTransform] | None = None,
    roots: Mapping[str, Path] | None = None,
) -> LesionDataset:
    """The pictures of a manifest, all splits, without masks, in the manifest's order.

    `roots` says where sets lie now (the others are where they were when it was built). A record's `lesion_id` is the
    set's lesion, or the group where no lesion is named. Raises DataNotFound and InvalidRequest as `rows_of`.
    """
    records = [record_of(row) for row in rows_of(path)]
    if not records:
        raise DataNotFound(f"{path} holds no picture. Build it anew.")
    known = {name: Path(root) for name, root in facts_of(path).get("roots", {}).items()}
    return LesionDataset(records, ManyRoots(known | dict(roots or {})), fit)


def record_of(row: Mapping[str, Any]) -> LesionRecord:
    """One row as a record. Raises InvalidRequest for a word that is not ours."""
    source, lesion = row["source"], row["lesion_id"]
    return LesionRecord(
        image_id=row["image_id"],
        lesion_id=f"{source}/{lesion}" if lesion else row["group"],
        split=choice("split", row["split"], Split),
        diagnosis=choice("diagnosis", row["diagnosis"], Diagnosis),
        age=row["age"],
        sex=choice("sex", row["sex"], Sex) if row["sex"] else None,
        site=choice("site", row["site"], Site) if row["site"] else None,
        skin_tone=choice("skin_tone", row["skin_tone"], SkinTone) if row["skin_tone"] else None,
        image_path=in_set(source, row["image_path"]),
        caption=row["caption"] or "",
        source=source,
        licence=row["licence"] or "",
    )


def _opened(path: Path) -> pq.ParquetFile:
    if not path.is_file():
        raise DataNotFound(f"{path} does not exist. Make it with python -m training.build_manifest.")
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataNotFound(f"{path} cannot be read as a manifest ({error}). Build it anew.") from error
