"""How long 100,000 fingerprints take to search, and in how much memory: all pairs within the set, and one query.

    python -m benchmarks.duplicate_speed --images 100000

Fingerprints are random with known duplicates planted, which must all be found. Where faiss is installed its exact index
does the same, for comparison.
"""

import argparse
import resource
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from dermaflux.evaluation import neighbours
from dermaflux.evaluation.duplicates import Fingerprints, Thresholds, find_duplicates, find_leaks

DIMENSIONS, PLANTED = 128, 500
LIMITS = Thresholds(lesion_distance=0.1)


def planted(count: int, seed: int = 0) -> Fingerprints:
    """Random fingerprints, of which the last PLANTED repeat the first: equal, near in bits, or near as vectors."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, DIMENSIONS)).astype(np.float32)
    phash = rng.integers(0, 2**64, count, dtype=np.uint64)
    content = [f"{row:064x}" for row in range(count)]
    for row in range(PLANTED):
        again = count - PLANTED + row
        if row % 3 == 0:
            content[again] = content[row]
        elif row % 3 == 1:
            phash[again] = phash[row] ^ np.uint64(0b11)
        else:
            vectors[again] = vectors[row] + 0.1 * rng.normal(size=DIMENSIONS)
    return Fingerprints(content=content, phash=phash, vectors=vectors)


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Do it and print seconds and the process's peak memory so far."""
    start = time.perf_counter()
    result = work()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<58} {time.perf_counter() - start:8.2f} s   peak {peak_mb:6.0f} MB")
    return result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=100_000)
    count = parser.parse_args().images
    prints = timed(f"{count} fingerprints made up", lambda: planted(count))
    report = timed("all duplicates: content, pHash, lesion", lambda: find_duplicates(prints, LIMITS))
    assert report.num_extra == PLANTED, f"{report.num_extra} of {PLANTED} found"
    one = Fingerprints(content=prints.content[:1], phash=prints.phash[:1], vectors=prints.vectors[:1])
    timed("one picture against all", lambda: find_leaks(one, prints, LIMITS))
    thousand = Fingerprints(
        content=prints.content[:1000], phash=prints.phash[:1000], vectors=prints.vectors[:1000]
    )
    timed("1,000 pictures against all", lambda: find_leaks(thousand, prints, LIMITS))
    timed("pairs of vectors within the set, our tiles", lambda: neighbours.pairs_within(prints.vectors, 0.1))
    if find_spec("faiss"):
        timed("the same, faiss IndexFlatIP range_search", lambda: _faiss(neighbours.unit(prints.vectors)))


def _faiss(vectors: np.ndarray) -> int:
    import faiss  # type: ignore[import-not-found] - only compared with

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    limits, _, _ = index.range_search(vectors, 0.9)
    return int(limits[-1])


if __name__ == "__main__":
    main()
