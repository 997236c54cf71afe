"""How long a manifest of half a million pictures takes, in how much memory, and how fast pictures are described.

    python -m benchmarks.manifest_speed --rows 500000
    python -m benchmarks.manifest_speed --rows 0 --pictures ../shared/data

Rows are made up as records and hashes and go the whole way behind the reader: staged, compared, grouped, split,
written, read again. Decoding half a million files is not repeated here: --pictures measures it on real ones.
"""

import argparse
import dataclasses
import hashlib
import itertools
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow.parquet as pq

from dermaflux.domain.lesion import Diagnosis
from training.build_manifest import ManifestConfig, write_manifest
from training.manifest import load_manifest
from training.measured_table import MeasuredCaptions
from training.sources.alike import find_alike
from training.sources.catalogue import source_named
from training.sources.describing import BATCH, Describer
from training.sources.fingerprints import Fingerprint, FingerprintCache
from training.sources.reading import SourceRow, read_source
from training.sources.splitting import Fate, Shares, place
from training.sources.staging import Staging
from training.sources.tally import Tally

Result = TypeVar("Result")
COPIES, PICTURES_A_PATIENT, DIMENSIONS = 20_000, 40, 128


def timed(what: str, work: Callable[[], Result]) -> Result:
    """Do it and print its seconds, those of one core's time, and the process's peak memory so far."""
    start, cpu = time.perf_counter(), time.process_time()
    result = work()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"{what:<36} {seconds:7.1f} s  of the processor {cpu:6.1f} s  peak {peak_mb:6.0f} MB", flush=True)
    return result


def made_up(count: int, with_vectors: bool) -> Iterator[tuple[SourceRow, Fingerprint]]:
    """Rows with patients, of which the last COPIES show pictures that came before: same pixels, or two bits apart."""
    rng = np.random.default_rng(0)
    phashes = rng.integers(0, 2**64, count, dtype=np.uint64).tolist()
    kinds = list(Diagnosis)
    for index in range(count):
        first = index - (count - COPIES)
        same = first if first >= 0 else index
        picture = np.random.default_rng(same)
        yield (
            SourceRow(
                image_id=f"ISIC_{index:07d}", picture=f"train-image/image/ISIC_{index:07d}.jpg",
                diagnosis=kinds[same % len(kinds)], patient_id=f"IP_{same // PICTURES_A_PATIENT}", age=50.0,
            ),
            Fingerprint(
                sha256=hashlib.sha256(f"{same if same % 2 else index}".encode()).hexdigest(),
                phash=phashes[same] ^ (3 if first >= 0 else 0),
                width=133, height=133, thumb=picture.bytes(256),
                vector=picture.normal(size=DIMENSIONS).astype(np.float16).tobytes() if with_vectors else b"",
            ),
        )  # fmt: skip


def stage(count: int, folder: Path, with_vectors: bool) -> Staging:
    """Made-up rows on disk, in the batches of the real program."""
    staging, source = Staging(folder / "staging"), source_named("isic2024")
    rows = made_up(count, with_vectors)
    while batch := list(itertools.islice(rows, BATCH)):
        staging.add(source, 0, batch, is_free=False)
    return staging


def build_made_up(count: int, with_vectors: bool) -> None:
    """Every step behind the reader, timed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = ManifestConfig(roots={"isic2024": folder}, out=folder / "manifest.parquet")
        start, cpu = time.perf_counter(), time.process_time()
        staging = timed(f"{count} rows made up and staged", lambda: stage(count, folder, with_vectors))
        cards, claims = timed("arrays of what is compared", staging.finish)
        alike = timed("copies and groups", lambda: find_alike(cards, 0.0547))
        placed = timed("kept copies and splits", lambda: place(claims, alike, Shares()))
        assert (placed.fate == Fate.COPY).sum() == COPIES, "every planted copy must be found, and nothing else"
        with Tally(folder / "left_out.csv") as tally:
            timed("written", lambda: write_manifest(config, staging, placed, tally, MeasuredCaptions(None)))
        staging.discard()
        minutes, cpu = (time.perf_counter() - start) / 60, (time.process_time() - cpu) / 60
        print(f"in all {minutes:.1f} minutes, of the processor {cpu:.1f}; {config.out.stat().st_size / 2**20:.0f} MB")
        print(f"{pq.ParquetFile(config.out).num_row_groups} row groups, {alike.num_pairs}")
        timed("read as a data set", lambda: load_manifest(config.out))


def describe_real(root: Path, count: int, descriptor: Path | None) -> None:
    """Pictures a second: decoded and hashed, then out of the cache."""
    with tempfile.TemporaryDirectory() as name, FingerprintCache(Path(name) / "prints.db") as cache:
        describer = Describer(cache=cache, descriptor=descriptor, described_by=str(descriptor or ""))
        for what in ("decoded", "out of the cache"):
            found = itertools.islice(read_source(source_named("ham10000"), root), count)
            rows = (row for row in found if isinstance(row, SourceRow))
            start, cpu = time.perf_counter(), time.process_time()
            done = sum(len(batch) for batch in describer.batches(root, rows))
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            print(f"{what}: {done / seconds:.0f} pictures a second, {done / cpu:.0f} a second of one core's time")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the command line asks for."""

    rows: int
    with_vectors: bool
    pictures: Path | None
    count: int
    descriptor: Path | None


def _asked() -> _Asked:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--with-vectors", action="store_true", help="compare the descriptor's vectors as well")
    parser.add_argument("--pictures", type=Path, help="folder with ham10000.csv")
    parser.add_argument("--count", type=int, default=2000, help="how many of them")
    parser.add_argument("--descriptor", type=Path, help="describe them by this descriptor as well")
    return _Asked(**vars(parser.parse_args()))


def main() -> None:
    """Print the figures."""
    asked = _asked()
    if asked.rows:
        build_made_up(asked.rows, asked.with_vectors)
    if asked.pictures:
        describe_real(asked.pictures, asked.count, asked.descriptor)


if __name__ == "__main__":
    main()
