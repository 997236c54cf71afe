"""The lesion segmenter: a small U-Net, its weights on disk, and the probability map of a picture.

It knows the network and its files. It knows nothing of thresholds, refusals or scores (those are
`masks` and `measurer`), nor of how it was trained (`training/train_segmenter.py`).
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from dermaflux.domain.errors import ModelNotAvailable

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
_PIXEL_MEAN, _PIXEL_SCALE = 0.6, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterConfig:
    """The shape of the network: channel widths from fine to coarse, and the area it sees.

    `patch_px` pixels a side are folded into channels first; `area_px` is the pixel count a picture
    is resized to, whatever its aspect.
    """

    widths: tuple[int, ...] = (32, 64, 96, 128)
    patch_px: int = 2
    area_px: int = 96 * 128

    @property
    def multiple_px(self) -> int:
        """Sides of the network input must be a multiple of this."""
        return self.patch_px * 2 ** (len(self.widths) - 1)

    def input_size_px(self, width_px: int, height_px: int) -> tuple[int, int]:
        """The (width, height) a picture is resized to: near its aspect, near `area_px`."""
        scale = math.sqrt(self.area_px / (width_px * height_px))
        return self._side(width_px * scale), self._side(height_px * scale)

    def _side(self, length_px: float) -> int:
        return max(2, round(length_px / self.multiple_px)) * self.multiple_px


class SegmenterNet(nn.Module):
    """U-Net on folded pixels: RGB (B, 3, H, W) in 0..1 -> lesion logits (B, 1, H, W)."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        widths, folded = config.widths, config.patch_px**2
        self.patch_px = config.patch_px
        self.down = nn.ModuleList(
            _double_conv(before, after)
            for before, after in zip((3 * folded, *widths), widths, strict=False)
        )
        self.up = nn.ModuleList(
            _double_conv(fine + coarse, fine) for fine, coarse in pairwise(widths)
        )
        self.head = nn.Conv2d(widths[0], folded, kernel_size=1)

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """Lesion logits at full input resolution; H and W multiples of `config.multiple_px`."""
        hidden = functional.pixel_unshuffle(
            (images_B3HW - _PIXEL_MEAN) / _PIXEL_SCALE, self.patch_px
        )
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            hidden = block(functional.max_pool2d(hidden, 2) if level else hidden)
            skips.append(hidden)
        for block, skip in zip(reversed(self.up), reversed(skips[:-1]), strict=True):
            hidden = block(
                torch.cat([functional.interpolate(hidden, scale_factor=2.0), skip], dim=1)
            )
        return functional.pixel_shuffle(self.head(hidden), self.patch_px)


class Segmenter:
    """A trained network ready for pictures of any size and aspect."""

    def __init__(self, network: SegmenterNet, config: SegmenterConfig, sha256: str = "") -> None:
        self.config = config
        self.sha256 = sha256
        self._network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `config.json` and `model.safetensors` of a folder; raises ModelNotAvailable."""
        config_path, weights_path = folder / CONFIG_NAME, folder / WEIGHTS_NAME
        for path in (config_path, weights_path):
            if not path.is_file():
                raise ModelNotAvailable(
                    f"The segmenter's {path.name} is not in {folder.name}. "
                    "Train it with `python -m training.train_segmenter cpu`."
                )
        try:
            facts = json.loads(config_path.read_text(encoding="utf-8"))
            shape = facts["network"]
            config = SegmenterConfig(
                widths=tuple(shape["widths"]), patch_px=shape["patch_px"], area_px=shape["area_px"]
            )
            network = SegmenterNet(config)
            data = weights_path.read_bytes()
            tensors = {name: tensor.float() for name, tensor in load(data).items()}
            network.load_state_dict(tensors, strict=False)
            _check_complete(network, tensors)
        except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelNotAvailable(
                f"The segmenter in {folder.name} cannot be read ({error}). Train or fetch it again."
            ) from error
        return cls(network, config, hashlib.sha256(data).hexdigest())

    def probability(self, image: Image.Image) -> np.ndarray:
        """Lesion probability of an RGB picture at the network's own resolution: float32 (h, w) in 0..1."""
        size_px = self.config.input_size_px(*image.size)
        pixels = np.asarray(image.resize(size_px, Image.Resampling.BICUBIC), dtype=np.float32) / 255
        batch = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        with torch.inference_mode():
            logits = self._network(batch.contiguous(memory_format=torch.channels_last))
        return torch.sigmoid(logits)[0, 0].numpy()


def network_facts(config: SegmenterConfig) -> dict[str, Any]:
    """The network part of `config.json`."""
    return asdict(config)


def _check_complete(network: SegmenterNet, tensors: dict[str, Tensor]) -> None:
    # num_batches_tracked is a training counter that the export leaves out.
    wanted = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    if wanted != set(tensors):
        raise ValueError(f"tensors do not match the network: {sorted(wanted ^ set(tensors))[:3]}")


def _double_conv(channels_in: int, channels_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before in (channels_in, channels_out):
        layers += [
            nn.Conv2d(before, channels_out, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
