"""The JSON sidecar of every image: how it was made, what was found on it, who judged it and when.

Layouts with one file an image have `sidecars/KEY.json`, those with shards one line an image in `sidecars.jsonl`; both
hold the same text. The sidecars are also what an export is taken back in from, and what `set_sha256` is made of.
It knows no image file and no store.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dermaflux.curation.judgements import Judgement
from dermaflux.domain.records import DISCLAIMER, StoredImage

if TYPE_CHECKING:
    from dermaflux.curation.export_store import Candidate

SIDECAR_FOLDER, SIDECAR_LINES = "sidecars", "sidecars.jsonl"
SCHEMA = "dermaflux-sidecar-1"


class SidecarWriter(Protocol):
    """Takes one image's sidecar after the other."""

    def __call__(self, key: str, text: str) -> None:
        """Write the sidecar of the image of that key."""


class SetHash:
    """The hash of a set of images with all that is said of them: over the sidecars in the order of content."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, text: str) -> None:
        """Take the next image's sidecar in."""
        self._hash.update(text.encode())

    def hexdigest(self) -> str:
        """The hash of what was added."""
        return self._hash.hexdigest()


def sidecar_of(image: StoredImage, candidate: "Candidate", said: Iterable[Judgement]) -> dict[str, Any]:
    """What is said of one image. `generated` is the record inside its file, spec and caption included."""
    return {
        "schema": SCHEMA,
        "synthetic": True,
        "statement": DISCLAIMER,
        "sha256": image.sha256,
        "generated": dict(image.generated),
        "measurement": image.assessment.get("measurement"),
        "prediction": image.assessment.get("prediction"),
        "memorised": candidate.memorised,
        "verdict": str(candidate.verdict),
        "decisions": [judgement.to_dict() for judgement in said],
    }


def sidecar_text(sidecar: Mapping[str, Any]) -> str:
    """The sidecar as one line, the same for the same content whatever order a database gives its keys in."""
    return json.dumps(sidecar, sort_keys=True, ensure_ascii=True) + "\n"


@contextmanager
def sidecar_writer(folder: Path, *, sharded: bool) -> Iterator[SidecarWriter]:
    """What writes the sidecars of an export into its folder."""
    if sharded:
        with (folder / SIDECAR_LINES).open("w", encoding="utf-8") as lines:

            def add_line(key: str, text: str) -> None:
                lines.write(text)

            yield add_line
        return
    inside = folder / SIDECAR_FOLDER
    inside.mkdir()

    def add_file(key: str, text: str) -> None:
        (inside / f"{key}.json").write_text(text, encoding="utf-8")

    yield add_file


def read_sidecars(folder: Path) -> Iterator[str]:
    """The text of every sidecar of an export, in the order of content."""
    lines = folder / SIDECAR_LINES
    if lines.is_file():
        with lines.open(encoding="utf-8") as opened:
            yield from opened
        return
    for path in sorted((folder / SIDECAR_FOLDER).glob("*.json")):
        yield path.read_text(encoding="utf-8")
