"""The probe on drawn Gaussians, where it is known whether what is added helps, harms or changes nothing."""

import numpy as np
import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.diversity import Labelled
from dermaflux.evaluation.probe import draw_rows, probe
from dermaflux.evaluation.probe_head import head_probabilities
from dermaflux.evaluation.probe_report import ProbeOptions, Verdict

CLASSES = ("nv", "bkl", "mel")
DIM = 12
QUICK = ProbeOptions(num_draws=4, num_resamples=300)


def gaussians(count, seed, names=CLASSES, shift=0.9):
    """`count` pictures of each class around its own axis, two of a lesion."""
    rng = np.random.default_rng(seed)
    features, labels = [], []
    for name in names:
        centre = np.zeros(DIM)
        centre[CLASSES.index(name)] = shift
        features.append(rng.normal(size=(count, DIM)) + centre)
        labels += [name] * count
    lesions = [f"{seed}-{row // 2}" for row in range(len(labels))]
    return Labelled(features=np.concatenate(features), diagnoses=labels, groups=lesions)


def ask(real, added, held_out, options=QUICK):
    return probe(real, added, held_out, draw_rows(real.diagnoses, real.groups, options), options)


def test_more_of_the_same_helps_where_real_pictures_are_few():
    options = ProbeOptions(num_real=30, num_draws=6, num_resamples=300)
    report = ask(gaussians(200, 0), gaussians(300, 1), gaussians(150, 2), options)
    assert report.verdict is Verdict.HELPS
    assert report.balanced_accuracy.with_added > report.balanced_accuracy.without + 0.05
    assert report.malignant_auc.delta.low > 0
    assert report.num_real == 30 and report.num_added == 900 and report.num_held_out == 450
    assert {name: (c.num_held_out, c.num_added) for name, c in report.classes.items()} == {
        name: (150, 300) for name in CLASSES
    }


def test_wrong_labels_harm():
    wrong = gaussians(200, 1)
    moved = {"nv": "mel", "mel": "nv", "bkl": "bkl"}
    added = Labelled(features=wrong.features, diagnoses=[moved[d] for d in wrong.diagnoses])
    report = ask(gaussians(60, 0), added, gaussians(150, 2))
    assert report.verdict is Verdict.HARMS
    assert report.classes["mel"].recall.delta.high < 0
    assert report.malignant_auc.delta.high < 0


def test_where_nothing_can_be_gained_the_interval_holds_zero():
    """Real pictures abound already, and more of the same are added: nearly always 0 must lie inside."""
    reports = [ask(gaussians(250, seed), gaussians(40, seed + 100), gaussians(80, seed + 200)) for seed in range(12)]
    inside = [r.balanced_accuracy.delta.low <= 0 <= r.balanced_accuracy.delta.high for r in reports]
    assert sum(inside) >= 11
    assert all(abs(r.balanced_accuracy.delta.value) < 0.03 for r in reports)


def test_what_is_added_to_one_class_moves_that_class():
    options = ProbeOptions(num_real=36, num_draws=6, num_resamples=300)
    few = gaussians(300, 0)
    rare = [row for row, name in enumerate(few.diagnoses) if name != "mel" or row % 20 == 0]
    real = Labelled(
        features=few.features[rare], diagnoses=[few.diagnoses[r] for r in rare], groups=[few.groups[r] for r in rare]
    )
    report = ask(real, gaussians(300, 1, ("mel",)), gaussians(150, 2), options)
    assert report.classes["mel"].recall.delta.low > 0
    assert report.classes["nv"].num_added == 0


def test_a_set_given_twice_teaches_what_it_teaches_once():
    once, shown = gaussians(30, 0), gaussians(5, 1).features
    twice = (np.concatenate([once.features] * 2), [*once.diagnoses] * 2)
    first = head_probabilities((once.features, once.diagnoses), shown, sorted(CLASSES))
    assert np.allclose(first.sum(axis=1), 1)
    assert np.allclose(first, head_probabilities(twice, shown, sorted(CLASSES)), atol=2e-3)


def test_draws_keep_every_class_and_its_share():
    labels = ["nv"] * 80 + ["mel"] * 18 + ["bkl"] * 2
    lesions = [f"l{row // 2}" for row in range(100)]
    few = draw_rows(labels, lesions, ProbeOptions(num_real=20, num_draws=3))
    for rows in few:
        assert [sum(labels[r] == name for r in rows) for name in ("nv", "mel", "bkl")] == [16, 4, 2]
        assert len(set(rows)) == len(rows)
    assert len({tuple(rows) for rows in few}) == 3
    for rows in draw_rows(labels, lesions, ProbeOptions(num_draws=3)):
        assert {labels[r] for r in rows} == {"nv", "mel", "bkl"}
        taken = np.bincount(rows, minlength=100)
        assert (taken[0::2] == taken[1::2]).all()  # a lesion comes with all its pictures
    repeated = draw_rows(labels, lesions, ProbeOptions(num_real=20, num_draws=3))
    assert all((a == b).all() for a, b in zip(few, repeated, strict=True))


def test_diagnoses_without_real_training_pictures_are_counted_and_left_out():
    added, held_out = gaussians(20, 1), gaussians(30, 2)
    real = gaussians(40, 0, ("nv", "mel"))
    report = ask(real, added, held_out)
    assert (report.num_added, report.num_added_left_out) == (40, 20)
    assert (report.num_held_out, report.num_held_out_left_out) == (60, 30)
    assert set(report.classes) == {"nv", "mel"}
    assert "20 accepted and 30 held-out ones are left out" in report.headline


def test_without_malignant_pictures_there_is_no_auc():
    report = ask(gaussians(40, 0, ("nv", "bkl")), gaussians(20, 1, ("nv",)), gaussians(30, 2, ("nv", "bkl")))
    assert report.malignant_auc is None
    assert report.to_dict()["malignant_auc"] is None


@pytest.mark.parametrize(
    ("real", "added", "held_out", "words"),
    [
        (("nv",), CLASSES, CLASSES, "show nv alone"),
        (("nv", "mel"), ("bkl",), CLASSES, "No accepted image is of a diagnosis"),
        (("nv", "mel"), CLASSES, ("nv",), "to judge on"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(real, added, held_out, words):
    with pytest.raises(InvalidRequest, match=words):
        ask(gaussians(30, 0, real), gaussians(30, 1, added), gaussians(30, 2, held_out))


@pytest.mark.parametrize("wrong", [{"num_real": 3}, {"num_draws": 1}, {"num_resamples": 5}, {"seed": -1}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidRequest, match=next(iter(wrong))):
        ProbeOptions(**wrong)
