"""Nearest rows and all near pairs agree with brute force, whatever the tiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaflux.evaluation import neighbours


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(neighbours, "_TILE_ROWS", 7)


def test_nearest_agrees_with_brute_force_across_blocks():
    rng = np.random.default_rng(2)
    queries, reference = rng.normal(size=(20, 5)), rng.normal(size=(31, 5))
    index, distance = neighbours.nearest(queries, reference)
    for row, query in enumerate(queries):
        cosine = reference @ query / (np.linalg.norm(reference, axis=1) * np.linalg.norm(query))
        assert index[row] == cosine.argmax()
        assert distance[row] == pytest.approx(1 - cosine.max(), abs=1e-6)


@pytest.mark.parametrize("count", [1, 7, 8, 30])
def test_near_pairs_agree_with_brute_force_across_tiles(count):
    rows = neighbours.unit(np.random.default_rng(3).normal(size=(count, 3)))
    pairs = neighbours.pairs_within(rows, 0.3)
    far = 1 - rows @ rows.T
    expected = {(i, j) for i in range(count) for j in range(i + 1, count) if far[i, j] <= 0.3}
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == expected
    assert pairs.distance == pytest.approx(far[pairs.first, pairs.second], abs=1e-6)


@pytest.mark.parametrize("most", [0, 2, 30])
def test_rows_in_a_crowd_are_named_and_not_paired(most):
    rng = np.random.default_rng(4)
    rows = np.concatenate([rng.normal(size=(25, 3)), [[9, 9, 9]] * 12])
    pairs, crowded = neighbours.uncrowded_pairs(rows, 0.05, most)
    every = neighbours.pairs_within(rows, 0.05)
    number = np.bincount(np.concatenate([every.first, every.second]), minlength=len(rows))
    assert (crowded == (number > most)).all()
    every_pair = zip(every.first, every.second, strict=True)
    expected = {(i, j) for i, j in every_pair if max(number[i], number[j]) <= most}
    assert set(zip(pairs.first, pairs.second, strict=True)) == expected
    far = dict(zip(zip(every.first, every.second, strict=True), every.distance, strict=True))
    wanted = [far[pair] for pair in zip(pairs.first, pairs.second, strict=True)]
    assert pairs.distance == pytest.approx(wanted, abs=1e-6)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.integers(0, 64))
def test_hash_pairs_count_differing_bits(values, max_bits):
    pairs = neighbours.hash_pairs_within(np.array(values, dtype=np.uint64), max_bits)
    found = {(i, j): d for i, j, d in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.distance, strict=True)}
    bits = {(i, j): (a ^ values[j]).bit_count() for i, a in enumerate(values) for j in range(i + 1, len(values))}
    assert found == {pair: number for pair, number in bits.items() if number <= max_bits}


def test_groups_are_what_hangs_together():
    pairs = neighbours.Pairs(
        first=np.array([0, 4, 1]), second=np.array([2, 5, 4]), distance=np.zeros(3)
    )
    assert neighbours.groups(pairs, 7) == [[0, 2], [1, 4, 5]]


def test_without_pairs_there_are_no_groups():
    nothing = neighbours.pairs_within(np.empty((0, 4)), 0.5)
    assert len(nothing.first) == 0
    assert neighbours.groups(nothing, 3) == []
