"""Fetches weights from the Hugging Face hub and explains why it could not. It knows no model.

Large files are held to the sha256 that the hub states: huggingface_hub compares sizes alone.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation.weights import digest_of, stated_sha256

log = logging.getLogger(__name__)

Fetched = TypeVar("Fetched")

# Leaves out the single-file checkpoints that lie beside the pipeline (24 GB twice over).
_PARTS_FILES = (
    "model_index.json",
    "scheduler/*",
    "text_encoder/*",
    "text_encoder_2/*",
    "tokenizer/*",
    "tokenizer_2/*",
    "transformer/config.json",
    "vae/*",
)
_PIPELINE_FILES = (*_PARTS_FILES, "transformer/*")
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (RepositoryNotFoundError, "does not exist on the hub, or is private. Check the name, or set HF_TOKEN."),
    (RevisionNotFoundError, "has no such commit on the hub any more. Name a local folder instead."),
    (RemoteEntryNotFoundError, "has no such file. Check the file's name."),
    (
        LocalEntryNotFoundError,
        "is not downloaded and the hub cannot be reached. Connect to the internet once, or name a local folder or "
        "file.",
    ),
    (HFValidationError, "is not the name of a hub repository. Check it."),
)
_CHECKED_DIR = "dermaflux-checked"  # in the cache of a repository: a line for each file that was held to its sha256
# Not the checkpoints of other frameworks that lie beside.
_VISION_LANGUAGE_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")


def download_pipeline(
    repository: str, *, revision: str | None = None, transformer_weights: bool = True, endpoint: str | None = None
) -> Path:
    """The local folder of a pipeline's files, downloaded when they are not cached.

    Raises ModelNotAvailable saying whether the licence, the token, the commit or the network is missing, or naming a
    file whose sha256 is not the one that the hub states.
    """
    patterns = _PIPELINE_FILES if transformer_weights else _PARTS_FILES
    folder = download_files(repository, patterns, revision=revision, endpoint=endpoint)
    check_sums(folder.rglob("*.safetensors"), repository)
    return folder


def download_files(
    repository: str, patterns: Sequence[str], *, revision: str | None = None, endpoint: str | None = None
) -> Path:
    """The local folder of those files of a repository that fit a pattern, at a commit, tag or branch (newest if None).

    Raises ModelNotAvailable as `download_pipeline` does.
    """
    return Path(
        _explained(
            repository,
            lambda: snapshot_download(
                repository, revision=revision, allow_patterns=list(patterns), endpoint=endpoint
            ),
        )
    )


def download_vision_language(repository: str, *, endpoint: str | None = None) -> Path:
    """The local folder of a model's files (open_clip or transformers). Raises as `download_pipeline` does."""
    return download_files(repository, _VISION_LANGUAGE_FILES, endpoint=endpoint)


def download_adapter(repository: str, file: str | None, *, endpoint: str | None = None) -> Path:
    """One .safetensors file of a repository: the named one, or the only one it holds.

    Raises ModelNotAvailable as `download_pipeline` does, and when there is no file or a choice of several.
    """
    if file is None:
        names = _explained(repository, lambda: HfApi(endpoint=endpoint).list_repo_files(repository))
        weights = [name for name in names if name.endswith(".safetensors")]
        if len(weights) != 1:
            found = (
                f"holds several: {', '.join(weights)}" if weights else "holds no .safetensors file"
            )
            raise ModelNotAvailable(
                f"The adapter {repository} {found}. Name the file, as in {repository}/FILE."
            )
        file = weights[0]
    path = Path(_explained(repository, lambda: hf_hub_download(repository, file, endpoint=endpoint)))
    check_sums([path], repository)
    return path


def check_sums(paths: Iterable[Path], repository: str) -> None:
    """Hold files of the hub's cache to the sha256 they are named by; once for a file, until it changes.

    Raises ModelNotAvailable for one that is damaged.
    """
    for path in paths:
        stated = stated_sha256(path)
        if stated is None or _is_noted(path, stated):
            continue
        log.info("checking the sha256 of %s", path.name)
        if (found := digest_of(path)) != stated:
            raise ModelNotAvailable(
                f"{path.name} of {repository} is damaged: its sha256 begins with {found[:12]}, the hub says "
                f"{stated[:12]}. Delete {path.resolve()} and try again."
            )
        _note(path, stated)


def _is_noted(path: Path, sha256: str) -> bool:
    try:
        return _note_file(path, sha256).read_text() == _state_of(path)
    except OSError:
        return False


def _note(path: Path, sha256: str) -> None:
    note = _note_file(path, sha256)
    try:
        note.parent.mkdir(exist_ok=True)
        partial = note.with_name(f".{note.name}.{os.getpid()}")
        partial.write_text(_state_of(path))
        os.replace(partial, note)
    except OSError as error:  # a cache that others keep: checked again at the next start
        log.info("that %s was checked cannot be noted: %s", path.name, error)


def _note_file(path: Path, sha256: str) -> Path:
    repository = next(folder for folder in path.parents if folder.name == "snapshots").parent
    return repository / _CHECKED_DIR / sha256


def _state_of(path: Path) -> str:
    facts = path.stat()
    return f"{facts.st_size} {facts.st_mtime_ns}"


def _explained(repository: str, fetch: Callable[[], Fetched]) -> Fetched:
    try:
        return fetch()
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise ModelNotAvailable(_reason(repository, error)) from error


def _reason(repository: str, error: Exception) -> str:
    """What is wrong, why, and what to do."""
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, HfHubHTTPError):
        error = error.__cause__  # the hub was reached, and refused
    if isinstance(error, GatedRepoError):
        return _gated(repository, has_token=error.response.status_code != _UNAUTHORIZED)
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return f"{repository} {reason}"
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (_UNAUTHORIZED, _FORBIDDEN):
        return (
            f"The hub refused the token for {repository}. Set HF_TOKEN to a valid one that may read gated repositories "
            "(https://huggingface.co/settings/tokens)."
        )
    return f"{repository} could not be downloaded: {error}. Try again later."


def _gated(repository: str, *, has_token: bool) -> str:
    page = f"https://huggingface.co/{repository}"
    if not has_token:
        return (
            f"{repository} is gated and no token was given. Accept its licence at {page}, then set HF_TOKEN to a token "
            "of that account or run `hf auth login`."
        )
    return (
        f"{repository} is gated, and the account of the token in use has not been let in. Accept its licence at {page} "
        "as that account, and let the token read gated repositories; or set HF_TOKEN to a token of another account."
    )
