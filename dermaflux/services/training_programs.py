"""What the trainers can be told: read from assets/training/programs.json, which `training.describe_programs` writes.

The command of a request is built here, with only those flags that differ from the preset. It starts nothing.
"""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.services.training_records import (
    CLASSIFIER,
    KINDS,
    LORA,
    TrainingPreset,
    TrainingProgram,
    TrainingRequest,
)

PROGRAMS = Path(__file__).resolve().parents[2] / "assets" / "training" / "programs.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
CHANGEABLE: Mapping[str, Mapping[str, str]] = {
    LORA: {
        "num_steps": "Steps",
        "rank": "Rank",
        "batch_size": "Pictures a step",
        "learning_rate": "Learning rate",
        "diagnoses": "Diagnoses (none chosen: all)",
        "seed": "Seed",
    },
    CLASSIFIER: {
        "optim.epochs": "Epochs",
        "optim.max_minutes": "At most so many minutes (empty: no limit)",
        "optim.batch_size": "Pictures a step",
        "optim.learning_rate": "Learning rate",
        "size_px": "Picture size in pixels",
        "seed": "Seed",
    },
}
"""The fields a page offers, of each trainer, with their labels. All others stay as the preset says."""


@functools.lru_cache(maxsize=1)
def training_programs(path: Path = PROGRAMS) -> Mapping[str, TrainingProgram]:
    """Both trainers by kind. Raises DataNotFound when the file is not installed."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataNotFound(f"{path} cannot be read ({error}). Run python -m training.describe_programs.") from error
    return {
        kind: TrainingProgram(
            kind=kind,
            module=part["module"],
            presets={
                name: TrainingPreset(
                    name=name, text=preset["text"], values=_flat(preset["values"]), gpu_gb=preset["gpu_gb"]
                )
                for name, preset in part["presets"].items()
            },
            helps=part["fields"],
        )
        for kind, part in said.items()
    }


def preset_of(request: TrainingRequest) -> TrainingPreset:
    """The preset of a request. Raises InvalidRequest for a kind, preset, name or field that is not known."""
    if request.kind not in KINDS:
        raise InvalidRequest(f"There is no trainer of {request.kind!r}. Choose {' or '.join(KINDS)}.")
    presets = training_programs()[request.kind].presets
    if request.preset not in presets:
        raise InvalidRequest(f"There is no preset {request.preset!r}. Choose one of {', '.join(presets)}.")
    if not _NAME.fullmatch(request.name) or request.name.endswith(".kohya"):
        raise InvalidRequest(
            f"The name {request.name!r} cannot be used. Give 1 to 40 small letters, digits, dots, - or _, "
            "beginning with a letter or digit."
        )
    if unknown := sorted(set(request.fields) - set(CHANGEABLE[request.kind])):
        raise InvalidRequest(f"{unknown[0]} cannot be set here. Choose among {', '.join(CHANGEABLE[request.kind])}.")
    if request.synthetic and request.kind == LORA:
        raise InvalidRequest(
            "A LoRA learns from real pictures only: trained on its own images it would repeat its faults. "
            "Leave the dataset out, or train a classifier with it."
        )
    return presets[request.preset]


def values_of(request: TrainingRequest) -> dict[str, Any]:
    """Every value of the run by dotted name: the preset's with the request's fields in place. Raises as `preset_of`."""
    values = dict(preset_of(request).values)
    changed = {name: _typed(name, value, values[name]) for name, value in request.fields.items()}
    if "rank" in changed:  # scale 1, as all presets have it
        changed["alpha"] = changed["rank"]
    return values | changed


def flags(values: Mapping[str, Any], preset: Mapping[str, Any]) -> list[str]:
    """The command line flags of what differs from the preset."""
    words: list[str] = []
    for name, value in values.items():
        if name in preset and preset[name] == value:
            continue
        words.append("--" + name.replace("_", "-"))
        words += [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]
    return words


def _typed(name: str, value: Any, example: Any) -> Any:
    """A form's value as the preset's kind of value. Raises InvalidRequest naming the field."""
    if isinstance(example, list):
        return list(value or ())
    if value is None:
        if name == "optim.max_minutes":
            return None
        raise InvalidRequest(f"{name} is blank. Give a number.")
    if isinstance(example, int) and not isinstance(example, bool):
        if float(value) != int(value):
            raise InvalidRequest(f"{name} is {value}. Give a whole number.")
        return int(value)
    return float(value)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found
