"""Which base models and adapters there are, and each one's facts. It loads no weights and no torch.

A model is named by a known name, by a folder that holds a FluxPipeline, by a checkpoint file of its transformer (which
names the pipeline with the other parts), or not at all; an adapter by a known name, a .safetensors file, or a hub
repository.
"""

import json
import logging
import re
from dataclasses import replace
from pathlib import Path

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.domain.records import SamplingRequest
from dermaflux.generation.adapter_facts import AdapterFacts, read_adapter_facts
from dermaflux.generation.entries import (
    FLUX_DEV,
    HUB_MODELS,
    AdapterEntry,
    ModelEntry,
)
from dermaflux.generation.facts import PipelineFacts, load_facts
from dermaflux.generation.file_entries import SUFFIX, entry_of_file

log = logging.getLogger(__name__)

ASSETS_DIR = Path(__file__).parents[2] / "assets" / "models"
NANO = "nano"
INDEX_FILE = "model_index.json"


_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ModelCatalogue:
    """The models and adapters that can be asked for by name, and the reading of names that are paths."""

    def __init__(
        self, assets_dir: Path = ASSETS_DIR, trained_dir: Path | None = None, preview_vae: str | None = None
    ) -> None:
        """trained_dir: training runs, whose finished LoRAs (NAME/NAME.safetensors) are on offer too.

        preview_vae: a tiny autoencoder (`preview_decoder`) that shows the unfinished samples of large models.
        """
        self.assets_dir = assets_dir
        self.trained_dir = trained_dir
        self.preview_vae = preview_vae

    def models(self) -> tuple[ModelEntry, ...]:
        """The named models: nano if it is installed, those of the hub, then other pipelines that lie in the assets.

        A folder named as a hub model stands for it, without a download. Checkpoint files go by their stems.
        """
        return tuple(entry for name in self._names() if (entry := self._entry(name)))

    def _names(self) -> list[str]:
        """What lies there and on the hub by name, usable or not."""
        installed = {path.parent.name for path in self.assets_dir.glob(f"*/{INDEX_FILE}")}
        files = {path.stem for path in self.assets_dir.glob(f"*{SUFFIX}")}
        own = sorted((installed | files) - {NANO, *HUB_MODELS})
        return [*([NANO] if NANO in installed else []), *HUB_MODELS, *own]

    def adapters(self) -> tuple[AdapterEntry, ...]:
        """The adapters installed with the application, then those trained here, by file name."""
        files = sorted((self.assets_dir / "adapters").glob("*.safetensors"))
        installed = {path.stem for path in files}
        trained = sorted(self.trained_dir.glob("*/*.safetensors")) if self.trained_dir else []
        files += [path for path in trained if path.stem == path.parent.name and path.stem not in installed]
        return tuple(AdapterEntry(name=path.stem, source=str(path)) for path in files)

    def model(self, name: str) -> ModelEntry:
        """The model of that name, folder or checkpoint file.

        Raises InvalidRequest for an unknown name, ModelNotAvailable for a folder without a pipeline in it, and for a
        file that is no transformer or names no pipeline.
        """
        if name not in {NANO, *HUB_MODELS} and (file := self._file(name)) is not None:
            return entry_of_file(file, name, self._pipeline)
        return self._pipeline(name)

    def _file(self, name: str) -> Path | None:
        """The checkpoint file of that name, in the assets or by its path; a pipeline's folder goes before it."""
        if _PLAIN_NAME.fullmatch(name) and (self.assets_dir / name / INDEX_FILE).is_file():
            return None
        files = (self.assets_dir / f"{name}{SUFFIX}", Path(name).expanduser())
        return next((file for file in files if file.suffix == SUFFIX and file.is_file()), None)

    def _pipeline(self, name: str) -> ModelEntry:
        """The model of that name or folder. Raises as `model` does."""
        folder = self.assets_dir / name
        if name == NANO or (_PLAIN_NAME.fullmatch(name) and (folder / INDEX_FILE).is_file()):
            return _local(entry_of_folder(folder, name=name), HUB_MODELS.get(name))
        if name in HUB_MODELS:
            return HUB_MODELS[name]
        folder = Path(name).expanduser()
        if not folder.is_dir() and not _looks_like_path(name):
            known = ", ".join(dict.fromkeys([NANO, *self._names()]))
            raise InvalidRequest(
                f"The model {name!r} is not known. Choose one of {known}, or name a folder or a {SUFFIX} file."
            )
        return entry_of_folder(folder, name=name)

    def _entry(self, name: str) -> ModelEntry | None:
        """The entry of an installed name; of a folder without a usable pipeline None, and a line in the log."""
        try:
            return self.model(name)
        except ModelNotAvailable as error:
            log.warning("%s is not offered: %s", name, error)
            return None

    def adapter(self, name: str) -> AdapterEntry:
        """The adapter of that name, file or hub repository ('owner/name' or 'owner/name/file.safetensors').

        Raises InvalidRequest for an unknown name, ModelNotAvailable for a file that is not there.
        """
        for entry in self.adapters():
            if name == entry.name:
                return entry
        path = Path(name).expanduser()
        if path.is_file():
            return AdapterEntry(name=path.stem, source=str(path))
        if _looks_like_path(name) or (name.endswith(".safetensors") and name.count("/") < 2):
            raise ModelNotAvailable(f"The adapter file {name} does not exist. Check the path.")
        owner, slash, rest = name.partition("/")
        repository, _, file = rest.partition("/")
        if not slash or not repository:
            known = ", ".join(entry.name for entry in self.adapters()) or "none installed"
            raise InvalidRequest(
                f"The adapter {name!r} is not known. Installed: {known}; "
                "or give a .safetensors file or a hub repository."
            )
        return AdapterEntry(
            name=name, source=f"{owner}/{repository}", is_hub=True, file=file or None
        )

    def resolve(self, request: SamplingRequest) -> SamplingRequest:
        """The request with defaults in place of None: the first adapter's that states them, else the model's own.

        Reads no weights. Raises InvalidRequest for an unknown model or adapter, ModelNotAvailable for one that is not
        installed or not readable.
        """
        entry = self.model(request.model)
        stated = [_facts_of(self.adapter(use.name)) for use in request.adapters]
        steps = [request.num_steps, *(facts.num_steps for facts in stated), entry.num_steps]
        scales = [request.guidance_scale, *(facts.guidance_scale for facts in stated), entry.guidance_scale]
        contrast = [request.contrast_scale, *(facts.contrast_scale for facts in stated), entry.contrast_scale]
        return replace(
            request,
            contrast_scale=next(value for value in contrast if value is not None),
            num_steps=next(value for value in steps if value is not None),
            guidance_scale=next(value for value in scales if value is not None),
            size_px=entry.size_px if request.size_px is None else request.size_px,
        )


def entry_of_folder(folder: Path, *, name: str) -> ModelEntry:
    """The entry of a folder that holds a saved FluxPipeline, with the facts it states of itself.

    Raises ModelNotAvailable when the folder is missing or holds no FluxPipeline.
    """
    index = folder / INDEX_FILE
    if not index.is_file():
        why = f"has no {INDEX_FILE}" if folder.is_dir() else "does not exist"
        raise ModelNotAvailable(
            f"The model {name!r} is not available: {folder} {why}. Install the weights there or choose another model."
        )
    if (kind := _read_json(index).get("_class_name")) != "FluxPipeline":
        raise ModelNotAvailable(
            f"{folder} holds a {kind}, not a FluxPipeline. Choose a Flux model."
        )
    distilled = bool(
        _read_json(folder / "transformer" / "config.json").get("guidance_embeds", False)
    )
    entry = ModelEntry(name=name, source=str(folder), distilled_guidance=distilled)
    entry = replace(entry, guidance_scale=FLUX_DEV.guidance_scale) if distilled else entry
    return _with_facts(entry, load_facts(folder))


def _local(entry: ModelEntry, of_hub: ModelEntry | None) -> ModelEntry:
    """A folder's entry; where it states nothing of itself, it is what the hub model of its name is."""
    if of_hub is None or load_facts(Path(entry.source)) is not None:
        return entry
    return replace(of_hub, source=entry.source, is_hub=False)


def _facts_of(adapter: AdapterEntry) -> AdapterFacts:
    """What the file states; nothing for one that may not be downloaded yet."""
    return AdapterFacts() if adapter.is_hub else read_adapter_facts(Path(adapter.source))


def _with_facts(entry: ModelEntry, facts: PipelineFacts | None) -> ModelEntry:
    if facts is None:
        return entry
    return replace(
        entry,
        size_px=facts.size_px,
        num_steps=facts.num_steps,
        guidance_scale=facts.guidance_scale,
        contrast_scale=facts.contrast_scale,
        text_tokens=facts.text_tokens,
        int8_checked=facts.int8_checked,
        licence=facts.licence,
    )


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise ModelNotAvailable(
            f"{path} is missing: the model is incomplete. Reinstall it."
        ) from None
    except ValueError as error:
        raise ModelNotAvailable(
            f"{path} is not JSON ({error}): the model is damaged. Reinstall it."
        ) from error


def _looks_like_path(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~", "\\")) or name.count("/") > 2
