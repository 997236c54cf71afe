"""Writes down what the trainers can be told, so that pages know it without importing them.

    python -m training.describe_programs            # assets/training/programs.json

The presets and fields stand in the trainers' configs and nowhere else; a test fails while the file says otherwise.
"""

import ast
import inspect
import json
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from training import classifier_config, lora_config
from training.program import program
from training.whole_files import write_whole

PATH = Path(__file__).parents[1] / "assets" / "training" / "programs.json"
_PROGRAMS = {
    "lora": ("training.train_flux_lora", lora_config.LoraRun, lora_config.PRESETS, lora_config.GPU_GB),
    "classifier": ("training.train_classifier", classifier_config.ClassifierRun, classifier_config.PRESETS, {}),
}


def described() -> str:
    """Module, presets (text, values, the GPU) and the help of each field of both trainers, as JSON."""
    programs = {
        kind: {
            "module": module,
            "presets": {
                name: {"text": text, "values": asdict(run), "gpu_gb": gpus.get(name)}
                for name, (text, run) in presets.items()
            },
            "fields": _helps(config),
        }
        for kind, (module, config, presets, gpus) in _PROGRAMS.items()
    }
    return json.dumps(programs, indent=1, default=str) + "\n"


def _helps(config: type, prefix: str = "") -> dict[str, str]:
    """The text that stands below each field in the source, by the field's dotted name."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(config)).body if isinstance(node, ast.ClassDef))
    helps: dict[str, str] = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            helps[prefix + node.target.id] = " ".join(str(said).split())
    nested: dict[str, Any] = {name: kind for name, kind in get_type_hints(config).items() if is_dataclass(kind)}
    for name, kind in nested.items():
        del helps[prefix + name]
        helps |= _helps(kind, f"{prefix}{name}.")
    return helps


@program
def main() -> None:
    """Write the file."""
    write_whole(PATH, described())
    sys.stdout.write(f"{PATH}\n")


if __name__ == "__main__":
    sys.exit(main())
