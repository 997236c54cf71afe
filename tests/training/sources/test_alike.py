"""Copies and groups are what hangs together, and a pHash alone makes no copy."""

import numpy as np
import pytest

from training.sources.alike import Cards, confirmed, find_alike


def cards(count, **given):
    """Pictures that have nothing in common, but for what is given."""
    rng = np.random.default_rng(0)
    apart = {
        "image": np.arange(1, count + 1, dtype=np.uint64),
        "lesion": np.zeros(count, np.uint64),
        "patient": np.zeros(count, np.uint64),
        "content": np.arange(100, 100 + count, dtype=np.uint64),
        "phash": rng.integers(0, 2**64, count, dtype=np.uint64),
        "thumbs": rng.integers(0, 256, (count, 256), dtype=np.uint8),
        "vectors": np.empty((count, 0), np.float16),
    }
    return Cards(**{name: np.asarray(value, dtype=apart[name].dtype) for name, value in (apart | given).items()})


def parts(labels):
    return sorted(sorted(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist()))


def test_pictures_with_nothing_in_common_stay_apart():
    alike = find_alike(cards(5), 0.1)
    assert parts(alike.copy) == parts(alike.group) == [[0], [1], [2], [3], [4]]
    assert set(alike.num_pairs.values()) == {0}


def test_ids_and_pixels_make_copies_and_lesions_and_patients_groups():
    alike = find_alike(
        cards(
            8,
            image=[1, 1, 3, 4, 5, 6, 7, 8],
            content=[10, 11, 12, 12, 14, 15, 16, 17],
            lesion=[0, 9, 9, 0, 0, 0, 0, 0],
            patient=[0, 0, 0, 0, 21, 21, 0, 0],
        ),
        0.1,
    )
    assert parts(alike.copy) == [[0, 1], [2, 3], [4], [5], [6], [7]]
    assert parts(alike.group) == [[0, 1, 2, 3], [4, 5], [6], [7]]
    assert alike.num_pairs == {
        "same id": 1, "same pixels": 1, "almost the same pixels": 0, "same lesion id": 1, "same patient id": 1,
        "same lesion by its looks": 0,
    }  # fmt: skip


def test_a_near_phash_makes_a_copy_only_where_the_grey_pictures_agree():
    rng = np.random.default_rng(1)
    thumbs = rng.integers(60, 200, (3, 256)).astype(np.uint8)
    thumbs[1] = (thumbs[0] * 0.8 + 20 + rng.normal(0, 1, 256)).astype(np.uint8)  # darker, softer and a little noise
    alike = find_alike(cards(3, phash=[0b1111, 0b1100, 0b1101], thumbs=thumbs), 0.1)
    assert parts(alike.copy) == [[0, 1], [2]]


def test_even_surfaces_are_alike_and_the_bound_is_a_correlation(monkeypatch):
    monkeypatch.setattr("training.sources.alike._ROWS_AT_ONCE", 2)
    from dermaflux.evaluation.neighbours import Pairs

    ramp = np.arange(256)
    thumbs = np.stack([np.full(256, 7), np.full(256, 90), ramp, ramp[::-1], ramp // 2]).astype(np.uint8)
    pairs = Pairs(first=np.array([0, 2, 2]), second=np.array([1, 3, 4]), distance=np.zeros(3))
    found = confirmed(pairs, thumbs)
    assert list(zip(found.first, found.second, strict=True)) == [(0, 1), (2, 4)]


@pytest.mark.parametrize(("distance", "groups"), [(0.02, [[0, 1], [2]]), (0.001, [[0], [1], [2]])])
def test_the_descriptor_groups_but_makes_no_copy(distance, groups):
    vectors = [[1, 0], [np.cos(0.1), np.sin(0.1)], [0, 1]]  # 1 - cos(0.1) = 0.005
    alike = find_alike(cards(3, vectors=vectors), distance)
    assert parts(alike.copy) == [[0], [1], [2]]
    assert parts(alike.group) == groups


def test_a_crowd_that_the_descriptor_cannot_tell_apart_is_not_joined():
    vectors = np.concatenate([[[0, 1], [0.001, 1]], np.tile([1, 0], (30, 1))])
    alike = find_alike(cards(32, vectors=vectors), 0.05)
    assert parts(alike.group)[0] == [0, 1]
    assert len(parts(alike.group)) == 31
    assert alike.num_crowded == 30
