"""Features of pictures from a vision model on this machine, for distances between sets of pictures.

A folder holds a model of transformers (DINOv2, CLIP, ViT, ...), a file the state dict of torchvision's Inception v3.
Nothing is downloaded, and a missing weight is an error. It knows no lesion; the classifier has features of its own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from dermaflux.domain.errors import ModelNotAvailable

_INCEPTION_PX = 299
# What torchvision's Inception v3 was trained with.
_MEAN, _SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FeatureExtractor:
    """A vision model behind one call: pictures in, unit vectors out."""

    def __init__(self, embed: Callable[[Sequence[Image.Image]], Tensor]) -> None:
        self._embed = embed

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> Self:
        """The model of a folder or file. Raises ModelNotAvailable when it is missing, incomplete or of another kind."""
        if path.is_dir():
            return cls(_transformers_model(path, torch.device(device)))
        if path.is_file():
            return cls(_inception(path, torch.device(device)))
        raise ModelNotAvailable(f"The feature model {path} does not exist. Name its folder or file on this machine.")

    @torch.no_grad()
    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """L2-normalised features (N, D) float32."""
        features = self._embed([image.convert("RGB") for image in images]).float().flatten(1)
        return nn.functional.normalize(features, dim=1).cpu().numpy()


def _transformers_model(folder: Path, device: torch.device) -> Callable[[Sequence[Image.Image]], Tensor]:
    from transformers import AutoImageProcessor, AutoModel

    try:
        prepare = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        model, loaded = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError) as error:
        why = str(error).splitlines()[0]
        raise ModelNotAvailable(f"{folder} holds no vision model that transformers can load: {why}") from error
    if missing := sorted(loaded["missing_keys"]):
        raise ModelNotAvailable(f"{folder} is incomplete: {len(missing)} weights are missing, the first {missing[0]}.")
    model = model.to(device).eval()

    def embed(images: Sequence[Image.Image]) -> Tensor:
        pixels = prepare(images=list(images), return_tensors="pt")["pixel_values"].to(device, model.dtype)
        return _pooled(model, pixels)

    return embed


def _pooled(model: Any, pixels: Tensor) -> Tensor:
    """One vector a picture: the projected image features of a CLIP, else the pooled output, else the first token."""
    if hasattr(model, "get_image_features"):
        found = model.get_image_features(pixel_values=pixels)
        return found if isinstance(found, Tensor) else found.pooler_output
    found = model(pixel_values=pixels)
    pooled = getattr(found, "pooler_output", None)
    return found.last_hidden_state[:, 0] if pooled is None else pooled


def _inception(file: Path, device: torch.device) -> Callable[[Sequence[Image.Image]], Tensor]:
    from torchvision.models import inception_v3
    from torchvision.transforms import v2

    try:
        safe = file.suffix == ".safetensors"
        state = load_file(file) if safe else torch.load(file, map_location="cpu", weights_only=True)
        model = inception_v3(weights=None, init_weights=False)
        model.load_state_dict(state)
    except Exception as error:  # torch.load raises what it likes on a file that is no state dict
        why = str(error).splitlines()[0]
        raise ModelNotAvailable(f"{file} is not a state dict of torchvision's Inception v3: {why}") from error
    model.fc = nn.Identity()  # type: ignore[assignment] - the 2,048 numbers before the classes
    model = model.to(device).eval()
    prepare = v2.Compose([
        v2.Resize((_INCEPTION_PX, _INCEPTION_PX), v2.InterpolationMode.BICUBIC, antialias=True),
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(_MEAN, _SD),
    ])  # fmt: skip
    return lambda images: model(torch.stack([prepare(image) for image in images]).to(device))
