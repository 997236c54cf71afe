"""A training run as a recipe: a shell script and its settings, for a machine that may train. Nothing is started here.

What a place may not do itself (a Space on ZeroGPU gives the GPU for seconds only) is so done elsewhere, and the same.
"""

import json
import shlex
import zipfile
from pathlib import Path

from dermaflux.domain.errors import StorageNotWritable
from dermaflux.services.training_programs import flags, training_programs, values_of
from dermaflux.services.training_records import HAM10000, LORA, TrainingRequest

SCRIPT, SETTINGS = "train.sh", "config.json"
_EXECUTABLE = 0o755
_HEAD = """\
#!/usr/bin/env bash
# Trains the {kind} {name!r} of DermaFlux from the preset {preset!r}: {text}
# Run it in a checkout of DermaFlux after `make run` or `pip install -r requirements.txt`:
#     {needs}bash {script}
# Stopped (Ctrl-C) or killed, the same command goes on from the last checkpoint. PYTHON names another interpreter.
set -euo pipefail
"""


def write_recipe(request: TrainingRequest, target: Path) -> Path:
    """Write the recipe of a request as a zip. Raises as `values_of`, and StorageNotWritable."""
    program = training_programs()[request.kind]
    config = {
        "module": program.module,
        "preset": request.preset,
        "real": request.real,
        "dataset": request.synthetic,
        "ratio": request.ratio,
        "values": values_of(request) | {"name": request.name},
    }
    partial = target.with_name(f".{target.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            script = zipfile.ZipInfo(SCRIPT)
            script.external_attr = _EXECUTABLE << 16
            archive.writestr(script, script_of(request))
            archive.writestr(SETTINGS, json.dumps(config, indent=2) + "\n")
        return partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageNotWritable(f"{target} cannot be written ({error.strerror}). Free space.") from error


def script_of(request: TrainingRequest) -> str:
    """The script; it asks for the places of pictures that are not part of the recipe."""
    needed = _needed(request)
    program = training_programs()[request.kind]
    preset, values = program.presets[request.preset], values_of(request)
    head = _HEAD.format(
        kind="LoRA" if request.kind == LORA else "classifier", name=request.name, preset=preset.name,
        text=preset.text, script=SCRIPT, needs="".join(f"{name}=... " for name in needed),
    )  # fmt: skip
    words = [preset.name, "--name", request.name, *flags(values | {"name": preset.values["name"]}, preset.values)]
    lines = [head, *(f': "${{{name}:?Set {name} to {what}}}"' for name, what in needed.items())]
    command = f'"${{PYTHON:-python}}" -m {program.module} {shlex.join(words)}{_places(request)}'
    if request.kind == LORA:
        return "\n".join([*lines, f"exec {command}", ""])
    state = shlex.quote(f"{values['runs_dir']}/{request.name}/state.pt")
    return "\n".join([*lines, "more=()", f"[ ! -f {state} ] || more=(--resume)", f'exec {command} "${{more[@]}}"', ""])


def _needed(request: TrainingRequest) -> dict[str, str]:
    """Environment variable -> what it has to name where the script is run."""
    needed: dict[str, str] = {}
    if request.real != HAM10000:
        needed["PICTURES"] = f"your folder of the real pictures {request.real}, metadata.csv with split train and val"
    if request.synthetic:
        needed["SYNTHETIC"] = f"the unpacked imagefolder export of the dataset {request.synthetic}"
    return needed


def _places(request: TrainingRequest) -> str:
    """The flags that read the environment; quoted, since a folder may hold blanks."""
    words = ""
    if request.real != HAM10000:
        words += f' --{"pictures" if request.kind == LORA else "data.folder"} "$PICTURES"'
    if request.synthetic:
        words += ' --synthetic.folder "$SYNTHETIC"'
        words += f" --synthetic.ratio {request.ratio}" if request.ratio else ""
    return words
