"""What a training run will take: memory by arithmetic, time from what runs here took. Honest where it does not know.

The arithmetic counts weights, the adapter with its optimiser, and what the backward pass keeps; it is an estimate that
was not held against large models. FLUX.1's sizes are those of its published checkpoints. It loads no model.
"""

import json
import os
import struct
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from dermaflux.generation.memory import BYTES_IN_LAYERS, NF4
from dermaflux.services.training_records import LORA

GPU, RAM = "GPU memory", "memory"
_GB = 1e9
_KEPT_BYTES = 34
"""Bytes that a transformer block keeps for the backward pass, a token and channel, in 16 bits with fused attention
(Korthikanti et al. 2022, without the attention matrix)."""
_PROGRAM_GB = 1.3  # Python, torch and its libraries
_CUDA_GB = 1.0  # context and workspace
_FRAME_CHANNELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSize:
    """A FluxPipeline in numbers: weights by part, the LoRA's weights a rank, channels, blocks and text tokens."""

    transformer: int
    others: int
    lora_a_rank: int
    channels: int
    num_blocks: int
    text_tokens: int


# black-forest-labs/FLUX.1-dev: transformer; T5-XXL encoder, CLIP-L and VAE. 306,315,264 weights at rank 64 (tested).
FLUX = BaseSize(
    transformer=11_901_408_320,
    others=4_762_310_656 + 123_060_480 + 83_819_683,
    lora_a_rank=4_786_176,
    channels=3072,
    num_blocks=57,
    text_tokens=512,
)


def base_size(folder: Path, text_tokens: int = 512) -> BaseSize:
    """The numbers of a FluxPipeline in a folder, read from its headers and configs."""
    config = json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8"))
    tensors = list(_shapes(folder / "transformer"))
    inner = [shape for name, shape in tensors if "blocks" in name and len(shape) == 2]
    return BaseSize(
        transformer=sum(_size(shape) for _, shape in tensors),
        others=sum(_size(s) for part in ("text_encoder", "text_encoder_2", "vae") for _, s in _shapes(folder / part)),
        lora_a_rank=sum(sum(shape) for shape in inner),
        channels=config["num_attention_heads"] * config["attention_head_dim"],
        num_blocks=config["num_layers"] + config["num_single_layers"],
        text_tokens=text_tokens,
    )


def lora_parts(size: BaseSize, values: Mapping[str, Any], *, on_gpu: bool) -> dict[str, float]:
    """GB by part at the fuller of two moments: while all is encoded, or while the adapter learns."""
    width = 2 if on_gpu else 4
    weight_bytes = BYTES_IN_LAYERS[NF4] if values["base_format"] == "nf4" else width
    base = size.transformer * weight_bytes / _GB
    state = 14 if values["optimizer"] == "adamw8bit" else 20  # weight, gradient, two moments, average
    adapter = size.lora_a_rank * values["rank"] * state / _GB
    tokens = (values["size_px"] // 16) ** 2 + (values.get("text_tokens") or size.text_tokens)
    block = tokens * size.channels * _KEPT_BYTES * (width / 2) * values["batch_size"] / _GB
    kept = block * size.num_blocks
    if values["gradient_checkpointing"]:  # each block's input, and one block in full
        kept = block * size.num_blocks * 2 / _KEPT_BYTES + block
    encoders = size.others * width / _GB
    around = {"programs": _CUDA_GB if on_gpu else _PROGRAM_GB}
    if values["base_format"] != "nf4" and encoders > adapter + kept:
        return around | {"base": base, "text encoders and VAE, while encoding": encoders}
    return around | {"base": base, "adapter and optimiser": adapter, "for the backward pass": kept}


def classifier_parts(values: Mapping[str, Any], num_pictures: int) -> dict[str, float]:
    """GB by part of a classifier run; the network itself is small beside its pictures."""
    width, height = values["data.frame_px"]
    frames = num_pictures * width * height * _FRAME_CHANNELS / _GB
    step = values["optim.batch_size"] * (values["size_px"] / 16) ** 2 * 384 * _KEPT_BYTES * 2 * 12 / _GB
    return {"programs": _PROGRAM_GB, "pictures": frames, "for the backward pass": step}


def measured_seconds_a_step(history: list[Mapping[str, Any]]) -> float | None:
    """The mean time of a step over a history, evaluation included; None where two lines of one start are missing."""
    spans, steps = 0.0, 0
    for before, after in pairwise(history):
        if "seconds" in before and "seconds" in after and after["seconds"] > before["seconds"]:
            spans += after["seconds"] - before["seconds"]
            steps += after["step"] - before["step"]
    return spans / steps if steps else None


def work_of(kind: str, values: Mapping[str, Any]) -> tuple[float, tuple[Any, ...]]:
    """How much a step is, and between which runs steps may be compared: same network, size and device."""
    if kind == LORA:
        same = (values["base"], values["size_px"], values["base_format"], values["device"])
        return values["batch_size"] * values["accumulate_steps"], same
    return values["optim.batch_size"], (values["model"], values["size_px"], values["device"])


def installed_gb(place: str) -> float:
    """How much memory the machine has, or its largest GPU; 0 without a GPU."""
    if place == RAM:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GB
    try:
        found = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        return max((float(line) * 1024**2 / _GB for line in found.stdout.split()), default=0.0)
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0.0


def _shapes(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Name and shape of every tensor in the safetensors files of a folder, from their headers."""
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            header = json.loads(handle.read(length))
        yield from ((name, entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _size(shape: list[int]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total
