"""Loads a FluxPipeline strictly: what the libraries only log (missing or left-over weights) is an error here.

Safetensors only. It knows no adapters and does no sampling.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from torch import nn

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation.catalogue import INDEX_FILE
from dermaflux.generation.entries import ModelEntry
from dermaflux.generation.memory import WHOLE, Plan, part_bytes
from dermaflux.generation.model_files import NETWORKS, ModelFiles, locate
from dermaflux.generation.patch_autoencoder import PatchAutoencoder
from dermaflux.generation.placement import Placement, place, settle, whole_plan
from dermaflux.generation.single_file import load_single_file
from dermaflux.generation.strict_loading import load_strictly
from dermaflux.generation.weight_sizes import PartSize

log = logging.getLogger(__name__)

OnLoad = Callable[[str, int, int], None]
"""Progress of a load: called before each part with what is being done, how many parts are done, and of how many."""

_TOKENIZERS = ("tokenizer", "tokenizer_2")
_PART_NAMES = {
    "transformer": "the image transformer",
    "vae": "the image decoder",
    "text_encoder": "the CLIP text encoder",
    "text_encoder_2": "the T5 text encoder",
}
_NUM_PARTS = len(NETWORKS) + 1  # and the joining of them


def unheard(_doing: str, _done: int, _total: int) -> None:
    """The on_load of a caller who does not want to know."""


def load_pipeline(
    entry: ModelEntry,
    placement: Placement,
    files: ModelFiles | None = None,
    on_load: OnLoad = unheard,
    plan: Plan | None = None,
) -> FluxPipeline:
    """The pipeline of an entry on its device, every weight accounted for; without a plan whole, all of it there.

    Each network is brought into the plan's format and to its place before the next is read. Raises ModelNotAvailable
    naming the part that is missing, damaged, incomplete or of another kind, or (without a plan) too large.
    """
    files = files or locate(entry)
    index = _read_index(files)
    sizes, networks = files.sizes(), {}
    plan = plan or whole_plan(sizes, placement)
    with _quiet_bars():
        for done, name in enumerate(NETWORKS):
            on_load(_doing(name, sizes[name], plan, placement.dtype), done, _NUM_PARTS)
            networks[name] = _load_network(files, name, index, placement.dtype)
            settle(networks[name], name, plan, placement.device)
    on_load(f"joining its parts on {placement.device}", len(NETWORKS), _NUM_PARTS)
    scheduler = _load_scheduler(files.folder, index)
    pipe = FluxPipeline(**networks, **_load_tokenizers(files.folder, index), scheduler=scheduler)
    pipe.set_progress_bar_config(disable=True)
    place(pipe, plan, placement.device)
    log.info("loaded %s on %s in %s", entry.name, placement.device, plan.precision or placement.dtype)
    return pipe


def load_parts(files: ModelFiles, dtype: torch.dtype) -> dict[str, Any]:
    """The networks and tokenizers of a pipeline by name, strictly, on the CPU; whatever its scheduler is.

    Raises ModelNotAvailable as `load_pipeline` does.
    """
    index = _read_index(files)
    with _quiet_bars():
        networks = {name: _load_network(files, name, index, dtype) for name in NETWORKS}
    return networks | _load_tokenizers(files.folder, index)


def load_vae(files: ModelFiles, dtype: torch.dtype) -> Any:
    """The VAE of a pipeline alone, strictly, on the CPU. Raises ModelNotAvailable."""
    return _load_network(files, "vae", _read_index(files), dtype)


def _doing(name: str, size: PartSize, plan: Plan, dtype: torch.dtype) -> str:
    held = plan.format_of(name)
    num_gb = part_bytes(size, held, dtype.itemsize) / 1e9
    return f"{_PART_NAMES[name]}, {num_gb:.1f} GB" + ("" if held == WHOLE else f" in {held}")


@contextmanager
def _quiet_bars() -> Iterator[None]:
    """Without the libraries' own loading bars on stderr."""
    shown = [lib for lib in (transformers.utils.logging, diffusers.utils.logging) if lib.is_progress_bar_enabled()]
    for library in shown:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bar()


def _read_index(files: ModelFiles) -> dict[str, Any]:
    folder = files.folder
    parts = [name for name in NETWORKS if name != "transformer" or files.transformer_file is None]
    try:
        index = json.loads((folder / INDEX_FILE).read_text())
    except (OSError, ValueError) as error:
        raise ModelNotAvailable(
            f"{folder / INDEX_FILE} cannot be read: {error}. Reinstall the model."
        ) from error
    if missing := [
        name for name in (*parts, *_TOKENIZERS, "scheduler") if not (folder / name).is_dir()
    ]:
        raise ModelNotAvailable(
            f"The model in {folder} has no {missing[0]!r} folder. Reinstall the model."
        )
    return index


def _load_network(files: ModelFiles, name: str, index: Mapping[str, Any], dtype: torch.dtype) -> nn.Module:
    if name == "transformer" and files.transformer_file is not None:
        config_file = files.folder / name / "config.json"
        return load_single_file(files.transformer_file, config_file, dtype).eval().requires_grad_(False)
    return load_strictly(_class_of(index, name), files.folder / name, dtype, called=f"The {name} in {files.folder}")


def _class_of(index: Mapping[str, Any], name: str) -> Any:
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


def _load_tokenizers(folder: Path, index: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _load_tokenizer(folder, name, index) for name in _TOKENIZERS}


def _load_tokenizer(
    folder: Path, name: str, index: Mapping[str, Any]
) -> transformers.PreTrainedTokenizerBase:
    try:
        return _class_of(index, name).from_pretrained(folder / name)
    except (OSError, ValueError, TypeError) as error:
        raise ModelNotAvailable(
            f"The {name} in {folder} does not load: {error}. Reinstall the model."
        ) from error


def _load_scheduler(folder: Path, index: Mapping[str, Any]) -> FlowMatchEulerDiscreteScheduler:
    # Diffusers would read another scheduler's settings as far as their names fit.
    if (kind := index.get("scheduler", [None, None])[1]) != FlowMatchEulerDiscreteScheduler.__name__:
        raise ModelNotAvailable(f"The model in {folder} is sampled by {kind}, so it is no rectified flow. Choose one.")
    try:
        return FlowMatchEulerDiscreteScheduler.from_pretrained(folder, subfolder="scheduler")  # type: ignore[return-value]
    except (OSError, ValueError) as error:
        raise ModelNotAvailable(
            f"The scheduler in {folder} does not load: {error}. Reinstall the model."
        ) from error
