"""Puts LoRAs on a pipeline, proves that all of each arrived, changes their weights, takes them off again.

diffusers accepts a wrong-prefix or half-matching file with no more than a log line; here it is an error. The base stays
in memory: only what differs from the request before is loaded or taken off.
"""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from torch import nn

from dermaflux.domain.blend import AdapterUse
from dermaflux.domain.errors import AdapterNotApplied, DermaFluxError, InvalidRequest
from dermaflux.generation.adapter_files import LayerSizes, LoraPair, pairs_of, read_adapter_file
from dermaflux.generation.adapter_place import keep_place, put_in_place
from dermaflux.generation.catalogue import AdapterEntry, ModelCatalogue
from dermaflux.generation.hub import download_adapter
from dermaflux.generation.placement import streams_blocks
from dermaflux.generation.weights import sha256_of_file

log = logging.getLogger(__name__)

_SLOT = "dermaflux_"  # and the beginning of the file's hash: one slot of peft for each file
_PLACE = f"{_SLOT}place"  # or one slot for whatever is worn, where compiled code must stay as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA file, what it holds, and how strongly it is to act: 1 as trained, 0 not at all."""

    path: Path
    sha256: str
    weight: float = 1.0

    @classmethod
    def of_file(cls, path: Path, weight: float = 1.0) -> "Adapter":
        """The adapter of a file. Raises ModelNotAvailable when it cannot be read."""
        return cls(path=path, sha256=sha256_of_file(path), weight=weight)

    @property
    def slot(self) -> str:
        """Its name in peft."""
        return f"{_SLOT}{self.sha256[:16]}"


def locate_adapters(catalogue: ModelCatalogue, uses: Sequence[AdapterUse]) -> tuple[Adapter, ...]:
    """The files of a blend, downloaded when they lie on the hub. Raises InvalidRequest when two are the same file."""
    found = tuple(Adapter.of_file(_locate(catalogue.adapter(use.name)), use.weight) for use in uses)
    for index, adapter in enumerate(found):
        if adapter.sha256 in (other.sha256 for other in found[:index]):
            raise InvalidRequest(f"The adapter {uses[index].name!r} is in the blend already under another name.")
    return found


def wear(pipe: FluxPipeline, adapters: Sequence[Adapter]) -> int:
    """Exactly these adapters on the pipeline, each at its weight; returns how many tensors act.

    Those that are on already are not loaded again. A kohya tensor over fused layers counts once for each layer it is
    split into. Raises AdapterNotApplied when not every tensor of a file reached the model, ModelNotAvailable when it
    cannot be read; the pipeline is then bare.
    """
    transformer = pipe.transformer
    _refuse_fused(transformer, adapters)
    if _PLACE in worn(transformer):
        return _exchange(transformer, adapters)
    wanted = {adapter.slot: adapter for adapter in adapters}
    _take_off(transformer, [slot for slot in worn(transformer) if slot not in wanted])
    try:
        for slot, adapter in wanted.items():
            if slot not in worn(transformer):
                _put_on(pipe, adapter)
    except DermaFluxError:
        _take_off(transformer, worn(transformer))
        raise
    if wanted:
        transformer.set_adapters(list(wanted), [adapter.weight for adapter in wanted.values()])
    return sum(f".{slot}.weight" in name for name, _ in transformer.named_parameters() for slot in wanted)


def keep_a_place_for_adapters(transformer: FluxTransformer2DModel, rank: int) -> None:
    """From now on adapters are exchanged without changing the network: `wear` copies them to where zeros lie now.

    On a bare transformer only, before it is compiled. rank: the largest that all adapters of a blend have together.
    """
    keep_place(transformer, _PLACE, layer_sizes(transformer), rank)


def worn(transformer: FluxTransformer2DModel) -> list[str]:
    """The slots of the adapters that are on."""
    return [slot for slot in getattr(transformer, "peft_config", {}) if slot.startswith(_SLOT)]


def layer_sizes(transformer: nn.Module) -> LayerSizes:
    """Name -> (out_features, in_features) of every linear layer, as they are called without an adapter on."""
    return {
        name.removesuffix(".base_layer"): (module.out_features, module.in_features)
        for name, module in transformer.named_modules()
        if isinstance(module, nn.Linear) and ".lora_" not in name
    }


def _locate(entry: AdapterEntry) -> Path:
    return download_adapter(entry.source, entry.file) if entry.is_hub else Path(entry.source)


def _refuse_fused(transformer: nn.Module, adapters: Sequence[Adapter]) -> None:
    """Fused, a network reads copies of the q, k and v weights, and a LoRA on them changes nothing at all."""
    if adapters and any(getattr(module, "fused_projections", False) for module in transformer.modules()):
        raise AdapterNotApplied(
            f"The projections of the model are fused, so {adapters[0].path.name} would act on q, k and v without "
            "effect. Unfuse them first."
        )


def _exchange(transformer: FluxTransformer2DModel, adapters: Sequence[Adapter]) -> int:
    """What `wear` does where a place is kept."""
    sizes = layer_sizes(transformer)
    try:
        blend = [(adapter.weight, pairs_of(read_adapter_file(adapter.path), sizes)) for adapter in adapters]
        state = put_in_place(transformer, _PLACE, sizes, blend)
    except DermaFluxError:
        put_in_place(transformer, _PLACE, sizes, [])
        raise
    _check_applied(transformer, state, _PLACE, " and ".join(adapter.path.name for adapter in adapters))
    return sum(2 * len(pairs) for _, pairs in blend)


def _put_on(pipe: FluxPipeline, adapter: Adapter) -> None:
    transformer = pipe.transformer
    told: dict[str, Any] = {"_pipeline": pipe} if streams_blocks(transformer) else {}
    pairs = pairs_of(read_adapter_file(adapter.path), layer_sizes(transformer))
    state = _peft_state(pairs, transformer.dtype)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several adapters are meant
            transformer.load_lora_adapter(state, prefix=None, adapter_name=adapter.slot, **told)  # type: ignore[arg-type] - no prefix
    except (ValueError, RuntimeError, KeyError) as error:
        raise AdapterNotApplied(f"The adapter {adapter.path.name} was refused by peft: {error}.") from error
    _check_applied(transformer, state, adapter.slot, adapter.path.name)
    log.info("applied %d tensors of %s", len(state), adapter.path.name)


def _take_off(transformer: FluxTransformer2DModel, slots: Sequence[str]) -> None:
    """Remove adapters; with the last one the base model's own layers come back."""
    if slots and len(slots) == len(worn(transformer)):
        transformer.unload_lora()
    elif slots:
        transformer.delete_adapters(list(slots))


def _peft_state(pairs: dict[str, LoraPair], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = {}
    for name, pair in pairs.items():
        state[f"{name}.lora_A.weight"] = pair.down.to(dtype)
        state[f"{name}.lora_B.weight"] = pair.up.to(dtype).contiguous()
    return state


def _check_applied(transformer: nn.Module, state: dict[str, torch.Tensor], slot: str, names: str) -> None:
    present = dict(transformer.named_parameters())
    missing = [
        key
        for key, tensor in state.items()
        if (found := present.get(key.replace(".weight", f".{slot}.weight"))) is None
        or not torch.equal(found.detach().cpu().to(tensor.dtype), tensor)
    ]
    if missing:
        raise AdapterNotApplied(
            f"Only {len(state) - len(missing)} of {len(state)} tensors of {names} reached the model; "
            f"the first that did not: {', '.join(missing[:3])}."
        )
