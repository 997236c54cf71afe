"""Counts by diagnosis and level, and what the synthetic set lacks."""

import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis
from dermaflux.evaluation.coverage import NOT_MEASURED, LesionFacts, coverage_report


def facts(diagnosis, asymmetry, border, num_colours):
    return LesionFacts(
        diagnosis=Diagnosis(diagnosis), asymmetry=asymmetry, border=border, num_colours=num_colours
    )


def test_images_are_counted_by_the_level_nearest_to_their_number():
    report = coverage_report(
        [facts("mel", 1.4, 6.9, 3), facts("mel", 1.6, 7.1, 3)], [facts("mel", 0.1, 0.4, 1)]
    )
    cells = {(c.diagnosis, c.attribute, c.level): (c.synthetic, c.real) for c in report.cells}
    assert cells["mel", "asymmetry", "1.5"] == (2, 0)
    assert cells["mel", "border", "6"] == (1, 0)
    assert cells["mel", "border", "8"] == (1, 0)
    assert cells["mel", "num_colours", "3"] == (2, 0)
    assert cells["mel", "asymmetry", "0"] == (0, 1)
    assert report.covered_share == 0.0


def test_missing_cells_come_fullest_first_and_the_unmeasured_are_counted_apart():
    real = [facts("df", 1, 4, 2)] * 3 + [facts("nv", 0, 0, 1)] * 5 + [facts("nv", None, None, None)]
    report = coverage_report([facts("df", 1, 4, 2)], real)
    assert [c.real for c in report.missing] == [5, 5, 5]
    assert report.covered_share == 0.5
    assert [c.real for c in report.cells if c.level == NOT_MEASURED] == [1, 1, 1]


def test_without_a_real_set_nothing_is_missing_and_no_share_is_made_up():
    report = coverage_report([facts("nv", 0, 0, 1)])
    assert report.missing == ()
    assert report.covered_share is None


def test_an_empty_set_is_refused():
    with pytest.raises(InvalidRequest, match="no image"):
        coverage_report([])
