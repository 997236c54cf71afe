"""Makes a loaded FluxPipeline faster in the ways that were chosen, in the order in which they do not undo each other.

`prepare` once, before the first adapter; `suit` whenever the adapters change. The traps it keeps out of are told in
docs/flux_speed.md, each with its test. It knows no requests and no captions.
"""

import shutil
from collections.abc import Callable
from typing import Any

import torch
from diffusers import FirstBlockCacheConfig, FluxPipeline, TaylorSeerCacheConfig
from torch import nn

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.speed import Speed
from dermaflux.generation import zero_gpu
from dermaflux.generation.adapters import keep_a_place_for_adapters
from dermaflux.generation.attention import NATIVE, backend_of, usable_attention
from dermaflux.generation.memory import Keeps, Plan
from dermaflux.generation.quantising import load_library

Backend = str | Callable[..., Any]
"""What torch.compile hands its graphs to."""

_FP8_SINCE = (8, 9)  # Ada, Hopper and later multiply 8-bit floats
_MODULATIONS = ("norm", "norm1", "norm1_context")  # one row a step: nothing to gain from 8 bits


def recorded(speed: Speed, device: torch.device, *, with_adapters: bool) -> str:
    """The options as the record of an image states them, with the attention kernel that is really used there."""
    words = [word for word in speed.record(with_adapters=with_adapters).split(",") if not word.startswith("attention")]
    kernel = usable_attention(speed.attention, device) if speed.attention else NATIVE
    words += [f"attention={kernel}"] if kernel != NATIVE else []
    return ",".join(sorted(word for word in words if word))


def check_together(plan: Plan, speed: Speed) -> None:
    """Refuse, before anything is loaded, options that the way a model is held rules out. Raises ModelNotAvailable."""
    ruled_out = {
        "fp8": speed.fp8 and bool(plan.precision),
        "fuse_qkv": speed.fuse_qkv and (bool(plan.precision) or plan.keeps is Keeps.BLOCKS),
        "hotswap": bool(speed.hotswap) and plan.keeps is Keeps.BLOCKS,
        "compile": speed.compile and plan.keeps is Keeps.BLOCKS,
        "cuda_graphs": speed.cuda_graphs and plan.keeps in (Keeps.BLOCKS, Keeps.ONE_PART),
    }
    if words := [name for name, is_out in ruled_out.items() if is_out]:
        raise ModelNotAvailable(
            f"The speed option {words[0]} does not go with the {plan}. Leave it out of DERMAFLUX_SPEED, or set "
            "DERMAFLUX_MEMORY to a preset for a larger GPU."
        )


def prepare(pipe: FluxPipeline, speed: Speed, *, backend: Backend = "inductor") -> None:
    """Put the options on a bare pipeline that lies on its device.

    Raises ModelNotAvailable for an option that this machine or installation lacks; nothing falls back in silence but
    the attention kernel, which says so in the log.
    """
    transformer, device = pipe.transformer, pipe._execution_device
    _check(pipe, speed, device, backend)
    if speed.channels_last:
        pipe.vae.to(memory_format=torch.channels_last)
    if speed.attention and (kernel := usable_attention(speed.attention, device)) != NATIVE:
        transformer.set_attention_backend(backend_of(kernel))
    if speed.fp8:
        _quantise(transformer, device)
    if speed.hotswap:  # before anything is compiled
        keep_a_place_for_adapters(transformer, speed.hotswap)
    if speed.fuse_qkv:
        transformer.fuse_qkv_projections()
    _cache_steps(transformer, speed)
    if speed.compile:
        # Every cache hook breaks the graph, so one graph a block cannot be asked for beside one.
        transformer.compile_repeated_blocks(fullgraph=not speed.caches_steps, dynamic=True, backend=backend)
    if speed.cuda_graphs:
        replay(transformer, backend)


def bare(pipe: FluxPipeline, speed: Speed) -> None:
    """Undo what would hide an adapter, before one is put on."""
    if speed.fuse_qkv:
        pipe.transformer.unfuse_qkv_projections()


def suit(pipe: FluxPipeline, speed: Speed, *, with_adapters: bool, exchanged: bool) -> None:
    """What fits the adapters that are on now; exchanged: others than before, not only at another strength.

    Projections are fused without any, and code that was compiled for others is forgotten.
    """
    if speed.fuse_qkv and not with_adapters:
        pipe.transformer.fuse_qkv_projections()
    if exchanged and speed.is_compiled and not speed.hotswap:
        # Each set of layers is code of its own; after eight torch gives up, with whole graphs by an error.
        torch.compiler.reset()


def replay(transformer: Any, backend: Backend = "inductor") -> None:
    """Let a transformer's step be recorded as one CUDA graph for each shape, and replayed.

    A replay writes into the buffers of the one before, so that its output is copied out.
    """
    how: dict[str, Any] = {"mode": "reduce-overhead"} if backend == "inductor" else {"backend": backend}
    compiled = torch.compile(transformer.forward, dynamic=False, **how)

    def forward(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, ...]:
        torch.compiler.cudagraph_mark_step_begin()
        return tuple(part.clone() for part in compiled(*args, **kwargs))

    transformer.forward = forward


def _cache_steps(transformer: Any, speed: Speed) -> None:
    if speed.first_block_cache:
        transformer.enable_cache(FirstBlockCacheConfig(threshold=speed.first_block_cache))
    if speed.taylorseer:
        transformer.enable_cache(
            TaylorSeerCacheConfig(cache_interval=speed.taylorseer, taylor_factors_dtype=transformer.dtype)
        )


def _check(pipe: FluxPipeline, speed: Speed, device: torch.device, backend: Backend) -> None:
    """Refuse before anything is changed what cannot be done here."""
    if speed.is_compiled and zero_gpu.is_lent():
        raise ModelNotAvailable(
            "ZeroGPU lends a GPU for one call, so code compiled in it is lost. Leave compile and cuda_graphs out of "
            "DERMAFLUX_SPEED; DERMAFLUX_COMPILE_AHEAD is for such Spaces."
        )
    if speed.is_compiled and backend == "inductor" and (missing := _missing_compiler(device)):
        raise ModelNotAvailable(
            f"torch.compile needs {missing}, which is not installed. Install it, or leave compile out of "
            "DERMAFLUX_SPEED."
        )
    if speed.cuda_graphs and device.type != "cuda" and backend == "inductor":
        raise ModelNotAvailable(
            f"The speed option cuda_graphs needs a CUDA device, and the device is {device}. Leave it out, or take "
            "compile."
        )
    if speed.cuda_graphs and hasattr(pipe.transformer, "_hf_hook"):
        raise ModelNotAvailable(
            "The GPU is too small to hold the whole model, so its parts move, which a recorded CUDA graph cannot "
            "follow. Leave cuda_graphs out of DERMAFLUX_SPEED."
        )


def _missing_compiler(device: torch.device) -> str:
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        return "" if has_triton() else "triton"
    return "" if any(map(shutil.which, ("g++", "clang++", "cl"))) else "a C++ compiler"


def _quantise(transformer: nn.Module, device: torch.device) -> None:
    """The large linear layers of the blocks in 8-bit floats, a scale for each row, activations as they come."""
    torchao = load_library("torchao.quantization")
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < _FP8_SINCE:
        raise ModelNotAvailable(
            f"The speed option fp8 needs a GPU that computes in 8-bit floats (Ada, Hopper or later), and the device is "
            f"{device}. Leave it out."
        )
    config = torchao.Float8DynamicActivationFloat8WeightConfig(granularity=torchao.PerRow())
    torchao.quantize_(transformer, config, filter_fn=is_quantised)


def is_quantised(layer: nn.Module, name: str) -> bool:
    """Whether a layer of the transformer is one that fp8 is for."""
    parts = name.split(".")
    return isinstance(layer, nn.Linear) and "transformer_blocks" in parts[0] and parts[2] not in _MODULATIONS
