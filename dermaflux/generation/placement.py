"""Where a pipeline runs, in which number format, whether it fits there, and the moving of it. It loads no files."""

import logging
import math
import os
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import cpu_offload_with_hook
from diffusers import FluxPipeline
from diffusers.hooks import apply_group_offloading
from diffusers.hooks.group_offloading import _is_group_offload_enabled
from torch import nn

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.generation.memory import AUTO, WHOLE, Keeps, Plan, Room, Sizes, choose_plan
from dermaflux.generation.quantising import quantise

log = logging.getLogger(__name__)

# Flux overflows in float16, so it is not a choice.
_DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "int8": torch.float32,  # of what is not quantised
}
INT8 = "int8"
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and in which number format a pipeline runs."""

    device: torch.device
    dtype: torch.dtype


def choose_placement(device: str = "auto", precision: str = "auto") -> Placement:
    """The device (auto, cpu, cuda, cuda:1, mps) and precision (auto, float32, bfloat16, int8) to run on.

    auto: a GPU when there is one; bfloat16 on a GPU, float32 on a CPU (bfloat16 is slower there). int8 is for CPUs.
    Raises InvalidRequest for an unknown word, ModelNotAvailable for a device this machine lacks.
    """
    name = device
    if device == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(name)
    except RuntimeError:
        raise InvalidRequest(
            f"The device {device!r} is not known. Choose auto, cpu, cuda, cuda:N or mps."
        ) from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ModelNotAvailable(
            f"The device {device!r} is not on this machine. Choose auto or cpu."
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise ModelNotAvailable("The device 'mps' is not on this machine. Choose auto or cpu.")
    if precision == "auto":
        return Placement(
            device=chosen, dtype=torch.bfloat16 if chosen.type == "cuda" else torch.float32
        )
    if precision not in _DTYPES:
        raise InvalidRequest(
            f"The precision {precision!r} is not known. Choose auto, float32, bfloat16 or int8."
        )
    if precision == INT8 and chosen.type != "cpu":
        raise InvalidRequest(f"The precision int8 is for CPUs, and the device is {chosen}. Choose auto or bfloat16.")
    return Placement(device=chosen, dtype=_DTYPES[precision])


def check_room(sizes: Sizes, placement: Placement, preset: str = AUTO) -> None:
    """Refuse before anything is loaded or given up what this machine can never hold. Raises ModelNotAvailable.

    What is free at the moment plays no part: another model may still be in the way.
    """
    if placement.device.type == "cuda":
        whole = torch.cuda.get_device_properties(placement.device).total_memory
        choose_plan(sizes, placement.dtype.itemsize, Room(gpu_bytes=whole, host_bytes=_memory_bytes()), preset)
        return
    needed = sum(size.num_bytes(placement.dtype.itemsize) for size in sizes.values())
    if needed > (memory := _memory_bytes()):
        why = "" if torch.cuda.is_available() else "no GPU was found, and "
        raise ModelNotAvailable(
            f"The model takes {needed / 1e9:.0f} GB of memory, but {why}this machine has {memory / 1e9:.0f} GB. "
            "Choose a smaller model, such as nano."
        )


def _memory_bytes() -> float:
    if not hasattr(os, "sysconf"):  # Windows: leave it to the loader
        return math.inf
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def plan_for(sizes: Sizes, placement: Placement, preset: str = AUTO) -> Plan:
    """How the model is held with what is free now; a preset plays a part on a CUDA GPU alone.

    Raises as `choose_plan` does.
    """
    if placement.device.type != "cuda":
        if preset != AUTO:
            log.info("memory presets are for CUDA GPUs: on %s the weights stay whole", placement.device)
        return Plan()
    free_bytes, _ = torch.cuda.mem_get_info(placement.device)
    room = Room(gpu_bytes=free_bytes, host_bytes=_memory_bytes())
    plan = choose_plan(sizes, placement.dtype.itemsize, room, preset)
    log.info("%s, of %.1f GB that are free", plan, free_bytes / 1e9)
    return plan


def whole_plan(sizes: Sizes, placement: Placement) -> Plan:
    """All of a model whole on the device, as training wants it. Raises ModelNotAvailable when a GPU is too small."""
    if placement.device.type == "cuda":
        needed = sum(size.num_bytes(placement.dtype.itemsize) for size in sizes.values())
        free_bytes, _ = torch.cuda.mem_get_info(placement.device)
        if needed > free_bytes:
            raise ModelNotAvailable(
                f"The model takes {needed / 1e9:.0f} GB on the GPU, but {free_bytes / 1e9:.0f} GB are free. Close "
                "other programs or choose a smaller model."
            )
    return Plan()


def settle(network: nn.Module, part: str, plan: Plan, device: torch.device) -> None:
    """Bring a network that was just loaded into the plan's format and to where it rests."""
    format = plan.format_of(part)
    rests = _rests_in_machine(part, plan.keeps)
    quantise(network, format, _CPU if rests and format == WHOLE else device)
    if rests:
        network.to(_CPU)


def place(pipe: FluxPipeline, plan: Plan, device: torch.device) -> None:
    """Let a pipeline of settled networks compute on the device, each coming there as the plan says."""
    if plan.keeps is Keeps.ALL_BUT_T5 and plan.t5 == WHOLE:
        _stream_layers(pipe.text_encoder_2, device)
    elif plan.keeps is Keeps.ALL_BUT_T5:
        _come_for_each_call(pipe.text_encoder_2, device)
    elif plan.keeps is Keeps.ONE_PART:
        pipe.enable_model_cpu_offload(device=device)
    elif plan.keeps is Keeps.BLOCKS:
        pipe.transformer.enable_group_offload(
            device, offload_type="block_level", num_blocks_per_group=1, use_stream=device.type == "cuda"
        )
        _stream_layers(pipe.text_encoder_2, device)


def streams_blocks(transformer: nn.Module) -> bool:
    """Whether its blocks come to the device in turn, so that diffusers must hear of every layer put in."""
    return _is_group_offload_enabled(transformer)


def _rests_in_machine(part: str, keeps: Keeps) -> bool:
    if keeps is Keeps.ALL_BUT_T5:
        return part == "text_encoder_2"
    if keeps is Keeps.BLOCKS:
        return part in ("transformer", "text_encoder_2")
    return keeps is Keeps.ONE_PART


def _stream_layers(network: Any, device: torch.device) -> None:
    """Rest in the machine's memory; each layer comes when it computes, while the one before is at work.

    Not by blocks: those of T5 lie too deep for diffusers to find, and it would come whole.
    """
    apply_group_offloading(network, device, offload_type="leaf_level", use_stream=device.type == "cuda")


def _come_for_each_call(network: Any, device: torch.device) -> None:
    """Rest in the machine's memory, and come whole: scales of weights in few bits are not streamed with them."""
    _, hook = cpu_offload_with_hook(network, device)
    network.register_forward_hook(lambda *_: hook.offload())
