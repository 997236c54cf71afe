"""Which base models and adapters there are, and each one's facts. It loads no weights and no torch.

A model is named by a known name, by a folder that holds a FluxPipeline, or not at all; an adapter by a known name,
a .safetensors file, or a hub repository.
"""

import json
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.domain.records import SamplingRequest
from dermaflux.generation.adapter_facts import AdapterFacts, read_adapter_facts
from dermaflux.generation.facts import PipelineFacts, load_facts

log = logging.getLogger(__name__)

ASSETS_DIR = Path(__file__).parents[2] / "assets" / "models"
NANO = "nano"
INDEX_FILE = "model_index.json"
_UNSTATED_LICENCE = "not stated; see the model's own card"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One base model. `source` is a folder, or a hub repository when `is_hub`.

    `distilled_guidance`: guidance_scale is fed to the transformer (FLUX.1-dev); otherwise it is the scale of true
    classifier-free guidance against the empty prompt, and 1 turns it off.
    """

    name: str
    source: str
    is_hub: bool = False
    size_px: int = 512
    num_steps: int = 20
    guidance_scale: float = 1.0
    contrast_scale: float = 0.0
    distilled_guidance: bool = False
    text_tokens: int = 512
    int8_checked: bool = False
    licence: str = _UNSTATED_LICENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterEntry:
    """One LoRA: a file, or a hub repository (`file` names the one wanted when it holds several)."""

    name: str
    source: str
    is_hub: bool = False
    file: str | None = None


FLUX_DEV = ModelEntry(
    name="flux-dev",
    source="black-forest-labs/FLUX.1-dev",
    is_hub=True,
    guidance_scale=3.5,
    distilled_guidance=True,
    licence="FLUX.1 [dev] Non-Commercial License",
)
# schnell was distilled to 4 steps without guidance, on 256 text tokens (BFL flux/util.py, load_t5).
FLUX_SCHNELL = ModelEntry(
    name="flux-schnell",
    source="black-forest-labs/FLUX.1-schnell",
    is_hub=True,
    num_steps=4,
    text_tokens=256,
    licence="Apache-2.0",
)


_HUB_MODELS = {entry.name: entry for entry in (FLUX_DEV, FLUX_SCHNELL)}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ModelCatalogue:
    """The models and adapters that can be asked for by name, and the reading of names that are paths."""

    def __init__(self, assets_dir: Path = ASSETS_DIR, trained_dir: Path | None = None) -> None:
        """trained_dir: training runs, whose finished LoRAs (NAME/NAME.safetensors) are on offer too."""
        self.assets_dir = assets_dir
        self.trained_dir = trained_dir

    def models(self) -> tuple[ModelEntry, ...]:
        """The named models: nano if it is installed, those of the hub, then other pipelines that lie in the assets.

        A folder named as a hub model stands for it, without a download.
        """
        installed = {path.parent.name for path in self.assets_dir.glob(f"*/{INDEX_FILE}")}
        own = sorted(installed - {NANO, *_HUB_MODELS})
        names = [*([NANO] if NANO in installed else []), *_HUB_MODELS, *own]
        return tuple(entry for name in names if (entry := self._entry(name)))

    def adapters(self) -> tuple[AdapterEntry, ...]:
        """The adapters installed with the application, then those trained here, by file name."""
        files = sorted((self.assets_dir / "adapters").glob("*.safetensors"))
        installed = {path.stem for path in files}
        trained = sorted(self.trained_dir.glob("*/*.safetensors")) if self.trained_dir else []
        files += [path for path in trained if path.stem == path.parent.name and path.stem not in installed]
        return tuple(AdapterEntry(name=path.stem, source=str(path)) for path in files)

    def model(self, name: str) -> ModelEntry:
        """The model of that name or folder.

        Raises InvalidRequest for an unknown name, ModelNotAvailable for a folder without a pipeline in it.
        """
        folder = self.assets_dir / name
        if name == NANO or (_PLAIN_NAME.fullmatch(name) and (folder / INDEX_FILE).is_file()):
            return _local(entry_of_folder(folder, name=name), _HUB_MODELS.get(name))
        if name in _HUB_MODELS:
            return _HUB_MODELS[name]
        folder = Path(name).expanduser()
        if not folder.is_dir() and not _looks_like_path(name):
            known = ", ".join(dict.fromkeys([NANO, *(entry.name for entry in self.models())]))
            raise InvalidRequest(
                f"The model {name!r} is not known. Choose one of {known}, or name a folder."
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
