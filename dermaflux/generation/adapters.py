"""Puts one LoRA on a pipeline, proves that all of it arrived, changes its weight, takes it off again.

diffusers accepts a wrong-prefix or half-matching file with no more than a log line; here it is an error.
"""

import logging
from pathlib import Path

import torch
from diffusers import FluxPipeline
from torch import nn

from dermaflux.domain.errors import AdapterNotApplied
from dermaflux.generation.adapter_files import LayerSizes, LoraPair, pairs_of, read_adapter_file
from dermaflux.generation.catalogue import AdapterEntry
from dermaflux.generation.hub import download_adapter

log = logging.getLogger(__name__)

# One adapter at a time, always in this slot of peft.
SLOT = "dermaflux"


def locate_adapter(entry: AdapterEntry) -> Path:
    """The adapter's file, downloaded when it lies on the hub."""
    return download_adapter(entry.source, entry.file) if entry.is_hub else Path(entry.source)


def apply_adapter(pipe: FluxPipeline, path: Path, weight: float = 1.0) -> int:
    """Put the LoRA of a file on the pipeline in place of any other; returns how many tensors now act.

    A kohya tensor over fused layers counts once for each layer it is split into.
    Raises AdapterNotApplied when not every tensor reached the model; the pipeline is then without adapter.
    """
    pairs = pairs_of(read_adapter_file(path), layer_sizes(pipe.transformer))
    remove_adapter(pipe)
    state = _peft_state(pairs, pipe.transformer.dtype)
    try:
        pipe.transformer.load_lora_adapter(state, prefix=None, adapter_name=SLOT)
        _check_applied(pipe.transformer, state, path)
    except (ValueError, RuntimeError, KeyError) as error:
        remove_adapter(pipe)
        raise AdapterNotApplied(f"The adapter {path.name} was refused by peft: {error}.") from error
    except AdapterNotApplied:
        remove_adapter(pipe)
        raise
    set_adapter_weight(pipe, weight)
    log.info("applied %d tensors of %s", len(state), path.name)
    return len(state)


def set_adapter_weight(pipe: FluxPipeline, weight: float) -> None:
    """How strongly the adapter acts: 1 as trained, 0 not at all."""
    pipe.transformer.set_adapters([SLOT], [weight])


def remove_adapter(pipe: FluxPipeline) -> None:
    """Restore the base model's own layers."""
    if SLOT in getattr(pipe.transformer, "peft_config", {}):
        pipe.transformer.unload_lora()


def layer_sizes(transformer: nn.Module) -> LayerSizes:
    """Name -> (out_features, in_features) of every linear layer, as they are called without an adapter on."""
    return {
        name.removesuffix(".base_layer"): (module.out_features, module.in_features)
        for name, module in transformer.named_modules()
        if isinstance(module, nn.Linear) and f".{SLOT}" not in name
    }


def _peft_state(pairs: dict[str, LoraPair], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = {}
    for name, pair in pairs.items():
        state[f"{name}.lora_A.weight"] = pair.down.to(dtype)
        state[f"{name}.lora_B.weight"] = pair.up.to(dtype).contiguous()
    return state


def _check_applied(transformer: nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    present = dict(transformer.named_parameters())
    missing = [
        key
        for key, tensor in state.items()
        if (found := present.get(key.replace(".weight", f".{SLOT}.weight"))) is None
        or not torch.equal(found.detach().cpu().to(tensor.dtype), tensor)
    ]
    if missing:
        raise AdapterNotApplied(
            f"Only {len(state) - len(missing)} of {len(state)} tensors of {path.name} reached the model; "
            f"the first that did not: {', '.join(missing[:3])}."
        )
