"""Loads a FluxPipeline strictly: what the libraries only log (missing or left-over weights) is an error here.

Safetensors only. It knows no adapters and does no sampling.
"""

import json
import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from safetensors import SafetensorError, safe_open
from torch import nn

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.generation.catalogue import INDEX_FILE, ModelEntry
from dermaflux.generation.hub import download_pipeline
from dermaflux.generation.patch_autoencoder import PatchAutoencoder

log = logging.getLogger(__name__)

OnLoad = Callable[[str, int, int], None]
"""Progress of a load: called before each part with what is being done, how many parts are done, and of how many."""

_NETWORKS = ("transformer", "vae", "text_encoder", "text_encoder_2")
_TOKENIZERS = ("tokenizer", "tokenizer_2")
_PART_NAMES = {
    "transformer": "the image transformer",
    "vae": "the image decoder",
    "text_encoder": "the CLIP text encoder",
    "text_encoder_2": "the T5 text encoder",
}
_NUM_PARTS = len(_NETWORKS) + 1  # and the move to the device
# Flux overflows in float16, so it is not a choice.
_DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "int8": torch.float32,  # of what is not quantised
}
INT8 = "int8"
# Activations, latents and the decoder's feature maps on top of the weights.
_MEMORY_HEADROOM = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and in which number format a pipeline runs."""

    device: torch.device
    dtype: torch.dtype


def choose_placement(device: str = "auto", precision: str = "auto") -> Placement:
    """The device (auto, cpu, cuda, cuda:1, mps) and precision (auto, float32, bfloat16, int8) to run on.

    auto: a GPU when there is one; bfloat16 on a GPU, float32 on a CPU (bfloat16 is slower there). int8 is for CPUs.
    Raises InvalidRequest for an unknown word, ModelNotAvailable for a device this machine lacks.
    """
    name = device
    if device == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(name)
    except RuntimeError:
        raise InvalidRequest(
            f"The device {device!r} is not known. Choose auto, cpu, cuda, cuda:N or mps."
        ) from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ModelNotAvailable(
            f"The device {device!r} is not on this machine. Choose auto or cpu."
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise ModelNotAvailable("The device 'mps' is not on this machine. Choose auto or cpu.")
    if precision == "auto":
        return Placement(
            device=chosen, dtype=torch.bfloat16 if chosen.type == "cuda" else torch.float32
        )
    if precision not in _DTYPES:
        raise InvalidRequest(
            f"The precision {precision!r} is not known. Choose auto, float32, bfloat16 or int8."
        )
    if precision == INT8 and chosen.type != "cpu":
        raise InvalidRequest(f"The precision int8 is for CPUs, and the device is {chosen}. Choose auto or bfloat16.")
    return Placement(device=chosen, dtype=_DTYPES[precision])


def locate(entry: ModelEntry) -> Path:
    """The folder with the model's files; downloads them from the hub when they are not there yet."""
    return download_pipeline(entry.source) if entry.is_hub else Path(entry.source)


def unheard(_doing: str, _done: int, _total: int) -> None:
    """The on_load of a caller who does not want to know."""


def load_pipeline(
    entry: ModelEntry, placement: Placement, folder: Path | None = None, on_load: OnLoad = unheard
) -> FluxPipeline:
    """The pipeline of an entry on its device, every weight accounted for.

    Raises ModelNotAvailable naming the part that is missing, damaged, incomplete or of another kind, or when the
    device cannot hold it.
    """
    folder = folder or locate(entry)
    index = _read_index(folder)
    check_room(folder, placement)
    parts = load_parts(folder, placement.dtype, index, on_load)
    on_load(f"moving it to {placement.device}", len(_NETWORKS), _NUM_PARTS)
    parts["scheduler"] = _load_scheduler(folder, index)
    pipe = FluxPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    _place(pipe, placement.device, entry.name)
    log.info("loaded %s on %s in %s", entry.name, placement.device, placement.dtype)
    return pipe


def load_parts(
    folder: Path, dtype: torch.dtype, index: dict[str, Any] | None = None, on_load: OnLoad = unheard
) -> dict[str, Any]:
    """The networks and tokenizers of a pipeline folder by name, strictly; whatever its scheduler is.

    Raises ModelNotAvailable as `load_pipeline` does.
    """
    index = index or _read_index(folder)
    networks = {}
    with _quiet_bars():
        for done, name in enumerate(_NETWORKS):
            on_load(f"{_PART_NAMES[name]}, {_weight_bytes(folder / name, dtype) / 1e9:.1f} GB", done, _NUM_PARTS)
            networks[name] = _load_network(folder, name, index, dtype)
    return networks | {name: _load_tokenizer(folder, name, index) for name in _TOKENIZERS}


@contextmanager
def _quiet_bars() -> Iterator[None]:
    """Without the libraries' own loading bars on stderr."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / INDEX_FILE).read_text())
    except (OSError, ValueError) as error:
        raise ModelNotAvailable(
            f"{folder / INDEX_FILE} cannot be read: {error}. Reinstall the model."
        ) from error
    if missing := [
        name for name in (*_NETWORKS, *_TOKENIZERS, "scheduler") if not (folder / name).is_dir()
    ]:
        raise ModelNotAvailable(
            f"The model in {folder} has no {missing[0]!r} folder. Reinstall the model."
        )
    return index


def _load_network(folder: Path, name: str, index: dict[str, Any], dtype: torch.dtype) -> nn.Module:
    kind = _class_of(index, name)
    _check_files(folder / name)
    try:
        network, info = kind.from_pretrained(
            folder, subfolder=name, dtype=dtype, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelNotAvailable(
            f"The {name} in {folder} does not load: {error}. Reinstall the model."
        ) from error
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := sorted(map(str, info[problem])):
            word = problem.removesuffix("_keys")
            raise ModelNotAvailable(
                f"The {name} in {folder} has {len(keys)} {word} weights, the first {keys[0]}. It is of another model "
                "or version: reinstall it."
            )
    return network.eval().requires_grad_(False)


def _class_of(index: dict[str, Any], name: str) -> Any:
    class_name = (index.get(name) or [None, None])[1]
    if class_name == PatchAutoencoder.__name__:
        return PatchAutoencoder
    library = diffusers if name in ("transformer", "vae") else transformers
    kind = getattr(library, str(class_name), None)
    if kind is None or not hasattr(kind, "from_pretrained"):
        raise ModelNotAvailable(
            f"The {name} of the model is a {class_name}, which is not known. Choose a Flux model."
        )
    return kind


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


def _load_tokenizer(
    folder: Path, name: str, index: dict[str, Any]
) -> transformers.PreTrainedTokenizerBase:
    try:
        return _class_of(index, name).from_pretrained(folder / name)
    except (OSError, ValueError, TypeError) as error:
        raise ModelNotAvailable(
            f"The {name} in {folder} does not load: {error}. Reinstall the model."
        ) from error


def _load_scheduler(folder: Path, index: dict[str, Any]) -> FlowMatchEulerDiscreteScheduler:
    # Diffusers would read another scheduler's settings as far as their names fit.
    if (kind := index.get("scheduler", [None, None])[1]) != FlowMatchEulerDiscreteScheduler.__name__:
        raise ModelNotAvailable(f"The model in {folder} is sampled by {kind}, so it is no rectified flow. Choose one.")
    try:
        return FlowMatchEulerDiscreteScheduler.from_pretrained(folder, subfolder="scheduler")  # type: ignore[return-value]
    except (OSError, ValueError) as error:
        raise ModelNotAvailable(
            f"The scheduler in {folder} does not load: {error}. Reinstall the model."
        ) from error


def check_room(folder: Path, placement: Placement) -> None:
    """Refuse before anything is loaded or given up what this machine can never hold. Raises ModelNotAvailable.

    What is free at the moment plays no part: another model may still be in the way.
    """
    sizes = {name: _weight_bytes(folder / name, placement.dtype) for name in _NETWORKS}
    needed, largest = sum(sizes.values()), max(sizes.values())
    if hasattr(os, "sysconf"):  # not on Windows: leave it to the loader
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > memory:
            why = "no GPU was found, and " if placement.device.type == "cpu" and not torch.cuda.is_available() else ""
            raise ModelNotAvailable(
                f"The model in {folder} takes {needed / 1e9:.0f} GB, but {why}this machine has {memory / 1e9:.0f} GB. "
                "Choose a smaller model, such as nano."
            )
    if placement.device.type == "cuda":
        whole = torch.cuda.get_device_properties(placement.device).total_memory
        if largest * _MEMORY_HEADROOM > whole:
            raise ModelNotAvailable(
                f"The largest part of the model takes {largest / 1e9:.0f} GB, but the GPU has {whole / 1e9:.0f} GB. "
                "Choose a smaller model, such as nano."
            )


def _weight_bytes(folder: Path, dtype: torch.dtype) -> int:
    """What the weights of a folder take in memory in a number format, by their headers; 0 for what is not readable."""
    numbers = 0
    for path in folder.glob("*.safetensors"):
        try:
            with path.open("rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            numbers += sum(math.prod(facts["shape"]) for name, facts in header.items() if name != "__metadata__")
        except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError):
            continue  # the loader says what is wrong with it
    return numbers * dtype.itemsize


def _place(pipe: FluxPipeline, device: torch.device, name: str) -> None:
    """Move the pipeline to its device; a GPU too small for all of it holds one part at a time."""
    if device.type != "cuda":
        pipe.to(device)
        return
    free_bytes, _ = torch.cuda.mem_get_info(device)
    networks = [part for part in pipe.components.values() if isinstance(part, nn.Module)]
    needed = sum(p.numel() * p.element_size() for part in networks for p in part.parameters())
    largest = max(sum(p.numel() * p.element_size() for p in part.parameters()) for part in networks)
    if needed * _MEMORY_HEADROOM <= free_bytes:
        pipe.to(device)
    elif largest * _MEMORY_HEADROOM <= free_bytes:
        log.warning(
            "%s needs %.0f GB, %.0f free: parts move in turn", name, needed / 1e9, free_bytes / 1e9
        )
        pipe.enable_model_cpu_offload(device=device)
    else:
        raise ModelNotAvailable(
            f"The model {name!r} needs {largest / 1e9:.0f} GB on the GPU, but {free_bytes / 1e9:.0f} GB are free. "
            "Close other programs or choose a smaller model."
        )
