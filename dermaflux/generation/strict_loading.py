"""Reads one network from a folder of safetensors, every weight accounted for.

What diffusers and transformers only log (missing, left-over or misshapen weights) is an error. It knows no pipeline.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.models import modeling_utils
from safetensors import SafetensorError, safe_open
from torch import nn

from dermaflux.domain.errors import ModelNotAvailable

_PARALLEL = "HF_ENABLE_PARALLEL_LOADING"  # diffusers reads it from the environment, once, when it is imported


def load_strictly(kind: Any, folder: Path, dtype: torch.dtype, *, called: str) -> nn.Module:
    """The network of a class (diffusers or transformers) in a folder, on the CPU, for inference.

    called: what the errors name it. Raises ModelNotAvailable when it is missing, damaged, incomplete or another one.
    """
    _check_files(folder)
    try:
        with _in_parallel():
            network, info = kind.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelNotAvailable(f"{called} does not load: {error}. Reinstall the model.") from error
    # Of several files diffusers believes the index: what it lists and no file holds has no numbers, and is not missed.
    empty = [weight for weight, tensor in network.state_dict().items() if tensor.is_meta]
    problems = {"missing": {*map(str, info["missing_keys"]), *empty}} | {
        word: set(map(str, info[f"{word}_keys"])) for word in ("unexpected", "mismatched")
    }
    for word, keys in problems.items():
        if keys:
            raise ModelNotAvailable(
                f"{called} has {len(keys)} {word} weights, the first {min(keys)}. It is of another model or version: "
                "reinstall it."
            )
    return network.eval().requires_grad_(False)


@contextmanager
def _in_parallel() -> Iterator[None]:
    """Diffusers reads the files of a network side by side; transformers does so anyway.

    The switch is a variable of the environment that counts only before diffusers is imported, so it is turned where
    diffusers keeps it. Loads take turns (`Generator`), and one beside them would only be as fast.
    """
    before = getattr(modeling_utils, _PARALLEL, None)
    if before is None:  # another version: it loads one after the other
        yield
        return
    setattr(modeling_utils, _PARALLEL, True)
    try:
        yield
    finally:
        setattr(modeling_utils, _PARALLEL, before)


def _check_files(folder: Path) -> None:
    """Every safetensors file has a readable header and its whole length, else ModelNotAvailable names it."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelNotAvailable(f"{folder} holds no .safetensors weights. Reinstall the model.")
    for path in files:
        try:
            with safe_open(path, "pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise ModelNotAvailable(
                f"{path} is damaged or not safetensors: {error}. Reinstall the model."
            ) from error
