"""Which pictures of all sets are copies of one another, and which belong together: numbers only, no file and no word.

Copies: the same id, the same pixels, or almost the same ones. Together besides: one lesion, one patient, or the same
lesion as the descriptor sees it. Half a million pictures fit in memory, some 600 bytes each.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dermaflux.evaluation.duplicates import PHASH_BITS
from dermaflux.evaluation.neighbours import Pairs, equal_pairs, hash_pairs_within, uncrowded_pairs

COPY_CORRELATION = 0.985
"""A pHash sees coarse shape alone, which different lesions share; copies are alike in their grey 16 x 16 picture too.
The figures are in docs/own_data.md."""
MOST_PICTURES_OF_A_LESION = 10
"""A picture that looks like more others is of a kind that the descriptor was not trained to tell apart: body tiles,
clinical photographs. Chains of such likeness would put whole sets into one group."""
_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """What N pictures are compared by. Ids and contents are 64-bit hashes (N,), 0 where a set names none.

    phash (N,) uint64, thumbs (N, 256) uint8, vectors (N, D) float16, D = 0 without a descriptor.
    """

    image: np.ndarray
    lesion: np.ndarray
    patient: np.ndarray
    content: np.ndarray
    phash: np.ndarray
    thumbs: np.ndarray
    vectors: np.ndarray

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.image)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """Labels (N,): rows of one `copy` show one picture, rows of one `group` must share a split. Pairs found by kind.

    `num_crowded` pictures look like so many others that the descriptor says nothing of them.
    """

    copy: np.ndarray
    group: np.ndarray
    num_pairs: dict[str, int]
    num_crowded: int = 0


def find_alike(cards: Cards, lesion_distance: float) -> Alike:
    """Copies and groups of all pictures. `lesion_distance` is the descriptor's (1 - cosine)."""
    copies = {
        "same id": _equal(cards.image),
        "same pixels": _equal(cards.content),
        "almost the same pixels": confirmed(hash_pairs_within(cards.phash, PHASH_BITS), cards.thumbs),
    }
    seen = cards.vectors if cards.vectors.shape[1] else cards.vectors[:0]  # without a descriptor nobody is alike
    looks, crowded = uncrowded_pairs(seen, lesion_distance, MOST_PICTURES_OF_A_LESION)
    kin = {
        "same lesion id": _equal(cards.lesion),
        "same patient id": _equal(cards.patient),
        "same lesion by its looks": looks,
    }
    return Alike(
        copy=_components(copies.values(), len(cards)),
        group=_components([*copies.values(), *kin.values()], len(cards)),
        num_pairs={kind: len(pairs.first) for kind, pairs in (copies | kin).items()},
        num_crowded=int(crowded.sum()),
    )


def confirmed(pairs: Pairs, thumbs: np.ndarray) -> Pairs:
    """The pairs whose grey pictures (N, 256) correlate enough to be copies."""
    starts = range(0, len(pairs.first), _ROWS_AT_ONCE)
    parts = [slice(start, start + _ROWS_AT_ONCE) for start in starts]
    found = [correlation(thumbs[pairs.first[part]], thumbs[pairs.second[part]]) for part in parts]
    keep = np.concatenate([np.empty(0), *found]) >= COPY_CORRELATION
    return Pairs(first=pairs.first[keep], second=pairs.second[keep], distance=pairs.distance[keep])


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's of grey pictures row by row, (M, 256) and (M, 256) to (M,); an even surface is like another one."""
    first, second = (rows - rows.mean(axis=1, keepdims=True) for rows in (first.astype(float), second.astype(float)))
    norm = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    both_even = ~first.any(axis=1) & ~second.any(axis=1)
    return np.where(both_even, 1.0, (first * second).sum(axis=1) / np.maximum(norm, 1e-9))


def _equal(labels: np.ndarray) -> Pairs:
    """Chains of equal labels, 0 being none."""
    rows = np.flatnonzero(labels)
    pairs = equal_pairs(labels[rows])
    return Pairs(first=rows[pairs.first], second=rows[pairs.second], distance=pairs.distance)


def _components(kinds: Iterable[Pairs], count: int) -> np.ndarray:
    kinds = list(kinds)
    first = np.concatenate([pairs.first for pairs in kinds])
    second = np.concatenate([pairs.second for pairs in kinds])
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    return connected_components(links, directed=False)[1]
