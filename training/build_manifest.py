"""Make one training set of several: `python -m training.build_manifest --roots ham10000 DIR isic2019 DIR --out FILE`.

Reads the described sets (`training.sources`), finds copies among all of them before any split, keeps one of each, and
writes one parquet manifest. The order of the roots says whose copy is kept. A stopped run goes on where it was.
"""

import json
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro
from tqdm import tqdm

from dermaflux.domain.errors import Cancelled, DataNotFound, InvalidRequest, StorageNotWritable
from dermaflux.domain.lesion import Diagnosis
from training.lesion_records import RejectedRow
from training.manifest import ROWS_A_GROUP, SCHEMA, record_of, with_facts
from training.measured_table import MeasuredCaptions
from training.program import program
from training.sources.alike import Alike, find_alike
from training.sources.catalogue import source_named
from training.sources.describing import Describer
from training.sources.description import Source
from training.sources.fingerprints import Fingerprint, FingerprintCache
from training.sources.reading import SourceRow, read_source
from training.sources.splitting import FATE_WORDS, SPLITS, Fate, Placed, Shares, place
from training.sources.staging import Staging
from training.sources.tally import Tally
from training.stopping import stop_between_steps
from training.whole_files import write_whole

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestConfig:
    """Which sets to join, and how."""

    roots: dict[str, Path]
    """Name of a described set and its folder, in pairs; where two sets share a picture the first named keeps it."""
    out: Path = Path("runs/manifest/manifest.parquet")
    """The manifest. Beside it: what was left out (.left_out.csv) and the counts (.report.json)."""
    cache: Path = Path("runs/manifest/fingerprints.db")
    """What pictures are compared by, kept between runs."""
    descriptor: Path | None = Path("assets/models/descriptor")
    """The descriptor that sees one lesion in two pictures; None compares ids and pixels alone, and is far faster."""
    lesion_distance: float | None = None
    """From what distance on (1 - cosine) two pictures show one lesion; the descriptor's own when not given."""
    free: tuple[str, ...] = ()
    """Sets whose published split is set aside, for instance kaggle1."""
    measured: Path | None = None
    """Table of measurements (training.measure_training_set); the pictures in it get a caption."""
    shares: Shares = field(default_factory=Shares)
    workers: int = 1
    """Processes that decode pictures."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the field that is wrong."""
        if not self.roots:
            raise InvalidRequest("roots is empty. Name at least one set and its folder.")
        for name in (*self.roots, *self.free):
            source_named(name)
        if unused := [name for name in self.free if name not in self.roots]:
            raise InvalidRequest(f"free names {unused[0]}, which is not among the roots.")
        if self.workers < 1:
            raise InvalidRequest("workers must be 1 or more.")


def build(config: ManifestConfig, is_stopped: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """Write the manifest and what stands beside it; returns the report. All or nothing.

    Raises DataNotFound and InvalidRequest for sets that are not there or not as described, Cancelled when stopped,
    StorageNotWritable when the place of the manifest or of the cache cannot be used.
    """
    _make_folder(config.out.parent)
    captions = MeasuredCaptions(config.measured)
    described_by, distance = _descriptor_facts(config)
    staging = Staging(config.out.with_name(f".{config.out.name}.staging.{os.getpid()}"))
    with Tally(config.out.with_suffix(".left_out.csv")) as tally:
        try:
            _stage(config, described_by, staging, tally, is_stopped)
            cards, claims = staging.finish()
            if not len(cards):
                raise DataNotFound(f"None of {', '.join(config.roots)} holds a usable picture. {tally.to_dict()}")
            log.info("comparing %d pictures", len(cards))
            alike = find_alike(cards, distance)
            placed = place(claims, alike, config.shares)
            write_manifest(config, staging, placed, tally, captions)
        finally:
            staging.discard()
    report = _report(alike, placed, claims.diagnosis) | {"sources": tally.to_dict()}
    write_whole(config.out.with_suffix(".report.json"), json.dumps(report, indent=2) + "\n")
    return report


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageNotWritable(f"{folder} cannot be made ({error.strerror}). Choose another --out.") from error


def _stage(
    config: ManifestConfig, described_by: str, staging: Staging, tally: Tally, is_stopped: Callable[[], bool]
) -> None:
    with FingerprintCache(config.cache) as cache, _executor(config.workers) as executor:
        describer = Describer(
            cache=cache, descriptor=config.descriptor, described_by=described_by, executor=executor,
            num_workers=config.workers,
        )  # fmt: skip
        for rank, (name, root) in enumerate(config.roots.items()):
            source = source_named(name)
            tally.pictures[name] = 0
            with closing(tqdm(desc=name, unit=" pictures", mininterval=2, file=sys.stderr)) as bar:
                for batch in describer.batches(root, _usable(source, root, tally)):
                    staging.add(source, rank, list(_readable(source, batch, tally)), name in config.free)
                    bar.update(len(batch))
                    if is_stopped():
                        raise Cancelled("Stopped; what was described is kept. The same command goes on.")


def _executor(workers: int) -> AbstractContextManager[Executor | None]:
    """Fresh processes: a fork of one that runs torch's threads may hang."""
    if workers == 1:
        return nullcontext()
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_leave_stopping_to_the_parent
    )


def _leave_stopping_to_the_parent() -> None:
    """Ctrl-C reaches every process of a terminal; the batch that runs is to be finished and kept."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _usable(source: Source, root: Path, tally: Tally) -> Iterator[SourceRow]:
    for row in read_source(source, root):
        tally.pictures[source.name] += 1
        if isinstance(row, RejectedRow):
            tally.leave_out(source.name, row.kind, row.reason, {"table": row.table, "line": row.line})
            continue
        yield row


def _readable(
    source: Source, batch: list[tuple[SourceRow, Fingerprint | str]], tally: Tally
) -> Iterator[tuple[SourceRow, Fingerprint]]:
    for row, print_ in batch:
        if isinstance(print_, str):
            tally.leave_out(source.name, "picture not readable", print_, {"picture": row.picture})
            continue
        tally.not_read(source.name, row.unread)
        yield row, print_


def write_manifest(
    config: ManifestConfig, staging: Staging, placed: Placed, tally: Tally, captions: MeasuredCaptions
) -> None:
    """The kept rows with group, split and caption, in row groups, to a temporary name that is then moved."""
    schema, draft = with_facts(SCHEMA, _facts(config)), config.out.with_name(f".{config.out.name}.{os.getpid()}")
    begin, waiting = 0, []
    try:
        with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
            for rows in staging.facts():
                waiting += _kept(rows, placed, begin, tally, captions)
                begin += len(rows)
                if len(waiting) >= ROWS_A_GROUP:
                    writer.write_table(pa.Table.from_pylist(waiting, schema))
                    waiting = []
            if waiting:
                writer.write_table(pa.Table.from_pylist(waiting, schema))
        os.replace(draft, config.out)
    finally:
        draft.unlink(missing_ok=True)


def _kept(
    rows: list[dict[str, Any]], placed: Placed, begin: int, tally: Tally, captions: MeasuredCaptions
) -> Iterator[dict[str, Any]]:
    for index, row in enumerate(rows, start=begin):
        if word := FATE_WORDS.get(Fate(placed.fate[index])):
            tally.leave_out(row["source"], word, f"group {placed.group[index]:016x}", {"picture": row["image_path"]})
            continue
        row |= {"group": f"{placed.group[index]:016x}", "split": str(SPLITS[placed.split[index]])}
        row["caption"] = captions.of(record_of(row)) if captions.knows(row["image_id"]) else ""
        tally.keep(row["source"], row["split"], row["malignant"])
        yield row


def _facts(config: ManifestConfig) -> dict[str, Any]:
    sources = [source_named(name) for name in config.roots]
    return {
        "roots": {name: str(root.resolve()) for name, root in config.roots.items()},
        "shares": asdict(config.shares),
        "free": list(config.free),
        "references": {source.citation: source.reference for source in sources},
    }


def _descriptor_facts(config: ManifestConfig) -> tuple[str, float]:
    """The SHA-256 of the descriptor's weights and the distance under which it sees one lesion; none without it."""
    if config.descriptor is None:
        return "", 0.0
    # Here because it loads torch, which nothing else of this program needs.
    from dermaflux.classification.descriptor import LesionDescriptor

    descriptor = LesionDescriptor.load(config.descriptor)
    distance = descriptor.copy_distance if config.lesion_distance is None else config.lesion_distance
    if distance is None:
        raise InvalidRequest("The descriptor has no calibrated threshold. Give one with --lesion-distance.")
    return descriptor.sha256, distance


def _report(alike: Alike, placed: Placed, diagnosis: np.ndarray) -> dict[str, Any]:
    sizes = np.bincount(alike.group)
    return {
        "pictures_compared": len(alike.group),
        "kept": int((placed.fate == Fate.KEPT).sum()),
        "copies_left_out": int((placed.fate == Fate.COPY).sum()),
        "left_out_for_a_held_out_group": int((placed.fate == Fate.CROSSES).sum()),
        "pairs": alike.num_pairs,
        "groups": len(sizes),
        "largest_group": int(sizes.max()),
        "too_crowded_for_the_descriptor": alike.num_crowded,
        "copies_called_benign_and_malignant": _contradicting(alike.copy, diagnosis),
    }


def _contradicting(copy: np.ndarray, diagnosis: np.ndarray) -> int:
    """How many sets of copies are benign in one set and malignant in another; the kept copy's word stands."""
    malignant = np.array([kind.is_malignant for kind in Diagnosis])[diagnosis]
    stated = np.unique(np.stack([copy, malignant], axis=1), axis=0)
    return int((np.bincount(stated[:, 0]) > 1).sum())


@program
def main() -> None:
    """The command line."""
    config = tyro.cli(ManifestConfig, description=__doc__)
    with stop_between_steps() as is_stopped:
        report = build(config, is_stopped)
    sys.stdout.write(json.dumps(report, indent=2) + f"\n{report['kept']} pictures in {config.out}\n")


if __name__ == "__main__":
    sys.exit(main())
