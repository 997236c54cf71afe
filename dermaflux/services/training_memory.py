"""What a training run takes of memory, by arithmetic: the weights, what learns, what the backward pass keeps.

A LoRA's run is fullest while all is encoded, or while the adapter learns. What a block keeps was counted on small Flux
transformers, tensor by tensor, and is the same a token and channel at any width (a test counts again); what a library
takes for itself is a guess. No large model was measured. FLUX.1's sizes are those of its published checkpoints.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from dermaflux.generation.memory import BYTES_IN_LAYERS, NF4
from dermaflux.generation.weight_sizes import PartSize, part_size, read_header

_GB = 1e9
KEPT_BYTES = {2: (55.8, 48.8), 4: (88.9, 76.6)}
"""Bytes that a double and a single block keep for the backward pass, a token and channel, by the bytes of a number."""
ENCODED_PX = 2**20
"""So many pixels pass the VAE at once while latents are made (as in training/lora_cache.py)."""
_VAE_COPIES = 6  # pictures as wide as the VAE's first layer that are in memory at once
_VIEWS = 8  # turned and flipped
_LATENT_CHANNELS = 16
_PROGRAM_GB = 1.3  # Python, torch and its libraries
_CUDA_GB = 1.0  # context and workspace
_FRAME_CHANNELS = 3
_VIT_KEPT_BYTES = 34  # a token and channel of a ViT's block (Korthikanti et al. 2022, without the attention matrix)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSize:
    """A FluxPipeline in numbers: weights by part, the LoRA's weights a rank, blocks and channels.

    num_moments: mean and sd of a latent, or the mean alone where the VAE is exact.
    """

    transformer: int
    t5: PartSize
    clip: int
    vae: int
    lora_a_rank: int
    channels: int
    num_double: int
    num_single: int
    text_channels: int
    vae_channels: int
    num_moments: int
    text_tokens: int


# black-forest-labs/FLUX.1-dev. 306,315,264 weights of a LoRA at rank 64 (tested). T5's `wo` and embedding stay whole.
FLUX = BaseSize(
    transformer=11_901_408_320,
    t5=PartSize(in_layers=3_623_878_656, elsewhere=1_138_432_000),
    clip=123_060_480,
    vae=83_819_683,
    lora_a_rank=4_786_176,
    channels=3072,
    num_double=19,
    num_single=38,
    text_channels=4096,
    vae_channels=128,
    num_moments=2,
    text_tokens=512,
)


def base_size(folder: Path, text_tokens: int) -> BaseSize:
    """The numbers of a FluxPipeline in a folder, read from its headers and configs."""
    config, vae = (json.loads((folder / part / "config.json").read_text("utf-8")) for part in ("transformer", "vae"))
    tensors = list(_shapes(folder / "transformer"))
    inner = [shape for name, shape in tensors if "blocks" in name and len(shape) == 2]
    return BaseSize(
        transformer=sum(prod(shape) for _, shape in tensors),
        t5=part_size(sorted((folder / "text_encoder_2").glob("*.safetensors"))),
        clip=sum(prod(shape) for _, shape in _shapes(folder / "text_encoder")),
        vae=sum(prod(shape) for _, shape in _shapes(folder / "vae")),
        lora_a_rank=sum(sum(shape) for shape in inner),
        channels=config["num_attention_heads"] * config["attention_head_dim"],
        num_double=config["num_layers"],
        num_single=config["num_single_layers"],
        text_channels=config["joint_attention_dim"],
        vae_channels=vae["block_out_channels"][0],
        num_moments=2 if vae["_class_name"] == "AutoencoderKL" else 1,
        text_tokens=text_tokens,
    )


def lora_parts(size: BaseSize, values: Mapping[str, Any], *, on_gpu: bool) -> dict[str, float]:
    """GB by part at the fuller of two moments: while all is encoded, or while the adapter learns.

    Without a GPU all of it lies in the machine's memory; what is encoded (`encoded_gb`) comes on top.
    """
    width = 2 if on_gpu else 4
    around = {"programs": _CUDA_GB if on_gpu else _PROGRAM_GB}
    base = base_gb(size, values, width)
    vae = size.vae * width / _GB
    learning = around | {
        "base": base,
        "VAE, for the probes": vae,
        "adapter and optimiser": _adapter_gb(size, values, width),
        "for the backward pass": kept_gb(size, values, width),
    }
    text = size.t5.num_bytes(width, BYTES_IN_LAYERS[NF4] if values["text_format"] == NF4 else None)
    encoding = around | {
        "base": 0.0 if values["base_format"] == NF4 else base,  # in 4 bits it comes when the encoders have left
        "text encoders and VAE, while encoding": (text + size.clip * width) / _GB + vae,
        "pictures in the VAE": ENCODED_PX * size.vae_channels * width * _VAE_COPIES / _GB,
    }
    return max(learning, encoding, key=lambda parts: sum(parts.values()))


def base_gb(size: BaseSize, values: Mapping[str, Any], width: int) -> float:
    """What the frozen transformer takes while the adapter learns; width: the bytes of a number that is whole."""
    return size.transformer * (BYTES_IN_LAYERS[NF4] if values["base_format"] == NF4 else width) / _GB


def kept_gb(size: BaseSize, values: Mapping[str, Any], width: int) -> float:
    """What the backward pass finds again: of every block all, or with checkpointing its input and one block's all."""
    tokens = (values["size_px"] // 16) ** 2 + (values.get("text_tokens") or size.text_tokens)
    channels = tokens * size.channels * values["batch_size"]
    double, single = KEPT_BYTES[width]
    if values["gradient_checkpointing"]:
        return channels * ((size.num_double + size.num_single) * width + max(double, single)) / _GB
    return channels * (size.num_double * double + size.num_single * single) / _GB


def encoded_gb(size: BaseSize, values: Mapping[str, Any], num_pictures: int, *, on_gpu: bool) -> float:
    """What lies in the machine's memory of pictures and captions, at most: as if no two captions were the same."""
    width = 2 if on_gpu else 4
    latents = _VIEWS * size.num_moments * _LATENT_CHANNELS * (values["size_px"] // 8) ** 2 * width
    text = values["num_wordings"] * (values.get("text_tokens") or size.text_tokens) * size.text_channels * width
    return num_pictures * (latents + text + _FRAME_CHANNELS * values["size_px"] ** 2) / _GB


def host_gb(size: BaseSize, values: Mapping[str, Any], num_pictures: int) -> float:
    """What a run on a GPU takes of the machine's memory beside it; a base in 4 bits is loaded there whole first."""
    base = size.transformer * 2 / _GB if values["base_format"] == NF4 else 0.0
    return _PROGRAM_GB + base + encoded_gb(size, values, num_pictures, on_gpu=True)


def classifier_parts(values: Mapping[str, Any], num_pictures: int) -> dict[str, float]:
    """GB by part of a classifier run; the network itself is small beside its pictures."""
    width, height = values["data.frame_px"]
    frames = num_pictures * width * height * _FRAME_CHANNELS / _GB
    step = values["optim.batch_size"] * (values["size_px"] / 16) ** 2 * 384 * _VIT_KEPT_BYTES * 2 * 12 / _GB
    return {"programs": _PROGRAM_GB, "pictures": frames, "for the backward pass": step}


def _adapter_gb(size: BaseSize, values: Mapping[str, Any], width: int) -> float:
    """Weight, gradient and average in 32 bits, two moments of the optimiser, each in 32 or in 8, and on a GPU a copy.

    That one is in 16 bits and stays from the forward to the backward pass.
    """
    state = (14 if values["optimizer"] == "adamw8bit" else 20) + (2 if width == 2 else 0)
    return size.lora_a_rank * values["rank"] * state / _GB


def _shapes(folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor in the safetensors files of a folder, from their headers."""
    for path in sorted(folder.glob("*.safetensors")):
        yield from ((name, weight.shape) for name, weight in read_header(path).items())
