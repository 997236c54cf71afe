"""Which lesion is on a picture: a short vector, near for pictures of one lesion and for copies, far for other lesions.

The first stages of an EfficientNet-Lite0, pooled and projected, trained to tell lesions apart whatever the turn, crop,
light and sharpness (`training/train_descriptor.py`; after SSCD, Pizzi 2022, arXiv 2202.10261). Memorisation, duplicates
and leaks are looked for in it. It knows no diagnosis; its threshold was calibrated by the trainer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dermaflux.classification.backbone import first_stages
from dermaflux.classification.checkpoint import file_sha256
from dermaflux.classification.preprocessing import to_rgb
from dermaflux.domain.errors import ModelNotAvailable

WEIGHTS_NAME, CONFIG_NAME = "model.safetensors", "config.json"
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorConfig:
    """The network's size: square input, numbers a picture, and the timm network whose stages to stride 16 it uses."""

    size_px: int = 128
    num_features: int = 128
    backbone: str = "tf_efficientnet_lite0"


class DescriptorNet(nn.Module):
    """Pictures (B, 3, S, S) in -1..1 to unit vectors (B, num_features)."""

    def __init__(self, config: DescriptorConfig) -> None:
        super().__init__()
        self.backbone, (width,) = first_stages(config.backbone)
        self.power = nn.Parameter(torch.tensor(3.0))
        self.project = nn.Linear(width, config.num_features)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Generalised-mean pooling (Radenovic 2018, arXiv 1711.02512), then a linear map to the unit sphere."""
        features = self.backbone(x_BCHW)[-1].float().clamp(min=1e-6)
        pooled = features.pow(self.power).mean((2, 3)).pow(1 / self.power)
        return nn.functional.normalize(self.project(pooled), dim=1)


class LesionDescriptor:
    """The trained network behind one call. Safe to use from many threads."""

    copy_distance: float | None = None
    """Nearer than this (1 - cosine) two pictures are taken for one lesion; None where it was not calibrated."""

    def __init__(self, network: DescriptorNet, config: DescriptorConfig, sha256: str, device: str = "cpu") -> None:
        self.config, self.sha256 = config, sha256
        self._network = network.to(device).eval()
        self._device = device

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """The descriptor of a folder. Raises ModelNotAvailable when it is missing, damaged or does not fit."""
        try:
            facts: dict[str, Any] = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
            config = DescriptorConfig(**facts["network"])
            network = DescriptorNet(config)
            network.load_state_dict(load_file(folder / WEIGHTS_NAME), strict=True)
            found = file_sha256(folder / WEIGHTS_NAME)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            why = str(error).strip().splitlines()[0]
            raise ModelNotAvailable(f"{folder} holds no usable descriptor ({why}). Restore the folder.") from error
        if found != facts["weights_sha256"]:
            raise ModelNotAvailable(
                f"{folder / WEIGHTS_NAME} is not the file its config describes (the SHA-256 differs). Restore both."
            )
        descriptor = cls(network, config, found, device)
        descriptor.copy_distance = facts.get("copy_distance")
        return descriptor

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors (N, num_features) float32 of the largest centred squares; mirror images give the same."""
        if not images:
            return np.empty((0, self.config.num_features), np.float32)
        pixels = np.stack([square_pixels(image, self.config.size_px) for image in images])
        return self.embed_pixels(torch.from_numpy(pixels))

    @torch.no_grad()
    def embed_pixels(self, pixels_BHWC: Tensor) -> np.ndarray:
        """The same for squares that are at the network's size already, uint8 (N, S, S, 3)."""
        self._network.eval()
        rows = []
        for part in pixels_BHWC.split(_BATCH):
            x_BCHW = scaled(part).to(self._device)
            both = self._network(x_BCHW) + self._network(x_BCHW.flip(3))
            rows.append(nn.functional.normalize(both, dim=1).cpu().numpy())
        return np.concatenate(rows)


def square_pixels(image: Image.Image, size_px: int) -> np.ndarray:
    """The largest centred square of a picture at the network's size, uint8 (size, size, 3)."""
    rgb = to_rgb(image)
    side = min(rgb.size)
    left, top = (rgb.width - side) / 2, (rgb.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(rgb.resize((size_px, size_px), Image.Resampling.BICUBIC, box=box))


def scaled(pixels_BHWC: Tensor) -> Tensor:
    """uint8 (B, S, S, 3) as the network reads it: float (B, 3, S, S) in -1..1, channels last in memory."""
    return (pixels_BHWC.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def save_descriptor(folder: Path, network: DescriptorNet, config: DescriptorConfig, rest: Mapping[str, Any]) -> None:
    """Write the folder that `LesionDescriptor.load` reads, in float16; `rest` is what else its config.json says."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{WEIGHTS_NAME}.partial"
    save_file({name: _half(value) for name, value in network.state_dict().items()}, partial, metadata={"format": "pt"})
    partial.chmod(0o644)  # safetensors writes for the owner alone
    facts = {"network": asdict(config), "weights_sha256": file_sha256(partial)} | dict(rest)
    partial.replace(folder / WEIGHTS_NAME)
    config_partial = folder / f".{CONFIG_NAME}.partial"
    config_partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    config_partial.replace(folder / CONFIG_NAME)


def _half(value: Tensor) -> Tensor:
    return value.detach().cpu().half().contiguous() if value.is_floating_point() else value.detach().cpu()
