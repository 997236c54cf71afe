"""Duplicates within a set and leaks against another: the same file, almost the same pixels, or the same lesion.

Plain numbers on fingerprints; pictures are read and described by the caller. Exact: equal hash of the content.
Perceptual: a 64-bit DCT hash (pHash) that differs in few bits; it sees through another size or file format. Lesion:
the descriptor's vectors lie near; it sees through turns, crops and light as well. It does not say which of two to keep.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from dermaflux.evaluation import neighbours
from dermaflux.evaluation.neighbours import Pairs

PHASH_BITS = 2
"""How many of 64 bits may differ; the ROC is in docs/duplicates.md."""


class Kind(StrEnum):
    """How two pictures are alike, the strictest first."""

    EXACT = "exact"
    PERCEPTUAL = "perceptual"
    LESION = "lesion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """What pictures are compared by: content hashes, pHashes (N,) uint64, descriptor vectors (N, D)."""

    content: Sequence[str]
    phash: np.ndarray
    vectors: np.ndarray

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From when on two pictures are alike: differing bits of the pHash, and 1 - cosine of the vectors."""

    lesion_distance: float
    phash_bits: int = PHASH_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Two pictures that are alike: rows, how, and how far apart (bits for perceptual, 0..2 for lesion, 0 for exact)."""

    first: int
    second: int
    kind: Kind
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateReport:
    """Groups of pictures that hang together (rows, ascending), and every pair with its strictest kind."""

    num_images: int
    groups: tuple[tuple[int, ...], ...]
    pairs: tuple[Likeness, ...]

    @property
    def num_extra(self) -> int:
        """How many pictures would go if one of each group were kept."""
        return sum(len(group) - 1 for group in self.groups)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self) | {"num_extra": self.num_extra}


def find_duplicates(prints: Fingerprints, thresholds: Thresholds) -> DuplicateReport:
    """Every pair of a set that is alike, and the groups they make."""
    found: dict[tuple[int, int], Likeness] = {}
    for kind, pairs in _alike(prints, thresholds):
        for first, second, distance in zip(pairs.first, pairs.second, pairs.distance, strict=True):
            pair = (int(first), int(second))
            found.setdefault(pair, Likeness(first=pair[0], second=pair[1], kind=kind, distance=float(distance)))
    pairs = tuple(found[key] for key in sorted(found))
    linked = Pairs(
        first=np.array([p.first for p in pairs], dtype=np.int64),
        second=np.array([p.second for p in pairs], dtype=np.int64),
        distance=np.array([p.distance for p in pairs]),
    )
    return DuplicateReport(
        num_images=len(prints), groups=tuple(tuple(g) for g in neighbours.groups(linked, len(prints))), pairs=pairs
    )


def find_leaks(prints: Fingerprints, reference: Fingerprints, thresholds: Thresholds) -> tuple[Likeness, ...]:
    """For every picture that is alike to one of the reference, the nearest such one (`second`), strictest first."""
    rows, distances = neighbours.nearest(prints.vectors, reference.vectors)
    known = {content: row for row, content in enumerate(reference.content)}
    leaks = []
    for first, (row, distance) in enumerate(zip(rows.tolist(), distances.tolist(), strict=True)):
        bits = np.bitwise_count(reference.phash ^ prints.phash[first])
        closest = int(bits.argmin())
        if (same := known.get(prints.content[first])) is not None:
            leaks.append(Likeness(first=first, second=same, kind=Kind.EXACT, distance=0.0))
        elif bits[closest] <= thresholds.phash_bits:
            leaks.append(
                Likeness(first=first, second=closest, kind=Kind.PERCEPTUAL, distance=float(bits[closest]))
            )
        elif distance <= thresholds.lesion_distance:
            leaks.append(Likeness(first=first, second=row, kind=Kind.LESION, distance=distance))
    order = {kind: rank for rank, kind in enumerate(Kind)}
    return tuple(sorted(leaks, key=lambda leak: (order[leak.kind], leak.distance)))


def _alike(prints: Fingerprints, thresholds: Thresholds) -> list[tuple[Kind, Pairs]]:
    """The pairs of each kind, the strictest kind first."""
    _, label = np.unique(np.asarray(prints.content, dtype=str), return_inverse=True)
    return [
        (Kind.EXACT, neighbours.equal_pairs(label)),
        (Kind.PERCEPTUAL, neighbours.hash_pairs_within(prints.phash, thresholds.phash_bits)),
        (Kind.LESION, neighbours.pairs_within(prints.vectors, thresholds.lesion_distance)),
    ]
