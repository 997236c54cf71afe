"""Uploads an exported folder to a dataset repository of the Hugging Face hub, and explains why it could not.

The rule of local folders holds there too: files that no earlier export wrote are never overwritten or mixed with.
It makes no export and knows no store. huggingface_hub is imported on use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dermaflux.curation.export_folder import MANIFEST, manifest_of, names_in
from dermaflux.domain.errors import DataNotFound, InvalidRequest

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_OF_THE_HUB = (".gitattributes", "README.md")


def push_to_hub(folder: Path, repository: str, *, public: bool = False, endpoint: str | None = None) -> str:
    """Upload an export to the dataset `repository` (OWNER/NAME), made when it is missing; returns its address.

    A new repository is private unless asked otherwise; what an earlier push wrote and this export lacks is deleted.
    Raises InvalidRequest (no export, not our repository, a bad name, no token or no right to write) or DataNotFound
    (the hub cannot be reached).
    """
    from huggingface_hub import HfApi

    manifest = manifest_of(folder)
    if manifest is None:
        raise InvalidRequest(f"{folder} is no export of DermaFlux. Export the dataset first.")
    api = HfApi(endpoint=endpoint)
    with _explained(repository):
        address = str(api.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True))
        earlier = _earlier_files(api, repository)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            repo_type="dataset",
            commit_message=f"{manifest['num_images']} synthetic images of {manifest['dataset']} (DermaFlux)",
            delete_patterns=sorted(earlier - set(names_in(folder))) or None,
        )
    return address


def _earlier_files(api: "HfApi", repository: str) -> set[str]:
    """What an earlier push wrote. Raises InvalidRequest when the repository holds anything else."""
    names = set(api.list_repo_files(repository, repo_type="dataset"))
    known: set[str] = set()
    if MANIFEST in names:
        with TemporaryDirectory() as work:
            path = api.hf_hub_download(repository, MANIFEST, repo_type="dataset", local_dir=work)
            manifest = manifest_of(Path(path).parent)
        known = {*manifest["files"], MANIFEST} if manifest else set()
    if foreign := sorted(names - known - set(_OF_THE_HUB)):
        raise InvalidRequest(
            f"The repository {repository} holds {foreign[0]}, which no export wrote, so nothing is uploaded. "
            "Choose a new repository: synthetic images are not mixed into other data."
        )
    return known & names


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise InvalidRequest(f"{repository!r} cannot name a repository ({error}). Use OWNER/NAME.") from error
    except errors.GatedRepoError as error:
        raise InvalidRequest(
            f"{repository} is gated, and this account was not let in. Ask its owner, then set HF_TOKEN."
        ) from error
    except (errors.LocalTokenNotFoundError, errors.RepositoryNotFoundError) as error:
        raise InvalidRequest(
            f"{repository} cannot be written: it does not exist for this account. Set HF_TOKEN to a token with write "
            "access, or run `hf auth login`."
        ) from error
    except errors.HfHubHTTPError as error:
        raise InvalidRequest(_refusal(repository, error.response.status_code, str(error))) from error
    except (errors.OfflineModeIsEnabled, errors.HTTPError, OSError) as error:  # HTTPError: no answer at all
        raise DataNotFound(
            f"The hub cannot be reached ({_first_line(str(error))}). Connect to the internet and unset HF_HUB_OFFLINE."
        ) from error


def _refusal(repository: str, status: int, message: str) -> str:
    if status == 401:
        return f"The hub knows no valid token. Set HF_TOKEN to one that may write {repository}, or run `hf auth login`."
    if status == 403:
        return f"The token may not write {repository}. Use one with write access to that owner's datasets."
    return f"The hub refused the upload to {repository} ({status}: {_first_line(message)}). Try again later."


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")
