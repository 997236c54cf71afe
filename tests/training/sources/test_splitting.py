"""No group crosses a split, one copy is kept, what was held out stays so, and more data moves nobody."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaflux.domain.errors import InvalidRequest
from training.sources.alike import Alike
from training.sources.splitting import FREE, Claims, Fate, Shares, draw, place

TRAIN, VAL, TEST = 0, 1, 2


def placed(copy, group, **given):
    count = len(copy)
    usual = {
        "name": np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        "fixed": np.full(count, FREE), "rank": np.zeros(count, int), "num_pixels": np.ones(count, int),
        "diagnosis": np.zeros(count, int),
    }  # fmt: skip
    claims = Claims(**{name: np.asarray(value) for name, value in (usual | given).items()})
    return place(claims, Alike(copy=np.array(copy), group=np.array(group), num_pairs={}), Shares())


def test_the_first_named_set_keeps_its_copy_then_the_larger_picture():
    found = placed([0, 0, 0, 1, 1], [0, 0, 0, 1, 1], rank=[1, 0, 0, 2, 2], num_pixels=[9, 4, 5, 6, 7])
    assert found.fate.tolist() == [Fate.COPY, Fate.COPY, Fate.KEPT, Fate.COPY, Fate.KEPT]


def test_held_out_wins_and_what_would_cross_is_left_behind():
    found = placed([0, 0, 1, 2, 3], [0, 0, 0, 1, 1], fixed=[TRAIN, TEST, FREE, VAL, TEST], rank=[0, 1, 1, 1, 1])
    assert found.split.tolist() == [TEST] * 5
    # The copy of the training picture is kept for testing although its set is named later.
    assert found.fate.tolist() == [Fate.CROSSES, Fate.KEPT, Fate.KEPT, Fate.CROSSES, Fate.KEPT]


def test_a_group_fixed_for_training_takes_its_free_members_along():
    assert placed([0, 1], [0, 0], fixed=[TRAIN, FREE]).split.tolist() == [TRAIN, TRAIN]


rows = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 5), st.sampled_from([FREE, TRAIN, VAL, TEST]), st.integers(0, 3)),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(max_examples=60)
@given(rows)
def test_whatever_the_claims_no_group_crosses_and_no_copy_is_kept_twice(rows):
    copy, coarse, fixed, rank = (np.array(column) for column in zip(*rows, strict=True))
    copy, group = (np.unique(labels, return_inverse=True)[1] for labels in (copy, copy // 3))
    found = placed(copy, group, fixed=fixed, rank=rank, diagnosis=coarse)
    kept = found.fate == Fate.KEPT
    for label in set(group.tolist()):
        members = group == label
        assert len(set(found.split[members].tolist())) == 1
        assert found.split[members].max() >= fixed[members].max()
        assert (members & kept).any()
    assert len(set(copy[kept].tolist())) == kept.sum()
    published = kept & (fixed != FREE)
    assert (fixed[published] == found.split[published]).all()


def test_the_draw_keeps_its_shares_and_depends_on_the_seed_alone():
    names = np.random.default_rng(0).integers(1, 2**64, 20_000, dtype=np.uint64)
    classes = np.zeros(len(names), int)
    split = draw(names, classes, Shares(val=0.1, test=0.2))
    # Three standard deviations of a share of 20,000 draws are .006 to .009.
    assert np.bincount(split) / len(names) == pytest.approx([0.7, 0.1, 0.2], abs=0.01)
    assert (draw(names, classes, Shares(seed=1)) != split).mean() > 0.3
    order = np.random.default_rng(1).permutation(len(names))
    assert (draw(names[order], classes, Shares()) == split[order]).all()
    assert (draw(names[:5000], classes[:5000], Shares()) == split[:5000]).all()


@pytest.mark.parametrize("count", [10, 20, 40])
def test_a_small_class_is_spread_over_all_splits(count):
    names = np.random.default_rng(2).integers(1, 2**64, count, dtype=np.uint64)
    split = draw(names, np.full(count, 3), Shares(val=0.1, test=0.2))
    assert np.bincount(split, minlength=3).tolist() == [count * 7 // 10, count // 10, count // 5]


@pytest.mark.parametrize("shares", [{"val": -0.1}, {"val": 0.5, "test": 0.5}])
def test_shares_that_leave_nothing_to_train_on_are_refused(shares):
    with pytest.raises(InvalidRequest, match="below 1 together"):
        Shares(**shares)
