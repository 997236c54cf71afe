"""Rows of all sets on their way to the manifest: their facts on disk, what is compared in arrays.

It decides nothing. Memory grows by some 600 bytes a picture, most of them the vector and the grey picture.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dermaflux.domain.lesion import Diagnosis
from training.manifest import ROWS_A_GROUP, SCHEMA
from training.sources.alike import Cards
from training.sources.description import Source
from training.sources.fingerprints import THUMB_PX, Fingerprint
from training.sources.reading import SourceRow
from training.sources.splitting import FREE, SPLITS, Claims

_DIAGNOSES = tuple(Diagnosis)
_NUMBERS = np.dtype([
    ("image", "u8"), ("lesion", "u8"), ("patient", "u8"), ("content", "u8"), ("phash", "u8"), ("name", "u8"),
    ("num_pixels", "i8"), ("fixed", "i1"), ("rank", "i2"), ("diagnosis", "i1"), ("thumb", "u1", (THUMB_PX**2,)),
])  # fmt: skip


class Staging:
    """Takes rows in batches, then gives what is compared, then the facts again in the same order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._waiting: list[pa.Table] = []
        self._numbers: list[np.ndarray] = []
        self._vectors: list[np.ndarray] = []

    def add(self, source: Source, rank: int, rows: Sequence[tuple[SourceRow, Fingerprint]], is_free: bool) -> None:
        """Take rows of a set; `rank` is its place among the sets, `is_free` sets its fixed splits aside."""
        if not rows:
            return
        facts = [_facts(source, row, print_) for row, print_ in rows]
        self._waiting.append(pa.Table.from_pylist(facts, SCHEMA))
        if sum(len(table) for table in self._waiting) >= ROWS_A_GROUP:
            self._flush()
        numbers = [_numbers(source, row, print_) for row, print_ in rows]
        block = np.array(numbers, dtype=_NUMBERS)
        block["rank"] = rank
        if is_free:
            block["fixed"] = FREE
        self._numbers.append(block)
        self._vectors.append(np.stack([np.frombuffer(print_.vector, np.float16) for _, print_ in rows]))

    def finish(self) -> tuple[Cards, Claims]:
        """Close the file; what is compared and what decides."""
        self._flush()
        self._writer.close()
        numbers = np.concatenate(self._numbers) if self._numbers else np.empty(0, _NUMBERS)
        vectors = np.concatenate(self._vectors) if self._vectors else np.empty((0, 0), np.float16)
        self._numbers, self._vectors = [], []
        columns = {name: np.ascontiguousarray(numbers[name]) for name in _NUMBERS.names or ()}
        cards = ("image", "lesion", "patient", "content", "phash")
        claims = ("name", "fixed", "rank", "num_pixels", "diagnosis")
        return (
            Cards(thumbs=columns["thumb"], vectors=vectors, **{name: columns[name] for name in cards}),
            Claims(**{name: columns[name].astype(np.int64) if name != "name" else columns[name] for name in claims}),
        )

    def facts(self) -> Iterator[list[dict[str, Any]]]:
        """The facts again, a batch at a time, group, split and caption still empty."""
        with pq.ParquetFile(self._path) as parquet:
            for batch in parquet.iter_batches(batch_size=4096):
                yield batch.to_pylist()

    def _flush(self) -> None:
        """One row group of what waits: many small ones would cost more memory than their rows."""
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting).unify_dictionaries())
        self._waiting = []

    def discard(self) -> None:
        """Remove the file, finished or not."""
        self._writer.close()
        self._path.unlink(missing_ok=True)


def _facts(source: Source, row: SourceRow, print_: Fingerprint) -> dict[str, Any]:
    return {
        "image_path": row.picture,
        "source": source.name,
        "image_id": row.image_id,
        "lesion_id": row.lesion_id,
        "patient_id": row.patient_id,
        "diagnosis": str(row.diagnosis),
        "malignant": row.diagnosis.is_malignant,
        "age": row.age,
        "sex": row.sex and str(row.sex),
        "site": row.site and str(row.site),
        "skin_tone": row.skin_tone and str(row.skin_tone),
        "licence": source.licence,
        "citation": source.citation,
        "sha256": print_.sha256,
        "phash": print_.phash,
        "width": print_.width,
        "height": print_.height,
    }


def _numbers(source: Source, row: SourceRow, print_: Fingerprint) -> tuple[Any, ...]:
    image_id = row.image_id.removesuffix(source.id_suffix) if source.id_suffix else row.image_id
    scope = source.id_scope
    return (
        _hash64(f"image/{scope}/{image_id}"),
        _hash64(f"lesion/{scope}/{row.lesion_id}") if row.lesion_id else 0,
        _hash64(f"patient/{scope}/{row.patient_id}") if row.patient_id else 0,
        int(print_.sha256[:16], 16),
        print_.phash,
        _hash64(f"{source.name}/{row.image_id}"),
        print_.width * print_.height,
        FREE if row.split is None else SPLITS.index(row.split),
        0,
        _DIAGNOSES.index(row.diagnosis),
        np.frombuffer(print_.thumb, np.uint8),
    )


def _hash64(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
