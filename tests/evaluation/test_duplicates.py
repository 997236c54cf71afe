"""Duplicates and leaks by kind, on fingerprints made for the purpose."""

import numpy as np
import pytest

from dermaflux.evaluation.duplicates import (
    Fingerprints,
    Kind,
    Thresholds,
    find_duplicates,
    find_leaks,
)

LIMITS = Thresholds(lesion_distance=0.1, phash_bits=4)


def prints(count, seed=0):
    """Pictures that have nothing to do with one another."""
    rng = np.random.default_rng(seed)
    return Fingerprints(
        content=[f"{seed}-{i}" for i in range(count)],
        phash=rng.integers(0, 2**64, count, dtype=np.uint64),
        vectors=rng.normal(size=(count, 64)),
    )


@pytest.fixture
def pool():
    """12 strangers, of which 3 = 1 as a file, 5 almost as pixels, 7 and 9 the lesion of 1."""
    found = prints(12)
    content, phash, vectors = list(found.content), found.phash.copy(), found.vectors.copy()
    for row in (3, 5, 7, 9):
        vectors[row] = vectors[1] + 0.02 * np.random.default_rng(row).normal(size=64)
    content[3], phash[3] = content[1], phash[1]
    phash[5] = phash[1] ^ np.uint64(0b111)
    return Fingerprints(content=content, phash=phash, vectors=vectors)


def test_strangers_are_no_duplicates():
    report = find_duplicates(prints(200), LIMITS)
    assert (report.groups, report.pairs, report.num_extra) == ((), (), 0)


def test_a_pair_has_its_strictest_kind_and_a_group_all_that_hangs_together(pool):
    report = find_duplicates(pool, LIMITS)
    assert report.groups == ((1, 3, 5, 7, 9),)
    assert report.num_extra == 4
    kinds = {(pair.first, pair.second): pair.kind for pair in report.pairs}
    assert kinds[1, 3] is Kind.EXACT
    assert kinds[1, 5] is Kind.PERCEPTUAL
    assert kinds[1, 7] is Kind.LESION
    assert len(kinds) == 10


def test_a_leak_names_the_nearest_picture_of_the_reference(pool):
    reference, strangers = pool, prints(5, seed=8)
    asked = Fingerprints(
        content=[*strangers.content, reference.content[1], "turned"],
        phash=np.append(strangers.phash, [reference.phash[1], np.uint64(0)]),
        vectors=np.concatenate([strangers.vectors, reference.vectors[[1]], reference.vectors[[2]] * 3]),
    )
    leaks = find_leaks(asked, reference, LIMITS)
    assert [(leak.first, leak.kind) for leak in leaks] == [(5, Kind.EXACT), (6, Kind.LESION)]
    assert leaks[0].second in (1, 3)  # the same file twice
    assert (leaks[1].second, leaks[1].distance) == (2, pytest.approx(0, abs=1e-6))
