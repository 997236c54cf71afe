"""The checkpoint folder: `model.safetensors` and `config.json` with all that is needed to serve it.

Weights are never unpickled, the load is strict, and the weights' hash must be the one the config
states. It knows nothing of training beyond the facts it carries.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from dermaflux.classification.architecture import Architecture
from dermaflux.classification.calibration import Calibration
from dermaflux.classification.preprocessing import InputFacts
from dermaflux.domain.errors import DermaFluxError, ModelNotAvailable
from dermaflux.domain.lesion import Diagnosis

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFacts:
    """What a checkpoint says of itself.

    num_turns (1, 2, 4, 8): how many turns and mirror images are averaged; threshold: the operating point
    on P(malignant), chosen on val; data_sha256: the training records; metrics: by split, then by name.
    """

    architecture: Architecture
    inputs: InputFacts
    class_names: tuple[str, ...]
    calibration: Calibration
    threshold: float
    num_turns: int = 1
    data_sha256: str = ""
    data_name: str = ""
    git_commit: str = ""
    licence: str = ""
    notice: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""

    @property
    def malignant(self) -> tuple[bool, ...]:
        """Of each class, whether it is a malignant one."""
        return malignant_classes(self.class_names)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict that `from_dict` reads back to equal facts."""
        return {"format_version": FORMAT_VERSION} | asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CheckpointFacts":
        """The facts of a dict. Raises KeyError, TypeError or DermaFluxError when they are not usable."""
        rest = {k: v for k, v in values.items() if k != "format_version"}
        inputs, calibration = rest["inputs"], rest["calibration"]
        rest["architecture"] = Architecture(**rest["architecture"])
        rest["inputs"] = InputFacts(**inputs | {k: tuple(inputs[k]) for k in ("mean", "std")})
        rest["calibration"] = Calibration(**calibration | {"biases": tuple(calibration["biases"])})
        rest["class_names"] = tuple(rest["class_names"])
        return cls(**rest)


def malignant_classes(class_names: Sequence[str]) -> tuple[bool, ...]:
    """Of each diagnosis name, whether it is malignant. Raises ValueError for an unknown name."""
    return tuple(Diagnosis(name).is_malignant for name in class_names)


def save_checkpoint(folder: Path, network: nn.Module, facts: CheckpointFacts) -> CheckpointFacts:
    """Write weights, then config, each to a temporary name first; returns the facts with the weights' hash."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    partial = folder / f".{WEIGHTS_NAME}.partial"
    save_file(tensors, partial, metadata={"format": "pt"})
    partial.chmod(0o644)  # safetensors writes for the owner alone
    digest = file_sha256(partial)
    os.replace(partial, folder / WEIGHTS_NAME)
    done = CheckpointFacts.from_dict(facts.to_dict() | {"weights_sha256": digest})
    write_facts(folder, done)
    return done


def write_facts(folder: Path, facts: CheckpointFacts) -> None:
    """Write config.json alone, atomically."""
    partial = folder / f".{CONFIG_NAME}.partial"
    partial.write_text(json.dumps(facts.to_dict(), indent=2) + "\n", encoding="utf-8")
    os.replace(partial, folder / CONFIG_NAME)


def read_facts(folder: Path) -> CheckpointFacts:
    """The config of a checkpoint folder. Raises ModelNotAvailable saying what is wrong with it."""
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ModelNotAvailable(
            f"There is no classifier in {folder}: {CONFIG_NAME} is missing. "
            "Restore the folder, or train one with `python -m training.train_classifier cpu`."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format_version"] != FORMAT_VERSION:
            raise ModelNotAvailable(
                f"{path} has format {values['format_version']}, this version reads {FORMAT_VERSION}. Train anew."
            )
        facts = CheckpointFacts.from_dict(values)
        _check(facts)
    except ModelNotAvailable:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, DermaFluxError) as error:
        raise ModelNotAvailable(f"{path} is no usable classifier config ({error}). Restore or retrain it.") from error
    return facts


def load_checkpoint(folder: Path) -> tuple[nn.Module, CheckpointFacts]:
    """The network in eval mode and its facts.

    Raises ModelNotAvailable when a file is missing, the hash differs, or any tensor does not fit.
    """
    facts, path = read_facts(folder), folder / WEIGHTS_NAME
    if not path.is_file():
        raise ModelNotAvailable(f"The classifier in {folder} is incomplete: {WEIGHTS_NAME} is missing. Restore it.")
    if file_sha256(path) != facts.weights_sha256:
        raise ModelNotAvailable(
            f"{path} is not the file its config describes (the SHA-256 differs). Restore both files together."
        )
    try:
        network = facts.architecture.build()
        network.load_state_dict(load_file(path), strict=True)
    except (SafetensorError, RuntimeError, DermaFluxError) as error:
        why = str(error).strip().splitlines()[0]
        raise ModelNotAvailable(f"The weights in {path} do not fit the network ({why}). Retrain it.") from error
    return network.eval(), facts


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _check(facts: CheckpointFacts) -> None:
    classes = len(facts.class_names)
    if not classes == facts.architecture.num_classes == len(facts.calibration.biases):
        raise ValueError("class names, outputs and calibration differ in number")
    if facts.inputs.size_px != facts.architecture.size_px:
        raise ValueError("the transform and the network differ in size")
    if facts.num_turns not in (1, 2, 4, 8) or not 0 <= facts.threshold <= 1:
        raise ValueError("num_turns or threshold is out of range")
    malignant_classes(facts.class_names)
