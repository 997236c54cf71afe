"""Who lies near whom: the nearest of a set, and all pairs within a distance, in tiles so that 100,000 fit in memory.

Feature rows are compared by 1 - cosine similarity (0 same, 2 opposite), hashes by the number of differing bits. It
knows no picture and sets no threshold. Tiles of one matrix product are as fast here as an index of its own
(docs/benchmarks.md), and miss nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_TILE_ROWS = 2048
_MAX_PIECED_BITS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs of rows, first < second (P,), and how far apart they are (P,)."""

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray


def nearest(queries: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every query (M, D) the row of the nearest reference (N, D) and its distance, both (M,)."""
    index, best = [], []
    for _, distance in distance_blocks(queries, reference):
        row = distance.argmin(axis=1)
        index.append(row)
        best.append(distance[np.arange(len(row)), row])
    return np.concatenate(index), np.concatenate(best)


def distance_blocks(queries: np.ndarray, reference: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first row, distances (rows, N)) of the queries, some rows at a time."""
    queries, reference = unit(queries), unit(reference)
    for start in range(0, len(queries), _TILE_ROWS):
        yield start, _distance(queries[start : start + _TILE_ROWS], reference)


def pairs_within(features: np.ndarray, threshold: float) -> Pairs:
    """All pairs of rows (N, D) at most `threshold` apart."""
    rows = unit(features)
    return _collected(len(rows), threshold, lambda a, b: _distance(rows[a], rows[b]))


def uncrowded_pairs(features: np.ndarray, threshold: float, most: int) -> tuple[Pairs, np.ndarray]:
    """All pairs of rows (N, D) at most `threshold` apart, but of rows that have more than `most` others that near.

    Those (N,) bool lie where the threshold tells nothing apart. At most N * most / 2 pairs are held, however many there
    are.
    """
    rows = unit(features)
    number, found = np.zeros(len(rows), np.int64), []
    for top, left in _tiles(len(rows)):
        near = _distance(rows[top : top + _TILE_ROWS], rows[left : left + _TILE_ROWS]) <= threshold
        if top == left:
            near = np.triu(near, 1)
        number[top : top + _TILE_ROWS] += near.sum(axis=1)
        number[left : left + _TILE_ROWS] += near.sum(axis=0)
        row = np.flatnonzero(number[top : top + _TILE_ROWS] <= most)
        column = np.flatnonzero(number[left : left + _TILE_ROWS] <= most)
        first, second = np.nonzero(near[np.ix_(row, column)])
        found.append(np.stack([row[first] + top, column[second] + left]))
    first, second = np.concatenate(found, axis=1) if found else np.empty((2, 0), np.int64)
    crowded = number > most
    keep = ~crowded[first] & ~crowded[second]
    first, second = first[keep], second[keep]
    return Pairs(first=first, second=second, distance=1 - (rows[first] * rows[second]).sum(axis=1)), crowded


def hash_pairs_within(hashes: np.ndarray, max_bits: int) -> Pairs:
    """All pairs of 64-bit hashes (N,) uint64 that differ in at most `max_bits` bits; the distance is their number.

    Cut into max_bits + 1 pieces, two such hashes share a piece: only those that do are compared.
    """
    if max_bits > _MAX_PIECED_BITS:  # short pieces are shared by too many
        return _collected(
            len(hashes), max_bits, lambda a, b: np.bitwise_count(hashes[a][:, None] ^ hashes[b][None, :])
        )
    cuts = [64 * piece // (max_bits + 1) for piece in range(max_bits + 2)]
    found = [_sharing(hashes, low, high, max_bits) for low, high in pairwise(cuts)]
    codes = np.unique(np.concatenate(found))
    first, second = np.divmod(codes, max(len(hashes), 1))
    return Pairs(first=first, second=second, distance=np.bitwise_count(hashes[first] ^ hashes[second]).astype(float))


def equal_pairs(labels: np.ndarray) -> Pairs:
    """Each row with the next one of the same label (N,): enough to hold a group together."""
    order = np.argsort(labels, kind="stable")
    same = labels[order][1:] == labels[order][:-1]
    first, second = order[:-1][same], order[1:][same]
    return Pairs(first=first, second=second, distance=np.zeros(len(first)))


def groups(pairs: Pairs, count: int) -> list[list[int]]:
    """The rows 0..count-1 that hang together by pairs, each group ascending, those of one row left out."""
    links = coo_array((np.ones(len(pairs.first), bool), (pairs.first, pairs.second)), shape=(count, count))
    _, label = connected_components(links, directed=False)
    order = np.argsort(label, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return sorted(part.tolist() for part in parts if len(part) > 1)


def unit(features: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32."""
    features = np.asarray(features, dtype=np.float32)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _sharing(hashes: np.ndarray, low: int, high: int, max_bits: int) -> np.ndarray:
    """Codes first * N + second of the near pairs that agree in bits low..high-1."""
    piece = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
    order = np.argsort(piece, kind="stable")
    piece, hashes, found = piece[order], hashes[order], [np.empty(0, np.int64)]
    begins = np.arange(len(order))
    for step in range(1, len(order)):
        begins = begins[begins + step < len(order)]
        begins = begins[piece[begins] == piece[begins + step]]
        if not len(begins):
            break
        near = begins[np.bitwise_count(hashes[begins] ^ hashes[begins + step]) <= max_bits]
        found.append(order[near] * len(order) + order[near + step])
    return np.concatenate(found)


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.clip(1.0 - first @ second.T, 0.0, 2.0)


def _collected(count: int, threshold: float, distance) -> Pairs:  # noqa: ANN001 - slices to a tile of distances
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for top, left in _tiles(count):
        tile = distance(slice(top, top + _TILE_ROWS), slice(left, left + _TILE_ROWS))
        row, column = np.nonzero(tile <= threshold)
        above = row + top < column + left
        row, column = row[above], column[above]
        found.append((row + top, column + left, tile[row, column].astype(np.float64)))
    parts = [np.concatenate(part) for part in zip(*found, strict=True)] if found else [np.empty(0)] * 3
    return Pairs(first=parts[0].astype(np.int64), second=parts[1].astype(np.int64), distance=parts[2])


def _tiles(count: int) -> Iterator[tuple[int, int]]:
    """The first row and column of every tile on or above the diagonal."""
    starts = range(0, count, _TILE_ROWS)
    return ((top, left) for top in starts for left in starts[top // _TILE_ROWS :])
