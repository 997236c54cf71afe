"""Where the files of a base model lie, fetched from the hub when they are not there yet. It loads none of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation.entries import ModelEntry
from dermaflux.generation.hub import download_pipeline
from dermaflux.generation.memory import PREVIEW_PART
from dermaflux.generation.weight_sizes import PartSize, part_size
from dermaflux.generation.weights import sha256_of_files, sha256_of_folder

NETWORKS = ("transformer", "vae", "text_encoder", "text_encoder_2")
LINEAR_VAE = "PatchAutoencoder"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """The folder of a pipeline, and the checkpoint that stands for its transformer, if there is one.

    preview_folder: the tiny autoencoder that shows its unfinished samples, if there is one; no part of the model.
    """

    folder: Path
    transformer_file: Path | None = None
    preview_folder: Path | None = None

    def weights_of(self, part: str) -> list[Path]:
        """The safetensors files of a network, sorted."""
        if part == "transformer" and self.transformer_file is not None:
            return [self.transformer_file]
        return sorted((self.folder / part).glob("*.safetensors"))

    def sizes(self) -> Mapping[str, PartSize]:
        """How large each network is, off the headers."""
        sizes = {part: part_size(self.weights_of(part)) for part in NETWORKS}
        if self.preview_folder is not None:
            sizes[PREVIEW_PART] = part_size(self.preview_folder.glob("*.safetensors"))
        return sizes

    @property
    def previews_exactly(self) -> bool:
        """Whether its VAE is the linear one, which decodes in a moment. Raises ModelNotAvailable without its config."""
        return self._vae_config().get("_class_name") == LINEAR_VAE

    def latent_shape(self) -> tuple[int, int]:
        """How many channels its latents have, and for how many pixels a side one stands. Raises as above."""
        config = self._vae_config()
        return config.get("latent_channels", 4), 2 ** (len(config.get("block_out_channels", (64,))) - 1)

    def vae_config_text(self) -> str:
        """What the VAE's config says, to the letter. Raises as above."""
        path = self.folder / "vae" / "config.json"
        try:
            return path.read_text()
        except OSError as error:
            raise ModelNotAvailable(f"{path} cannot be read: {error}. Reinstall the model.") from error

    def _vae_config(self) -> dict[str, Any]:
        text = self.vae_config_text()
        try:
            config = json.loads(text)
        except ValueError as error:
            raise ModelNotAvailable(f"The VAE's config in {self.folder} is damaged: {error}. Reinstall it.") from error
        return config if isinstance(config, dict) else {}

    def sha256(self) -> str:
        """One hash for all the weights. Raises ModelNotAvailable when there are none."""
        if self.transformer_file is None:
            return sha256_of_folder(self.folder)
        return sha256_of_files({f"{part}/{path.name}": path for part in NETWORKS for path in self.weights_of(part)})


def locate(entry: ModelEntry) -> ModelFiles:
    """The files of a model; downloads them when they are not there yet. Raises ModelNotAvailable when it cannot."""
    single = Path(entry.transformer_file) if entry.transformer_file else None
    if entry.is_hub:
        folder = download_pipeline(entry.source, revision=entry.revision, transformer_weights=single is None)
    else:
        folder = Path(entry.source)
    return ModelFiles(folder=folder, transformer_file=single)
