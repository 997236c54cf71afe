import random

import pytest


@pytest.fixture
def many_images(store, sample):
    store.create_dataset("first")
    return [store.add_image(sample(seed)).image_id for seed in range(12)]


def test_too_few_images_have_no_figure_but_a_reason(store, image_ids, says):
    found = store.agreement("first")
    assert (found.num_images, found.num_reviewers, found.pairs) == (0, 0, ())
    for reviewer in ("ada", "bob"):
        store.decide(says(image_ids[0], reviewer=reviewer))
    found = store.agreement("first")
    assert found.num_images == 1
    assert found.raw.value is found.verdict_alpha.value is found.realism_alpha.value is None
    assert found.verdict_alpha.reason == "1 images have a verdict by two reviewers; a figure needs 10."
    assert found.realism_alpha.num_images == 0
    (pair,) = found.pairs
    assert pair.reviewers == ("ada", "bob") and pair.kappa.reason


def test_full_agreement_is_one_and_sameness_says_nothing(store, many_images, says):
    for number, image_id in enumerate(many_images):
        for reviewer in ("ada", "bob"):
            store.decide(says(image_id, "accept" if number % 2 else "reject", reviewer, realism=3))
    found = store.agreement("first")
    assert (found.raw.value, found.verdict_alpha.value, found.verdict_alpha.low) == (1, 1, 1)
    assert found.pairs[0].kappa.value == 1
    assert found.realism_alpha.value is None
    assert "the same" in (found.realism_alpha.reason or "")


def test_only_what_stands_counts_and_gaps_are_allowed(store, many_images, says):
    rng = random.Random(0)
    for image_id in many_images:
        for reviewer in ("ada", "bob", "cem"):
            verdict = rng.choice(("accept", "reject"))
            store.decide(says(image_id, verdict, reviewer, realism=rng.choice((None, 2, 4, 5))))
    before = store.agreement("first")
    assert before.num_images == 12 and len(before.pairs) == 3
    assert before == store.agreement("first"), "the same verdicts give the same intervals"
    assert before.verdict_alpha.low < before.verdict_alpha.value < before.verdict_alpha.high
    for reviewer in ("ada", "bob"):
        store.undo("first", reviewer)
    after = store.agreement("first")
    assert after.num_images == 11
    assert [pair.kappa.num_images for pair in after.pairs] == [11, 11, 11]
