"""The rows of a set with their fingerprints, in order, some at a time: from the cache, or decoded by several processes.

It writes the cache after every batch, so that a stopped run goes on where it was.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dermaflux.domain.errors import DataNotFound
from training.sources.fingerprints import Fingerprint, FingerprintCache, describe
from training.sources.reading import SourceRow
from training.sources.roots import FileState, Root

BATCH = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Describer:
    """How pictures are described: where it is kept, by which descriptor, and by how many processes.

    `descriptor` is its folder (None: no vectors), `described_by` the SHA-256 of its weights.
    """

    cache: FingerprintCache
    descriptor: Path | None = None
    described_by: str = ""
    executor: Executor | None = None
    num_workers: int = 1

    def batches(
        self, root: Path, rows: Iterator[SourceRow]
    ) -> Iterator[list[tuple[SourceRow, Fingerprint | str]]]:
        """The rows of one root with their fingerprint or the reason why there is none, a batch at a time."""
        files = Root(root)
        while batch := list(islice(rows, BATCH)):
            yield self._batch(files, batch)

    def _batch(self, files: Root, rows: Sequence[SourceRow]) -> list[tuple[SourceRow, Fingerprint | str]]:
        found: dict[int, Fingerprint | str] = {}
        states: dict[int, FileState] = {}
        for index, row in enumerate(rows):
            try:
                states[index] = files.state(row.picture)
            except DataNotFound as error:
                found[index] = str(error)
                continue
            known = self.cache.known(_path(files, row), states[index], self.described_by)
            if known:
                found[index] = known
        missing = [index for index in states if index not in found]
        made = dict(zip(missing, self._described(files.path, [rows[i].picture for i in missing]), strict=True))
        readable = ((index, print_) for index, print_ in made.items() if isinstance(print_, Fingerprint))
        self.cache.keep(
            ((_path(files, rows[index]), states[index], print_) for index, print_ in readable), self.described_by
        )
        return [(row, (found | made)[index]) for index, row in enumerate(rows)]

    def _described(self, root: Path, names: list[str]) -> list[Fingerprint | str]:
        if self.executor is None or len(names) < 2:
            return describe(root, names, self.descriptor)
        size = -(-len(names) // self.num_workers)
        parts = [names[start : start + size] for start in range(0, len(names), size)]
        futures = [self.executor.submit(describe, root, part, self.descriptor) for part in parts]
        return [print_ for future in futures for print_ in future.result()]


def _path(files: Root, row: SourceRow) -> str:
    return f"{files.path.resolve()}/{row.picture}"
