"""Fetches weights from the Hugging Face hub and explains why it could not. It knows no model."""

from collections.abc import Callable, Sequence
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
)

from dermaflux.domain.errors import ModelNotAvailable

Fetched = TypeVar("Fetched")

# Leaves out the single-file checkpoints that lie beside the pipeline (24 GB twice over).
_PIPELINE_FILES = (
    "model_index.json",
    "scheduler/*",
    "text_encoder/*",
    "text_encoder_2/*",
    "tokenizer/*",
    "tokenizer_2/*",
    "transformer/*",
    "vae/*",
)
# Not the checkpoints of other frameworks that lie beside.
_VISION_LANGUAGE_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")


def download_pipeline(repository: str, *, endpoint: str | None = None) -> Path:
    """The local folder of a pipeline's files, downloaded when they are not cached.

    Raises ModelNotAvailable saying whether the licence, the token or the network is missing.
    """
    return download_files(repository, _PIPELINE_FILES, endpoint=endpoint)


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
    return Path(
        _explained(repository, lambda: hf_hub_download(repository, file, endpoint=endpoint))
    )


def _explained(repository: str, fetch: Callable[[], Fetched]) -> Fetched:
    try:
        return fetch()
    except GatedRepoError as error:
        raise ModelNotAvailable(
            f"{repository} is gated. Accept its licence at https://huggingface.co/{repository}, then set HF_TOKEN to a "
            "token of that account or run `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotAvailable(
            f"{repository} does not exist on the hub, or is private. Check the name, or set HF_TOKEN."
        ) from error
    except RemoteEntryNotFoundError as error:
        raise ModelNotAvailable(f"{repository} has no such file. Check the file's name.") from error
    except LocalEntryNotFoundError as error:
        raise ModelNotAvailable(
            f"{repository} is not downloaded and the hub cannot be reached. Connect to the internet once, or name a "
            "local folder or file."
        ) from error
    except HFValidationError as error:
        raise ModelNotAvailable(
            f"{repository!r} is not the name of a hub repository. Check it."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelNotAvailable(
            f"{repository} could not be downloaded: {error}. Try again later."
        ) from error
