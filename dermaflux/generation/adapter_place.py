"""A place on a transformer where LoRAs are exchanged by copying numbers, so that compiled code stays as it is.

It is one LoRA of fixed rank on every linear layer of the blocks, of zeros while nothing is worn. A blend goes into it
as one: sum of w_i B_i A_i = [w_1 B_1 ... w_n B_n] [A_1; ...; A_n], so that weights are numbers too. Layers are peft's,
the exchange is diffusers' hot swap. It knows no files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dermaflux.domain.errors import AdapterNotApplied
from dermaflux.generation.adapter_files import LayerSizes, LoraPair
from dermaflux.generation.weight_sizes import TRANSFORMER_BLOCKS

_BLOCKS = tuple(f"{name}." for name in TRANSFORMER_BLOCKS)

WeightedPairs = tuple[float, Mapping[str, LoraPair]]
"""The strength of an adapter and its update of each layer."""


def keep_place(transformer: Any, slot: str, layers: LayerSizes, rank: int) -> None:
    """Make the place, before anything else is loaded or compiled: later it would cost a compilation, or do nothing."""
    inside = {name: size for name, size in layers.items() if name.startswith(_BLOCKS)}
    transformer.enable_lora_hotswap(target_rank=rank)
    transformer.load_lora_adapter(_state(inside, [], rank, transformer.dtype), prefix=None, adapter_name=slot)


def put_in_place(transformer: Any, slot: str, layers: LayerSizes, blend: Sequence[WeightedPairs]) -> dict[str, Tensor]:
    """Exactly this blend in the place, nothing when it is empty; the tensors as they must lie there now.

    Raises AdapterNotApplied, before anything is changed, for a blend of too high a rank or with layers elsewhere.
    """
    places = {name for name in layers if slot in getattr(transformer.get_submodule(name), "lora_A", {})}
    rank = next(transformer.get_submodule(name).lora_A[slot].out_features for name in places)
    for name in sorted({name for _, pairs in blend for name in pairs}):
        needed = sum(len(pairs[name].down) for _, pairs in blend if name in pairs)
        if name not in places:
            raise AdapterNotApplied(
                f"The adapter acts on {name}, but hotswap keeps places in the blocks alone. Leave hotswap out of "
                "DERMAFLUX_SPEED to use it."
            )
        if needed > rank:
            raise AdapterNotApplied(
                f"The adapters together have rank {needed} on {name}, but hotswap={rank} keeps a place for no more. "
                f"Set hotswap={needed} in DERMAFLUX_SPEED, or choose fewer adapters."
            )
    state = _state({name: layers[name] for name in places}, blend, rank, transformer.dtype)
    transformer.load_lora_adapter(state, prefix=None, adapter_name=slot, hotswap=True)
    return state


def _state(layers: LayerSizes, blend: Sequence[WeightedPairs], rank: int, dtype: torch.dtype) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, (rows, columns) in layers.items():
        down, up = torch.zeros(rank, columns, dtype=dtype), torch.zeros(rows, rank, dtype=dtype)
        first = 0
        for weight, pairs in blend:
            if (pair := pairs.get(name)) is not None:
                part = slice(first, first + len(pair.down))
                down[part], up[:, part] = pair.down.to(dtype), (weight * pair.up).to(dtype)
                first = part.stop
        state[f"{name}.lora_A.weight"], state[f"{name}.lora_B.weight"] = down, up
    return state
