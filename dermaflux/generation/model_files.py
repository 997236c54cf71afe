"""Where the files of a base model lie, fetched from the hub when they are not there yet. It loads none of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dermaflux.generation.entries import ModelEntry
from dermaflux.generation.hub import download_pipeline
from dermaflux.generation.weight_sizes import PartSize, part_size
from dermaflux.generation.weights import sha256_of_files, sha256_of_folder

NETWORKS = ("transformer", "vae", "text_encoder", "text_encoder_2")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """The folder of a pipeline, and the checkpoint that stands for its transformer, if there is one."""

    folder: Path
    transformer_file: Path | None = None

    def weights_of(self, part: str) -> list[Path]:
        """The safetensors files of a network, sorted."""
        if part == "transformer" and self.transformer_file is not None:
            return [self.transformer_file]
        return sorted((self.folder / part).glob("*.safetensors"))

    def sizes(self) -> Mapping[str, PartSize]:
        """How large each network is, off the headers."""
        return {part: part_size(self.weights_of(part)) for part in NETWORKS}

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
