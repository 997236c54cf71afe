"""Holds the linear layers in a network's blocks in few bits: nf4 and int8 by bitsandbytes, fp8 by torchao.

The rest keeps its format. Layer by layer, so that a device too small for the whole in bfloat16 will do, and the same on
a CPU as on a GPU: diffusers' own loading in nf4 refuses a CPU. It knows no files and chooses nothing.
"""

import importlib
import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation.memory import FP8, INT8, LIBRARIES, NF4, WHOLE
from dermaflux.generation.weight_sizes import BLOCK_LISTS, KEPT_WHOLE

_OUTLIERS_ABOVE = 6.0  # activations that LLM.int8 computes whole (Dettmers 2022, arXiv 2208.07339)


def quantise(network: Any, format: str, device: torch.device) -> int:
    """Move a network to the device, the linear layers of its blocks in that format; how many became so.

    Raises ModelNotAvailable when the library for the format is not installed.
    """
    count = 0
    if format != WHOLE:
        library = load_library(LIBRARIES[format])
        for block in _blocks(network):
            count += _in_fp8(block, device) if format == FP8 else _in_few_bits(block, library, format, device)
        _tell_libraries(network, format)
    network.to(device)
    return count


def load_library(name: str) -> Any:
    """The module of a library that computes in few bits. Raises ModelNotAvailable when it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ModelNotAvailable(
            f"Weights in few bits need {package}, which is not installed: pip install {package}"
        ) from error


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    for name in BLOCK_LISTS:
        lists: Any = network
        for step in name.split("."):
            lists = getattr(lists, step, ())
        yield from lists


def _layers(block: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, layer in list(block.named_modules()):
        if type(layer) is nn.Linear and not KEPT_WHOLE.fullmatch(f".{name}"):
            yield name, layer


def _in_few_bits(block: nn.Module, library: Any, format: str, device: torch.device) -> int:
    make, count = {NF4: _nf4, INT8: _int8}[format], 0
    for name, layer in _layers(block):
        block.set_submodule(name, make(library.nn, layer).to(device))
        count += 1
    return count


def _nf4(kinds: Any, layer: nn.Linear) -> nn.Module:
    """The layer in 4 bits (NF4) with doubly quantised scales (QLoRA, Dettmers 2023, arXiv 2305.14314)."""
    options = {"compress_statistics": True, "quant_type": "nf4"}
    held = kinds.Linear4bit(*_shape(layer), compute_dtype=layer.weight.dtype, **options, device="meta")
    held.weight = kinds.Params4bit(layer.weight.data, requires_grad=False, module=held, **options)
    held.bias = layer.bias
    return held.requires_grad_(False)


def _int8(kinds: Any, layer: nn.Linear) -> nn.Module:
    held = kinds.Linear8bitLt(*_shape(layer), has_fp16_weights=False, threshold=_OUTLIERS_ABOVE, device="meta")
    held.weight = kinds.Int8Params(layer.weight.data, requires_grad=False, has_fp16_weights=False)
    held.bias = layer.bias
    # It would say at every layer of every step that bfloat16 is cast.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    return held.requires_grad_(False)


def _shape(layer: nn.Linear) -> tuple[int, int, bool]:
    return layer.in_features, layer.out_features, layer.bias is not None


def _in_fp8(block: nn.Module, device: torch.device) -> int:
    """Weights alone in fp8: their names as text (`float8wo`) are gone from torchao, it takes config objects."""
    torchao = load_library("torchao.quantization")
    wanted = {id(layer) for _, layer in _layers(block)}
    torchao.quantize_(
        block, torchao.Float8WeightOnlyConfig(), filter_fn=lambda layer, _: id(layer) in wanted, device=device
    )
    return len(wanted)


def _tell_libraries(network: Any, format: str) -> None:
    """How peft knows which LoRA layer fits, and diffusers what it may cast."""
    if format == NF4:
        network.is_loaded_in_4bit = True
    elif format == INT8:
        network.is_loaded_in_8bit = True
