"""What was measured on a set of real pictures, kept on the disk line by line, so that a stopped count goes on.

The file is named by the set and the segmenter: another segmenter, another count. It holds figures, no pixels.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dermaflux.services.pictures import prepare_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealFact:
    """One real picture: what its table says, and what was measured; None where nothing is known."""

    name: str
    diagnosis: str | None
    skin_tone: str | None
    asymmetry: float | None
    border: float | None
    num_colours: int | None


class RealFacts:
    """The lines of one set. Several processes may add; a line that is broken is measured again."""

    def __init__(self, folder: Path, set_name: str, segmenter_id: str) -> None:
        self._folder = folder
        self._path = folder / f"{set_name}-{segmenter_id[:16]}.jsonl"

    def read(self) -> Mapping[str, RealFact]:
        """What is known so far, by the picture's name."""
        return {fact.name: fact for fact in self._lines()}

    def add(self, fact: RealFact) -> None:
        """Keep one more. Raises StorageNotWritable when the folder cannot be written."""
        prepare_folder(self._folder)
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(fact)) + "\n")

    def _lines(self) -> Iterator[RealFact]:
        if not self._path.is_file():
            return
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                yield RealFact(**json.loads(line))
            except (ValueError, TypeError):  # cut off by a stop; its picture is measured again
                log.warning("%s holds a broken line", self._path)
