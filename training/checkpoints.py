"""Training checkpoints: written to a temporary name and moved, read without unpickling code.

They serve resuming only; finished weights are exported as safetensors elsewhere.
"""

import os
from pathlib import Path
from typing import Any

import torch

from dermaflux.domain.errors import ModelNotAvailable


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write a state of tensors and plain values; an interruption leaves the earlier file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(state, temporary)
    os.replace(temporary, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state of a checkpoint on the CPU, None when there is none. Raises ModelNotAvailable if broken."""
    if not path.is_file():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError) as error:
        raise ModelNotAvailable(
            f"The checkpoint {path} cannot be read ({error}). Delete it to start the run anew."
        ) from error
