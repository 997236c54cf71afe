"""Vision-language models as classifiers without training: a picture against what is said of each class.

A folder on this machine holds a model of open_clip (open_clip_config.json) or of transformers (CLIP, SigLIP, ...).
Nothing is downloaded and nothing unpickled. It knows no lesion and no prompt of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from dermaflux.domain.errors import ModelNotAvailable

OPEN_CLIP_CONFIG = "open_clip_config.json"
_MAX_TOKENS = 77  # where a tokenizer states no limit
_NOT_LOADED = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, AttributeError, SafetensorError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Towers:
    """The two halves of a model as plain calls: pictures -> (N, D), texts -> (M, D); `scale` sharpens the softmax."""

    see: Callable[[Sequence[Image.Image]], Tensor]
    read: Callable[[Sequence[str]], Tensor]
    scale: float


class ZeroShotModel:
    """A vision-language model ready to answer. Make one with `load`."""

    def __init__(self, towers: Towers) -> None:
        self._towers = towers

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "ZeroShotModel":
        """The model of a folder. Raises ModelNotAvailable when it is missing, incomplete or of another kind."""
        if not folder.is_dir():
            raise ModelNotAvailable(f"The model folder {folder} does not exist. Name a folder on this machine.")
        opened = _open_clip if (folder / OPEN_CLIP_CONFIG).is_file() else _transformers
        try:
            return cls(opened(folder, torch.device(device)))
        except _NOT_LOADED as error:
            why = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ModelNotAvailable(f"{folder} holds no vision-language model that can be loaded: {why}") from error

    @torch.no_grad()
    def class_vectors(self, prompts: Sequence[Sequence[str]]) -> np.ndarray:
        """One unit vector (K, D) a class: the mean of the unit vectors of what is said of it (Radford 2021, 3.1.4)."""
        rows = [_unit(_unit(self._towers.read(list(said)).float()).mean(dim=0, keepdim=True)) for said in prompts]
        return torch.cat(rows).cpu().numpy()

    @torch.no_grad()
    def probabilities(self, images: Sequence[Image.Image], class_vectors: np.ndarray) -> np.ndarray:
        """P (N, K): the softmax of the scaled cosines between each picture and each class."""
        seen = _unit(self._towers.see([image.convert("RGB") for image in images]).float()).cpu()
        logits = self._towers.scale * seen @ torch.from_numpy(class_vectors).T
        return logits.double().softmax(dim=1).numpy()


def _unit(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors, dim=1)


def _open_clip(folder: Path, device: torch.device) -> Towers:
    try:
        import open_clip
    except ImportError as error:
        raise ModelNotAvailable(
            f"{folder} is a model of open_clip, which is not installed. Run: pip install open_clip_torch"
        ) from error
    name = f"local-dir:{folder}"
    model, prepare = open_clip.create_model_from_pretrained(name, device=device)  # type: ignore[misc] - a pair here
    tokenize = open_clip.get_tokenizer(name)
    model.eval()

    def see(images: Sequence[Image.Image]) -> Tensor:
        shown = torch.stack([prepare(image) for image in images])  # type: ignore[operator]
        return model.encode_image(shown.to(device))  # type: ignore[operator]

    return Towers(
        see=see,
        read=lambda texts: model.encode_text(tokenize(list(texts)).to(device)),  # type: ignore[operator]
        scale=float(model.logit_scale.detach().exp()),  # type: ignore[operator]
    )


def _transformers(folder: Path, device: torch.device) -> Towers:
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    prepare = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    tokenize = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model, loaded = AutoModel.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    if not hasattr(model, "get_text_features"):
        kind = type(model).__name__
        raise ModelNotAvailable(f"{folder} is a {kind}, which reads no text. A CLIP or SigLIP is needed.")
    if missing := sorted(loaded["missing_keys"]):
        raise ModelNotAvailable(f"{folder} is incomplete: {len(missing)} weights are missing, the first {missing[0]}.")
    model = model.to(device).eval()
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", _MAX_TOKENS)

    def see(images: Sequence[Image.Image]) -> Tensor:
        pixels = prepare(images=list(images), return_tensors="pt")["pixel_values"].to(device, model.dtype)
        return _vectors(model.get_image_features(pixel_values=pixels))

    def read(texts: Sequence[str]) -> Tensor:
        tokens = tokenize(list(texts), padding="max_length", truncation=True, max_length=longest, return_tensors="pt")
        return _vectors(model.get_text_features(**tokens.to(device)))

    return Towers(see=see, read=read, scale=float(model.logit_scale.detach().exp()))


def _vectors(found: Any) -> Tensor:
    """The projected vectors, which some versions of transformers wrap into an output record."""
    return found if isinstance(found, Tensor) else found.pooler_output
