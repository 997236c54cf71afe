"""Which real pictures a run may learn from: HAM10000 where the trainers look for it, and the sets of the data folder.

It reads tables, no pictures.
"""

import csv
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.services.supervised import REPOSITORY
from dermaflux.services.training_records import CLASSIFIER, HAM10000, LORA

_TABLE, _LINES, _MANIFEST = "metadata.csv", "metadata.jsonl", ".parquet"


def real_choices(kind: str, folder: Path, presets: Mapping[str, Any]) -> tuple[str, ...]:
    """HAM10000 where it is, then the sets of the folder that this trainer can read; manifests are for classifiers."""
    found = [HAM10000] if (_ham_folder(kind, presets) / "ham10000.csv").is_file() else []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        has_table = (path / _TABLE).is_file() or (path / _LINES).is_file()
        if not path.name.startswith(".") and (has_table or (kind == CLASSIFIER and path.suffix == _MANIFEST)):
            found.append(path.name)
    return tuple(found)


def data_flags(kind: str, name: str, folder: Path, values: Mapping[str, Any]) -> dict[str, str]:
    """The values that name the real pictures of a run. Raises DataNotFound when they are not usable, saying why."""
    if name == HAM10000:
        _check_ham(kind, values)
        return {}
    path = (folder / name).resolve()
    if not name:
        raise DataNotFound("No real pictures are chosen. Take some in with import-real, or name a set.")
    if Path(name).name != name or name.startswith(".") or not path.exists():
        raise DataNotFound(f"There are no real pictures named {name!r}. Choose another set.")
    if path.suffix == _MANIFEST:
        if kind == LORA:
            raise InvalidRequest("A manifest of several sets is for classifiers. Choose a folder of pictures.")
        return {"data.manifest": str(path)}
    _check_splits(path)
    return {"pictures" if kind == LORA else "data.folder": str(path)}


def count_pictures(kind: str, name: str, folder: Path, values: Mapping[str, Any]) -> int:
    """About how many pictures a run learns from, by the tables."""
    classes = frozenset(values.get("diagnoses") or ())
    if name == HAM10000:
        count = _splits(_ham_folder(kind, values) / "ham10000.csv", classes)["train"]
    elif name.endswith(_MANIFEST):
        import pyarrow.parquet

        count = pyarrow.parquet.read_metadata(folder / name).num_rows
    else:
        count = _splits(folder / name / _TABLE, classes)["train"]
    limit = values.get("data.limit")
    return min(count, limit) if limit else count


def _check_ham(kind: str, values: Mapping[str, Any]) -> None:
    folder = _ham_folder(kind, values)
    if not (folder / "ham10000.csv").is_file():
        raise DataNotFound(
            "HAM10000 is not on this machine. Take real pictures in with python -m dermaflux import-real and choose "
            "that set."
        )
    if kind == LORA and not (REPOSITORY / values["measured"]).is_file():
        raise DataNotFound(
            f"{values['measured']} does not exist: what is measured on HAM10000 goes into the captions. "
            "Run python -m training.measure_training_set once."
        )


def _check_splits(folder: Path) -> None:
    """Raise DataNotFound unless the table of a folder names pictures of train and of val."""
    counts = _splits(folder / _TABLE)
    missing = [split for split in ("train", "val") if not counts[split]]
    if missing and (folder / _TABLE).is_file():
        raise DataNotFound(
            f"The table of {folder.name} has no picture of split {' and '.join(missing)}. A run learns from train and "
            "is judged on val: add a column split, one lesion always in one split."
        )


def _splits(table: Path, diagnoses: Collection[str] = ()) -> Counter[str]:
    """How many rows of a table each split has; of those diagnoses, where some are given."""
    if not table.is_file():
        return Counter()
    with table.open(newline="", encoding="utf-8-sig") as handle:
        return Counter(
            (row.get("split") or "train").strip()
            for row in csv.DictReader(handle)
            if not diagnoses or (row.get("dx") or row.get("diagnosis") or "").strip() in diagnoses
        )


def _ham_folder(kind: str, values: Mapping[str, Any]) -> Path:
    return REPOSITORY / values["data_dir" if kind == LORA else "data.data_dir"]
