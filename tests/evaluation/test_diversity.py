"""Diversity on drawn features: by hand, and what cannot be compared."""

import numpy as np
import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.diversity import Labelled, diversity_report


def cloud(count, spread, seed):
    return np.random.default_rng(seed).normal(0, spread, (count, 8))


def test_half_the_spread_is_half_the_diversity():
    real = Labelled(features=cloud(300, 2.0, 0), diagnoses=["mel"] * 300)
    synthetic = Labelled(features=cloud(300, 1.0, 1), diagnoses=["mel"] * 300, groups=["one caption"] * 300)
    report = diversity_report(synthetic, real)
    assert report.ratio == pytest.approx(0.5, abs=0.03)
    assert (report.classes["mel"].num_images, report.classes["mel"].num_real) == (300, 300)


def test_what_differs_between_requests_is_no_diversity_within_one():
    real = Labelled(features=cloud(50, 1.0, 0), diagnoses=["nv"] * 50)
    features = np.concatenate([np.zeros((3, 8)), np.full((3, 8), 100.0)])
    synthetic = Labelled(features=features, diagnoses=["nv"] * 6, groups=["plain"] * 3 + ["wild"] * 3)
    report = diversity_report(synthetic, real)
    assert report.ratio == 0
    assert report.classes["nv"].num_requests == 2


def test_every_diagnosis_counts_once_and_single_images_not_at_all():
    real = Labelled(features=np.concatenate([cloud(40, 1.0, 0)] * 2), diagnoses=["nv"] * 40 + ["mel"] * 40)
    features = np.concatenate([cloud(40, 1.0, 0), np.zeros((2, 8)), np.ones((1, 8))])
    synthetic = Labelled(
        features=features, diagnoses=["nv"] * 40 + ["mel"] * 3, groups=["a"] * 40 + ["b", "b", "alone"]
    )
    report = diversity_report(synthetic, real)
    assert report.classes["nv"].ratio == pytest.approx(1)
    assert report.classes["mel"].num_images == 2
    assert report.ratio == pytest.approx(0.5)


def test_nothing_to_compare_is_said():
    real = Labelled(features=cloud(9, 1.0, 0), diagnoses=["nv"] * 9)
    synthetic = Labelled(features=cloud(4, 1.0, 1), diagnoses=["nv"] * 4, groups=["a"] * 4)
    with pytest.raises(InvalidRequest, match="10 real pictures"):
        diversity_report(synthetic, real)
