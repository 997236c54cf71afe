"""Holds a frozen Flux transformer in 4 bits while a LoRA learns on it (QLoRA, Dettmers 2023, arXiv 2305.14314).

It is the same NF4 as of a small GPU that draws (`dermaflux.generation.quantising`). What is exported is the LoRA, which
acts on the whole base.
"""

from typing import Any

import torch

from dermaflux.generation.memory import NF4
from dermaflux.generation.quantising import load_library, quantise


def to_nf4(network: Any, device: torch.device) -> int:
    """Move a Flux transformer or its T5 to the device, its blocks' linear layers as NF4; how many became so.

    Raises ModelNotAvailable when bitsandbytes is not installed.
    """
    return quantise(network, NF4, device)


def load_bitsandbytes() -> Any:
    """The library that computes in few bits. Raises ModelNotAvailable when it is not installed."""
    return load_library("bitsandbytes")
