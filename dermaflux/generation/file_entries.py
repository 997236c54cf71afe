"""What is known of a model that is one checkpoint file of a transformer. It loads no weights and no torch.

`NAME.json` beside `NAME.safetensors` names the pipeline with the other parts, as {"pipeline": "flux-dev"}, and may
state the licence; a file that lies in a pipeline's own folder, as flux1-dev.safetensors does, needs none.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.generation.entries import FLUX_DEV, FLUX_SCHNELL, UNSTATED_LICENCE, ModelEntry
from dermaflux.generation.weight_sizes import StoredWeight, read_header

SUFFIX = ".safetensors"
PREFIX = "model.diffusion_model."  # as ComfyUI saves it
GUIDANCE = "guidance_in.in_layer.weight"
_READ = ("BF16", "F16", "F32")

FindModel = Callable[[str], ModelEntry]
"""The pipeline of a name or folder; raises as `ModelCatalogue.model` does."""


def entry_of_file(path: Path, name: str, find: FindModel) -> ModelEntry:
    """The entry of a checkpoint; its defaults are those of its kind, guidance-distilled or not.

    Raises ModelNotAvailable when the file is none of a Flux transformer, or no pipeline is named for the other parts.
    """
    distilled = GUIDANCE in read_bfl_header(path)
    stated = _stated(path)
    pipeline = _pipeline_of(path, stated, find)
    alike = pipeline if pipeline.distilled_guidance == distilled else FLUX_DEV if distilled else FLUX_SCHNELL
    return replace(
        alike,
        name=name,
        source=pipeline.source,
        is_hub=pipeline.is_hub,
        revision=pipeline.revision,
        transformer_file=str(path),
        int8_checked=False,
        licence=stated.get("licence", UNSTATED_LICENCE),
    )


def read_bfl_header(path: Path) -> dict[str, StoredWeight]:
    """What the file holds, under BFL's plain names.

    Raises ModelNotAvailable for a file that is damaged, of other names, or in a number format that is not read.
    """
    header = {name.removeprefix(PREFIX): weight for name, weight in read_header(path).items()}
    if not any(name.startswith("double_blocks.") for name in header):
        raise ModelNotAvailable(
            f"{path.name} holds no Flux transformer under Black Forest Labs' names (double_blocks...). Give a file as "
            "flux1-dev.safetensors, or a pipeline's folder."
        )
    for name, weight in header.items():
        if weight.dtype not in _READ:
            raise ModelNotAvailable(
                f"{path.name} holds {name} in {weight.dtype}, which is not read (only {', '.join(_READ)}). Take the "
                "file in bf16: it is held in few bits here where the GPU needs that (DERMAFLUX_MEMORY)."
            )
    return header


def _pipeline_of(path: Path, stated: dict[str, str], find: FindModel) -> ModelEntry:
    if named := stated.get("pipeline"):
        near = path.parent / named
        try:
            return find(str(near.resolve()) if near.is_dir() else named)
        except InvalidRequest as error:
            raise ModelNotAvailable(f"The pipeline that {_beside(path)} names: {error}") from error
    if (path.parent / "model_index.json").is_file():
        return find(str(path.parent.resolve()))
    raise ModelNotAvailable(
        f"{path.name} is a transformer alone. Name the pipeline with its other parts in {_beside(path)}, as "
        '{"pipeline": "flux-dev"} or a folder, or put the file into the pipeline\'s own folder.'
    )


def _stated(path: Path) -> dict[str, str]:
    beside = _beside(path)
    if not beside.is_file():
        return {}
    try:
        stated = json.loads(beside.read_text())
        if not isinstance(stated, dict) or not all(isinstance(value, str) for value in stated.values()):
            raise ValueError("it is no object of texts")
        if unknown := sorted(stated.keys() - {"pipeline", "licence"}):
            raise ValueError(f"the field {unknown[0]!r} is unknown")
    except ValueError as error:
        raise ModelNotAvailable(f"{beside} cannot be used: {error}. State pipeline and licence.") from error
    return stated


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")
