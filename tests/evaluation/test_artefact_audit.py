"""Rates are counted by diagnosis, and a diagnosis that shows in the marks is seen to be readable."""

import numpy as np
import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.artefact_audit import MarkedPictures, audit, readability

MARKS = ("vignette", "hair")


def pictures(scores, diagnoses, threshold=0.5):
    scores = np.asarray(scores, dtype=float)
    return MarkedPictures(scores=scores, present=scores >= threshold, diagnoses=diagnoses)


def test_rates_by_diagnosis_and_over_all():
    real = pictures([[1, 0], [0, 0], [1, 1]], ["mel", "mel", "nv"])
    found = audit(real, pictures([[0, 0]], ["nv"]), MARKS)
    assert found.real["mel"].rates == {"vignette": 0.5, "hair": 0.0}
    assert found.real["nv"].rates == {"vignette": 1.0, "hair": 1.0}
    assert found.real["all"].rates["vignette"] == pytest.approx(2 / 3)
    assert (found.real["all"].num_images, found.synthetic["all"].num_images) == (3, 1)
    assert found.real_readability is None


def test_chance_marks_say_nothing_and_marks_of_one_class_say_which_it_is():
    rng = np.random.default_rng(0)
    labels = ["mel", "nv", "bkl"] * 200
    noise = rng.normal(size=(600, 2))
    assert readability(pictures(noise, labels)) == pytest.approx(0.5, abs=0.06)
    telling = noise + 4 * np.array([[label == "mel", label == "nv"] for label in labels])
    assert readability(pictures(telling, labels)) > 0.95


def test_a_diagnosis_too_rare_to_judge_is_left_out():
    rng = np.random.default_rng(1)
    labels = ["mel"] * 50 + ["nv"] * 50 + ["df"] * 3
    assert readability(pictures(rng.normal(size=(103, 2)), labels)) == pytest.approx(0.5, abs=0.15)


def test_an_empty_set_is_refused():
    nothing = MarkedPictures(scores=np.zeros((0, 2)), present=np.zeros((0, 2), dtype=bool), diagnoses=[])
    with pytest.raises(InvalidRequest, match="one of the two sets is empty"):
        audit(nothing, pictures([[0, 0]], ["nv"]), MARKS)
