"""The sha256 of every embedded model file, stated in one file beside them, and whether they still fit.

It knows files only, no model.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from dermaflux.domain.errors import DataNotFound

CHECKSUMS = "checksums.json"


def model_checksums(models_dir: Path) -> Mapping[str, str]:
    """Path below models_dir -> sha256 of every file there now, but the statement itself and hidden ones."""
    found = {}
    for path in sorted(models_dir.rglob("*")):
        name = path.relative_to(models_dir)
        if path.is_file() and str(name) != CHECKSUMS and not any(part.startswith(".") for part in name.parts):
            with path.open("rb") as content:
                found[name.as_posix()] = hashlib.file_digest(content, "sha256").hexdigest()
    return found


def write_checksums(models_dir: Path) -> int:
    """State the files as they are now; returns how many."""
    found = model_checksums(models_dir)
    draft = models_dir / f".{CHECKSUMS}.partial"
    draft.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, models_dir / CHECKSUMS)
    return len(found)


def stated_checksums(models_dir: Path) -> Mapping[str, str]:
    """What was stated. Raises DataNotFound when there is no statement, or none that can be read."""
    try:
        stated = json.loads((models_dir / CHECKSUMS).read_text(encoding="utf-8"))
        return {str(name): str(sha256) for name, sha256 in stated.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise DataNotFound(
            f"{models_dir / CHECKSUMS} cannot be read ({error}). Write it with: python -m training.model_checksums"
        ) from error


def differences(models_dir: Path) -> tuple[str, ...]:
    """What is wrong, a line each: files missing, changed, or not stated. Raises DataNotFound as `stated_checksums`."""
    stated, found = stated_checksums(models_dir), model_checksums(models_dir)
    missing = [f"{name} is missing" for name in stated if name not in found]
    changed = [f"{name} was changed" for name in stated if name in found and found[name] != stated[name]]
    unknown = [f"{name} is not stated" for name in found if name not in stated]
    return tuple(missing + changed + unknown)


def content_id(model: Path) -> str:
    """One sha256 of a model's file, or of all files of its folder with their names: another one, other weights."""
    if model.is_file():
        with model.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    return hashlib.sha256(json.dumps(model_checksums(model)).encode()).hexdigest()
