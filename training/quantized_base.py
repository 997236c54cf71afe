"""Holds a frozen Flux transformer in 4 bits while a LoRA learns on it (QLoRA, Dettmers 2023, arXiv 2305.14314).

The linear layers of the blocks become NF4 with doubly quantised scales (bitsandbytes), about 0.52 bytes a weight; the
rest keeps its format. It serves training only: what is exported is the LoRA, which acts on the whole base.
"""

import importlib
from typing import Any

import torch
from torch import nn

from dermaflux.domain.errors import ModelNotAvailable


def to_nf4(transformer: Any, device: torch.device) -> int:
    """Move the transformer to the device, its blocks' linear layers as NF4; how many became so.

    Layer by layer, so that a device too small for the whole in bfloat16 will do. Raises ModelNotAvailable when
    bitsandbytes is not installed.
    """
    linear4bit = load_bitsandbytes().nn.Linear4bit
    dtype, count = transformer.dtype, 0
    for block in (*transformer.transformer_blocks, *transformer.single_transformer_blocks):
        for name, layer in list(block.named_modules()):
            if type(layer) is nn.Linear:
                block.set_submodule(name, _quantised(linear4bit, layer, dtype).to(device))
                count += 1
    transformer.is_loaded_in_4bit = True  # how peft knows which LoRA layer fits
    transformer.to(device)
    return count


def load_bitsandbytes() -> Any:
    """The library that computes in few bits. Raises ModelNotAvailable when it is not installed."""
    try:
        return importlib.import_module("bitsandbytes")
    except ImportError as error:
        raise ModelNotAvailable(
            "A base in 4 bits or an optimiser in 8 needs bitsandbytes, which is not installed: pip install bitsandbytes"
        ) from error


def _quantised(kind: Any, layer: nn.Linear, compute_dtype: torch.dtype) -> nn.Module:
    quantised = kind(
        layer.in_features,
        layer.out_features,
        bias=layer.bias is not None,
        compute_dtype=compute_dtype,
        quant_type="nf4",
        compress_statistics=True,
    )
    quantised.load_state_dict(layer.state_dict())
    return quantised.requires_grad_(False)
