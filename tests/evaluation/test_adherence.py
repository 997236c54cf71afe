"""The sweep and its figures, on a world where the answer is known: an obedient, a deaf, a leaky generator."""

import numpy as np
import pytest

from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Assessment, Measurement, Prediction
from dermaflux.evaluation import adherence

BASES = (adherence.middle_spec(Diagnosis.NV), adherence.middle_spec(Diagnosis.MEL))


def sweep(judge, seeds=4):
    """Run the real sweep with 'images' that are (spec, seed) pairs, judged by `judge(spec, seed)`."""
    generate = lambda spec: [(spec, seed) for seed in range(seeds)]  # noqa: E731
    points = adherence.sweep_points(BASES)
    return list(adherence.run_sweep(points, generate, lambda image: judge(*image)))


def found(asymmetry, border, num_colours, malignant=0.5):
    return Assessment(
        measurement=Measurement(
            asymmetry=float(asymmetry), border=float(border), num_colours=num_colours, mask_area=0.2
        ),
        prediction=Prediction(malignant=float(malignant)),
    )


def test_the_sweep_visits_every_level_of_every_base_and_every_diagnosis():
    points = adherence.sweep_points(BASES)
    assert len(points) == 2 * (5 + 5 + 6) + 7
    held = [p.spec for p in points if p.attribute == "border" and p.spec.diagnosis == "nv"]
    assert {spec.asymmetry for spec in held} == {1.0}
    assert [spec.border for spec in held] == [0, 2, 4, 6, 8]


def test_an_obedient_generator_scores_one_and_leaks_nothing():
    samples = sweep(
        lambda s, _: found(s.asymmetry, s.border, len(s.colours), 0.9 if s.malignant else 0.1)
    )
    report = adherence.adherence_report(samples)
    for name in adherence.ATTRIBUTES:
        assert report.attributes[name].spearman == pytest.approx(1.0)
        assert report.attributes[name].within_one_level == 1.0
        assert report.attributes[name].monotone_share == 1.0
        others = [report.leakage[name][other] for other in adherence.ATTRIBUTES if other != name]
        assert others == [0.0, 0.0]
    assert report.malignant_auc == 1.0
    assert report.refusal_share == 0.0
    assert report.num_images == len(samples) == 4 * 39


def test_a_deaf_generator_scores_about_zero():
    rng = np.random.default_rng(0)
    samples = sweep(
        lambda *_: found(rng.uniform(0, 2), rng.uniform(0, 8), rng.integers(1, 7), rng.uniform()),
        30,
    )
    report = adherence.adherence_report(samples)
    assert all(abs(a.spearman) < 0.2 for a in report.attributes.values())
    assert report.malignant_auc == pytest.approx(0.5, abs=0.15)


def test_leakage_shows_where_one_slider_moves_another():
    report = adherence.adherence_report(
        sweep(lambda s, _: found(s.asymmetry, 4 * s.asymmetry, len(s.colours)))
    )
    assert report.leakage["asymmetry"]["border"] == pytest.approx(1.0)
    assert report.attributes["border"].spearman == 0.0
    assert report.attributes["border"].within_one_level == pytest.approx(
        3 / 5
    )  # 2, 4, 6 against a constant 4


def test_refused_images_count_as_refused_and_enter_no_other_figure():
    def judge(spec, seed):
        if seed == 0:
            return Assessment(
                measurement=Measurement(refused="blank"), prediction=Prediction(refused="blank")
            )
        return found(spec.asymmetry, spec.border, len(spec.colours), spec.malignant)

    report = adherence.adherence_report(sweep(judge))
    assert report.refusal_share == 0.25
    assert report.attributes["asymmetry"].num_measured == 2 * 5 * 3
    assert report.attributes["asymmetry"].spearman == pytest.approx(1.0)


def test_nothing_measured_gives_no_figures():
    refused = Assessment(
        measurement=Measurement(refused="blank"), prediction=Prediction(refused="blank")
    )
    report = adherence.adherence_report(sweep(lambda *_: refused))
    assert report.refusal_share == 1.0
    assert report.malignant_auc is None
    assert report.attributes["border"].spearman is None
    assert report.attributes["border"].within_one_level is None


def test_spearman_agrees_with_scipy_on_ties():
    from scipy.stats import spearmanr

    a, b = np.array([1, 2, 2, 3, 5.0]), np.array([2, 1, 4, 4, 9.0])
    assert adherence.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
