"""A trainable LoRA on all linear layers of a Flux transformer's blocks, with q, k and v sharing one `down`.

The layers are peft's. Sharing makes it the layout of kohya's sd-scripts (304 modules on FLUX.1), so that both export
formats hold the same update exactly. It knows no data and no optimiser.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import Tensor, nn

from dermaflux.generation.adapter_files import DIFFUSERS_METADATA, kohya_modules

SLOT = "in_training"  # the LoRA's name in peft while it learns


def attach_lora(transformer: Any, rank: int, alpha: int) -> int:
    """Freeze the transformer and put an untrained LoRA on it; the number of modules.

    B is 0, so that nothing changes yet; the weights are float32 whatever the base is in. The scale is alpha / rank.
    """
    modules = _modules(transformer)
    transformer.requires_grad_(False)
    layers = [name for names in modules.values() for name in names]
    transformer.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=layers), adapter_name=SLOT)
    for first, *others in modules.values():
        down = transformer.get_submodule(first).lora_A
        for name in others:
            transformer.get_submodule(name).lora_A[SLOT] = down[SLOT]
    for weight in trainable(transformer):
        weight.data = weight.data.float()
    return len(modules)


def trainable(transformer: nn.Module) -> list[nn.Parameter]:
    """The weights that learn, each once, in a fixed order."""
    return [weight for weight in transformer.parameters() if weight.requires_grad]


def save_lora(transformer: Any, path: Path, facts: Mapping[str, Any]) -> Path:
    """Write the LoRA for diffusers to `path` and for kohya's tools (ComfyUI) beside it; the second path.

    `facts` (base, caption grammar, data, licence ...) go into both headers, as text.
    """
    rank, alpha = transformer.peft_config[SLOT].r, transformer.peft_config[SLOT].lora_alpha
    header = {"format": "pt"} | {f"dermaflux.{key}": str(value) for key, value in facts.items()}
    stated = {"r": rank, "lora_alpha": alpha, "target_modules": sorted({n for n, _, _ in _layer_pairs(transformer)})}
    settings = {DIFFUSERS_METADATA: json.dumps({f"transformer.{key}": value for key, value in stated.items()})}
    _write(path, dict(_diffusers_tensors(transformer)), header | settings)
    kohya = path.with_name(f"{path.stem}.kohya{path.suffix}")
    network = {"ss_network_dim": str(rank), "ss_network_alpha": str(alpha), "ss_base_model_version": "flux1"}
    _write(kohya, dict(_kohya_tensors(transformer, alpha)), header | network)
    return kohya


def _modules(transformer: Any) -> dict[str, tuple[str, ...]]:
    return kohya_modules(transformer.config.num_layers, transformer.config.num_single_layers)


def _layer_pairs(transformer: Any) -> Iterator[tuple[str, Tensor, Tensor]]:
    for names in _modules(transformer).values():
        for name in names:
            layer = transformer.get_submodule(name)
            yield name, layer.lora_A[SLOT].weight, layer.lora_B[SLOT].weight


def _diffusers_tensors(transformer: Any) -> Iterator[tuple[str, Tensor]]:
    for name, down, up in _layer_pairs(transformer):
        yield f"transformer.{name}.lora_A.weight", down
        yield f"transformer.{name}.lora_B.weight", up


def _kohya_tensors(transformer: Any, alpha: int) -> Iterator[tuple[str, Tensor]]:
    for module, names in _modules(transformer).items():
        layers = [transformer.get_submodule(name) for name in names]
        yield f"{module}.lora_down.weight", layers[0].lora_A[SLOT].weight
        yield f"{module}.lora_up.weight", torch.cat([layer.lora_B[SLOT].weight for layer in layers])
        yield f"{module}.alpha", torch.tensor(float(alpha))


def _write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    halves = {key: tensor.detach().to("cpu", torch.float16).clone() for key, tensor in tensors.items()}
    save_file(halves, temporary, metadata=dict(header))
    temporary.chmod(0o644)
    os.replace(temporary, path)
