"""Several classes: a table by hand, and sklearn."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.multiclass import multiclass_report

CLASSES = ("nv", "mel", "bcc")


def test_six_pictures_by_hand():
    names = ["nv", "nv", "nv", "mel", "mel", "bcc"]
    probabilities = np.array([
        [0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8],
    ])  # fmt: skip
    found = multiclass_report(names, probabilities, CLASSES)
    assert found.confusion == ((2, 1, 0), (1, 1, 0), (0, 0, 1))
    assert {n: c.sensitivity for n, c in found.classes.items()} == pytest.approx({"nv": 2 / 3, "mel": 0.5, "bcc": 1})
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 0.5 + 1) / 3)
    # nv against the rest: 9 pairs, wrong is only .3 < .5; mel: 8 pairs, wrong is .4 < .6
    assert {n: c.auc for n, c in found.classes.items()} == pytest.approx({"nv": 8 / 9, "mel": 7 / 8, "bcc": 1})
    assert found.macro_auc == pytest.approx((8 / 9 + 7 / 8 + 1) / 3)


def test_where_every_class_occurs_the_figures_are_those_of_sklearn():
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet((1, 1, 1), 200)
    names = [CLASSES[rng.choice(3, p=p)] for p in probabilities]
    found = multiclass_report(names, probabilities, CLASSES)
    guesses = np.array(CLASSES)[probabilities.argmax(axis=1)]
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(names, guesses))
    order = [sorted(CLASSES).index(name) for name in CLASSES]
    sorted_columns = probabilities[:, np.argsort(order)]
    assert found.macro_auc == pytest.approx(roc_auc_score(names, sorted_columns, multi_class="ovr", average="macro"))


def test_a_class_that_does_not_occur_weighs_nothing():
    found = multiclass_report(["nv", "mel"], np.array([[0.2, 0.1, 0.7], [0.1, 0.8, 0.1]]), CLASSES)
    assert set(found.classes) == {"nv", "mel"}
    assert found.balanced_accuracy == 0.5
    assert found.confusion == ((0, 0, 1), (0, 1, 0), (0, 0, 0))


@pytest.mark.parametrize("names", [["nv", "df"], ["nv", "nv"], ["nv"]])
def test_what_cannot_be_counted_is_refused(names):
    with pytest.raises(InvalidRequest):
        multiclass_report(names, np.full((2, 3), 1 / 3), CLASSES)
