"""Reads a LoRA file of any usual format into one shape: for each linear layer of the transformer, a scaled pair.

Formats: diffusers (`transformer.*.lora_A.weight`), peft (`base_model.model.*`), kohya (`lora_unet_*`, with alpha).
Every tensor must find its place; it knows the layers' names and sizes, not the model.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dermaflux.domain.errors import AdapterNotApplied, ModelNotAvailable
from dermaflux.generation.bfl_names import (
    DOUBLE_LAYERS,
    OUTSIDE_LAYERS,
    SINGLE_LAYERS,
    SWAPPED_LAYER,
)

# Sizes of the transformer's linear layers: name -> (out_features, in_features).
LayerSizes = Mapping[str, tuple[int, int]]

DIFFUSERS_METADATA = "lora_adapter_metadata"
_TENSOR = re.compile(
    r"(?P<module>.+?)\.(?P<part>lora_A|lora_down|lora_B|lora_up)(\.default)?\.weight"
)
_ALPHA = re.compile(r"(?P<module>.+)\.alpha")
_PART = {"lora_A": "down", "lora_down": "down", "lora_B": "up", "lora_up": "up"}
_NUM_SHOWN = 3

# kohya's names: BFL's with underscores (sd-scripts networks/lora_flux.py).
_KOHYA_DOUBLE, _KOHYA_SINGLE, _KOHYA_OUTSIDE = (
    {name.replace(".", "_"): layers for name, layers in table.items()}
    for table in (DOUBLE_LAYERS, SINGLE_LAYERS, OUTSIDE_LAYERS)
)
_KOHYA_BLOCK = re.compile(r"lora_unet_(?P<kind>double|single)_blocks_(?P<index>\d+)_(?P<layer>\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraPair:
    """The update of one layer, W + up @ down, the scale already inside `up`. down (rank, in), up (out, rank)."""

    down: Tensor
    up: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFile:
    """A LoRA file as it lies on disk: its tensors and what it says of its scale."""

    path: Path
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)


def read_adapter_file(path: Path) -> AdapterFile:
    """The tensors and the LoRA settings of a file. Never unpickles.

    Raises ModelNotAvailable when it is missing or is not safetensors.
    """
    try:
        with safe_open(path, "pt") as handle:
            metadata = handle.metadata() or {}
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise ModelNotAvailable(
            f"The adapter {path} cannot be read: {error}. Give a .safetensors file."
        ) from error
    beside = path.with_name("adapter_config.json")
    try:
        if DIFFUSERS_METADATA in metadata:
            stated = json.loads(metadata[DIFFUSERS_METADATA])
            config = {key.removeprefix("transformer."): value for key, value in stated.items()}
        else:
            config = json.loads(beside.read_text()) if beside.is_file() else {}
    except ValueError as error:
        raise ModelNotAvailable(
            f"The settings of the adapter {path} are damaged: {error}."
        ) from error
    return AdapterFile(path=path, tensors=tensors, config=config)


def pairs_of(file: AdapterFile, layers: LayerSizes) -> dict[str, LoraPair]:
    """The update of each layer, by the layer's name in the transformer.

    Raises AdapterNotApplied naming the first tensors that have no place: unknown layer, half a pair, another size.
    """
    problems: list[str] = []
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in file.tensors.items():
        if match := _TENSOR.fullmatch(key):
            groups.setdefault(match["module"], {})[_PART[match["part"]]] = tensor
        elif match := _ALPHA.fullmatch(key):
            groups.setdefault(match["module"], {})["alpha"] = tensor
        else:
            problems.append(f"{key} (not a LoRA tensor)")
    pairs: dict[str, LoraPair] = {}
    for module, parts in groups.items():
        if why := _misfit(module, parts, layers):
            problems.append(f"{module} ({why})")
        else:
            pairs |= _split(module, parts, layers, file.config)
    if problems or not pairs:
        raise AdapterNotApplied(_explain(file, problems))
    return pairs


def kohya_modules(num_double: int, num_single: int) -> dict[str, tuple[str, ...]]:
    """Every module of the blocks under its kohya name -> the layers it updates, in the order of its rows.

    FLUX.1 (19 double, 38 single blocks) has 304 of them over 494 layers.
    """
    kinds = (("double", num_double, _KOHYA_DOUBLE), ("single", num_single, _KOHYA_SINGLE))
    names = [
        f"lora_unet_{kind}_blocks_{index}_{layer}"
        for kind, count, layers in kinds
        for index in range(count)
        for layer in layers
    ]
    return {name: _targets(name) for name in names}


def _targets(module: str) -> tuple[str, ...]:
    """The layers of the transformer that a module of the file updates, in the order of its rows."""
    if match := _KOHYA_BLOCK.fullmatch(module):
        double = match["kind"] == "double"
        block = f"{'' if double else 'single_'}transformer_blocks.{match['index']}"
        names = (_KOHYA_DOUBLE if double else _KOHYA_SINGLE).get(match["layer"], ())
        return tuple(f"{block}.{name}" for name in names)
    if module.startswith("lora_unet_"):
        return _KOHYA_OUTSIDE.get(module.removeprefix("lora_unet_"), ())
    return (module.removeprefix("base_model.model.").removeprefix("transformer."),)


def _misfit(module: str, parts: Mapping[str, Tensor], layers: LayerSizes) -> str | None:
    """Why a module's tensors cannot be applied, None when they can."""
    targets = _targets(module)
    if not targets or any(name not in layers for name in targets):
        return "no such layer in the model"
    if "down" not in parts or "up" not in parts:
        return f"its {'up' if 'down' in parts else 'down'} half is missing"
    down, up = parts["down"], parts["up"]
    if down.ndim != 2 or up.ndim != 2 or down.shape[0] != up.shape[1]:
        return f"ranks differ: {tuple(down.shape)} and {tuple(up.shape)}"
    rows, columns = sum(layers[name][0] for name in targets), layers[targets[0]][1]
    if (up.shape[0], down.shape[1]) != (rows, columns):
        return f"made for a layer of {(up.shape[0], down.shape[1])}, this one is {(rows, columns)}"
    return None


def _split(
    module: str, parts: Mapping[str, Tensor], layers: LayerSizes, config: Mapping[str, Any]
) -> dict[str, LoraPair]:
    """The pairs of a module: a fused one is cut by rows, and its parts share `down`."""
    targets = _targets(module)
    down = parts["down"].float()
    up = parts["up"].float() * _scale(targets[0], parts, config)
    if targets == (SWAPPED_LAYER,) and module.startswith("lora_unet_"):
        up = torch.cat(
            up.chunk(2)[::-1]
        )  # BFL has shift before scale, diffusers scale before shift
    pieces = up.split([layers[name][0] for name in targets])
    return {
        name: LoraPair(down=down, up=piece) for name, piece in zip(targets, pieces, strict=True)
    }


def _scale(layer: str, parts: Mapping[str, Tensor], config: Mapping[str, Any]) -> float:
    """Alpha / rank, where alpha stands beside the tensors, in the file's settings, or nowhere (then it is the rank)."""
    rank = parts["down"].shape[0]
    if "alpha" in parts:
        return float(parts["alpha"]) / rank
    alpha = config.get("lora_alpha", rank)
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern})", layer):
            alpha = value
    return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)


def _explain(file: AdapterFile, problems: list[str]) -> str:
    first = "; ".join(problems[:_NUM_SHOWN]) or "it holds no LoRA tensors"
    return (
        f"The adapter {file.path.name} does not fit this model: {len(problems)} of its parts have no place, the first: "
        f"{first}. Nothing was applied. Use an adapter made for this base model."
    )
