"""Loads a Flux transformer from one file in Black Forest Labs' own names, strictly: flux1-dev.safetensors and its like.

The names may carry ComfyUI's prefix. Diffusers' own converter takes every model to be 3072 wide and drops what it does
not know in silence, so the names are turned here. It knows the transformer alone.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation.bfl_names import (
    DOUBLE_LAYERS,
    DOUBLE_NORMS,
    OUTSIDE_LAYERS,
    SINGLE_LAYERS,
    SINGLE_NORMS,
    SWAPPED_LAYER,
    Layers,
)
from dermaflux.generation.file_entries import GUIDANCE, PREFIX, read_bfl_header
from dermaflux.generation.weight_sizes import StoredWeight

_BLOCK = re.compile(r"(?P<kind>double|single)_blocks\.(?P<index>\d+)\.(?P<inside>.+)\.(?P<tensor>weight|bias|scale)")
_OUTSIDE = re.compile(r"(?P<inside>.+)\.(?P<tensor>weight|bias)")
_NUM_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a tensor of the file goes: to these weights, in the order of its rows; swapped: its halves trade places."""

    targets: tuple[str, ...]
    swapped: bool = False


def load_single_file(path: Path, config_file: Path, dtype: torch.dtype) -> FluxTransformer2DModel:
    """The transformer of a checkpoint; config_file is that of a transformer of its kind.

    Raises ModelNotAvailable naming weights that are missing, left over, or of another size or number format.
    """
    header = read_bfl_header(path)
    transformer = _empty(config_file, has_guidance=GUIDANCE in header)
    wanted = {name: tuple(weight.shape) for name, weight in transformer.state_dict().items()}
    places = {name: place for name in header if (place := place_of(name)) is not None}
    _check(path, header, places, wanted)
    try:
        with safe_open(path, "pt") as handle:
            stored = {name.removeprefix(PREFIX): name for name in handle.keys()}  # noqa: SIM118 - not a mapping
            state = _state(lambda name: handle.get_tensor(stored[name]).to(dtype), places, wanted)
    except (SafetensorError, OSError) as error:
        raise ModelNotAvailable(f"{path} is damaged: {error}. Download it again.") from error
    transformer.load_state_dict(state, strict=True, assign=True)
    return transformer


def place_of(name: str) -> Place | None:
    """Where a tensor of that name goes; None for one that is no part of a Flux transformer."""
    if match := _BLOCK.fullmatch(name):
        double = match["kind"] == "double"
        block = f"{'' if double else 'single_'}transformer_blocks.{match['index']}"
        if match["tensor"] == "scale":
            norm = (DOUBLE_NORMS if double else SINGLE_NORMS).get(match["inside"])
            return Place(targets=(f"{block}.{norm}.weight",)) if norm else None
        return _layers(DOUBLE_LAYERS if double else SINGLE_LAYERS, match, f"{block}.")
    match = _OUTSIDE.fullmatch(name)
    return _layers(OUTSIDE_LAYERS, match, "") if match else None


def _layers(table: Layers, match: re.Match[str], beginning: str) -> Place | None:
    layers = table.get(match["inside"])
    if layers is None:
        return None
    targets = tuple(f"{beginning}{layer}.{match['tensor']}" for layer in layers)
    return Place(targets=targets, swapped=beginning == "" and layers == (SWAPPED_LAYER,))


def _empty(config_file: Path, *, has_guidance: bool) -> Any:
    """A transformer without numbers, as the config says; whether it is guided the file knows better."""
    try:
        config = json.loads(config_file.read_text()) | {"guidance_embeds": has_guidance}
        with torch.device("meta"):
            return FluxTransformer2DModel.from_config(config)
    except (OSError, ValueError, TypeError) as error:
        raise ModelNotAvailable(
            f"The settings of the transformer in {config_file} cannot be used: {error}. Name another pipeline."
        ) from error


def _check(
    path: Path,
    header: Mapping[str, StoredWeight],
    places: Mapping[str, Place],
    wanted: Mapping[str, tuple[int, ...]],
) -> None:
    """Every weight of the model comes from the file, in its size, and every weight of the file goes somewhere."""
    filled = {target for place in places.values() for target in place.targets}
    left_over = [name for name in header if name not in places or not set(places[name].targets) <= wanted.keys()]
    missing = [name for name in wanted if name not in filled]
    sizes = [
        f"{name} is {header[name].shape}"
        for name, place in places.items()
        if name not in left_over and header[name].shape != _fused([wanted[target] for target in place.targets])
    ]
    for what, names in (("missing", missing), ("left over", left_over), ("of another size", sizes)):
        if names:
            raise ModelNotAvailable(
                f"{path.name} is no whole Flux transformer of this kind: {len(names)} weights are {what}, the first "
                f"{', '.join(names[:_NUM_SHOWN])}. Take the whole file, with the pipeline it belongs to."
            )


def _fused(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    return (sum(shape[0] for shape in shapes), *shapes[0][1:])


def _state(
    read: Callable[[str], Tensor], places: Mapping[str, Place], wanted: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, place in places.items():
        tensor = read(name)
        if place.swapped:
            tensor = torch.cat(tensor.chunk(2)[::-1])
        pieces = tensor.split([wanted[target][0] for target in place.targets])
        state |= zip(place.targets, pieces, strict=True)
    return state
