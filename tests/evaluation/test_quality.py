"""Fréchet, KID and neighbourhood figures against distributions whose answer is known."""

import numpy as np
import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation import quality


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_frechet_of_gaussians_follows_the_closed_form_in_one_dimension():
    # (m1 - m2)^2 + (s1 - s2)^2
    first = (np.array([1.0]), np.array([[4.0]]))
    second = (np.array([3.0]), np.array([[9.0]]))
    assert quality.frechet_of_gaussians(first, second) == pytest.approx(4.0 + 1.0)


def test_frechet_of_gaussians_agrees_with_the_matrix_root_for_covariances_that_do_not_commute(rng):
    from scipy.linalg import sqrtm

    cov_1, cov_2 = (a @ a.T + np.eye(5) for a in rng.normal(size=(2, 5, 5)))
    mean_1, mean_2 = rng.normal(size=(2, 5))
    expected = np.sum((mean_1 - mean_2) ** 2) + np.trace(
        cov_1 + cov_2 - 2 * sqrtm(cov_1 @ cov_2).real
    )
    assert quality.frechet_of_gaussians((mean_1, cov_1), (mean_2, cov_2)) == pytest.approx(expected)


def test_frechet_distance_is_zero_for_the_same_set_and_the_squared_shift_for_a_moved_one(rng):
    features = rng.normal(size=(40, 64))  # fewer images than dimensions: a singular covariance
    assert quality.frechet_distance(features, features) == pytest.approx(0.0, abs=1e-6)
    assert quality.frechet_distance(features, features + 0.5) == pytest.approx(64 * 0.25, rel=1e-6)


def test_squared_mmd_matches_the_double_sum_of_its_definition(rng):
    x, y = rng.normal(size=(6, 3)), rng.normal(loc=1.0, size=(5, 3))
    kernel = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731 - the formula, once
    xx = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    yy = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    xy = np.mean([kernel(a, b) for a in x for b in y])
    assert quality.squared_mmd(x, y) == pytest.approx(xx + yy - 2 * xy)


def test_kid_is_about_zero_for_one_distribution_and_grows_with_the_shift(rng):
    first, same = rng.normal(size=(2, 400, 16))
    near, _ = quality.kernel_distance(first, same, rng)
    far, spread = quality.kernel_distance(first, same + 1.0, rng)
    assert abs(near) < 0.02
    assert far > 1.0
    assert 0 < spread < far


def test_neighbourhood_figures_of_identical_and_of_disjoint_sets(rng):
    features = rng.normal(size=(60, 4))
    same = quality.neighbourhood_figures(features, features)
    assert (same["precision"], same["recall"], same["coverage"]) == (1.0, 1.0, 1.0)
    assert same["density"] >= 1.0
    far = quality.neighbourhood_figures(features, features + 100)
    assert set(far.values()) == {0.0}


def test_a_collapsed_generator_is_precise_but_covers_little(rng):
    real = rng.normal(size=(300, 6))
    collapsed = real[0] + 0.01 * rng.normal(size=(300, 6))
    figures = quality.neighbourhood_figures(real, collapsed)
    assert figures["precision"] == 1.0
    assert figures["recall"] < 0.05
    assert figures["coverage"] < 0.2


def test_a_report_on_one_distribution_stands_at_its_floor(rng):
    report = quality.quality_report(rng.normal(size=(300, 8)), rng.normal(size=(150, 8)), rng)
    assert report.num_synthetic == 150
    assert report.num_reference == 150
    assert report.synthetic.fid == pytest.approx(report.real_floor.fid, rel=0.6)
    assert report.synthetic.diversity == pytest.approx(1.0, abs=0.1)
    moved = quality.quality_report(
        rng.normal(size=(300, 8)), rng.normal(loc=1.5, size=(150, 8)), rng
    )
    assert moved.synthetic.fid > 10 * moved.real_floor.fid


def test_too_few_images_are_refused_with_both_numbers(rng):
    with pytest.raises(InvalidRequest, match="3 synthetic and 40 real"):
        quality.quality_report(rng.normal(size=(40, 4)), rng.normal(size=(3, 4)), rng)
