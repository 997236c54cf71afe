"""Figures hold the numbers they were given, in the picture and in the table, and leave the app whole."""

import csv
import io

import numpy as np
import pytest

from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.records import DISCLAIMER
from dermaflux.evaluation.adherence import adherence_report
from dermaflux.evaluation.coverage import LesionFacts, coverage_report
from dermaflux.evaluation.memorisation import calibrate, memorisation_report
from dermaflux.evaluation.subgroups import LabelledScores, subgroups
from dermaflux.figures import csv_text, page_html, words
from dermaflux.figures.curves import draw_distances, draw_losses, draw_reliability, draw_roc
from dermaflux.figures.drawing import Drawing
from dermaflux.figures.study import draw_study
from dermaflux.figures.tables import draw_coverage, draw_fairness, draw_leakage, draw_memorisation


def test_a_page_needs_nothing_from_elsewhere_and_says_what_it_is():
    page = page_html(draw_losses({"<b>run": [{"step": 1, "loss": 0.5}]}))
    assert "Plotly.newPlot" in page and DISCLAIMER in page
    assert len(page) > 1_000_000 and 'src="http' not in page.replace("'", '"')


def test_csv_holds_the_numbers_and_no_formula():
    drawing = Drawing(name="x", title="X", figure=None, header=("name", "value"), rows=[("=1+1", 0.25), ("ok", None)])
    rows = list(csv.reader(io.StringIO(csv_text(drawing))))
    assert [row[:2] for row in rows] == [["name", "value"], ["'=1+1", "0.25"], ["ok", ""]]
    assert [row[2:] for row in rows] == [["statement"], [DISCLAIMER], [DISCLAIMER]]


def study_line(arm, auc):
    figures = {"auc": auc, "balanced_accuracy": auc}
    return {"model": "vit", "num_real": 250, "arm": arm, "seed": 0, "val": figures, "test": figures}


def test_every_figure_carries_the_statement_into_whatever_picture_is_taken_of_it():
    study = draw_study([study_line("augmented", 0.8), study_line("flow:1", 0.75)])
    for drawing in (draw_losses({"a": [{"step": 1, "loss": 0.5}]}), study):
        assert drawing.figure.layout.title.text == DISCLAIMER


def test_losses_of_several_runs_keep_their_figures_apart():
    lines = [{"step": s, "loss": 1 / s, "val_auc": 0.5 + s / 100} for s in range(1, 121)]
    drawing = draw_losses({"a": lines, "b": lines[:2]})
    assert {trace.name for trace in drawing.figure.data} == {
        "a: training loss", "a: validation AUC", "b: training loss", "b: validation AUC"
    }  # fmt: skip
    (long,) = (trace for trace in drawing.figure.data if trace.name == "a: training loss")
    assert min(long.y) > min(line["loss"] for line in lines)  # drawn as a running mean
    assert ("a", "training loss", 120, 1 / 120) in drawing.rows  # but kept as it was


def test_distances_of_probes_stand_beside_their_threshold():
    round_of = {"memorisation_min": 0.1, "memorisation_median": 0.2, "memorisation_held_out": 0.15}
    calibrated = round_of | {"memorisation_threshold": 0.05, "memorisation_share": 0.0}
    assert draw_distances([{"step": 1, "loss": 0.5}]) is None
    drawing = draw_distances([{"step": 1, "loss": 0.5}, {"step": 2, **calibrated}])
    assert drawing is not None and drawing.rows == [[2, 0.1, 0.2, 0.15, 0.05, 0.0]]
    assert [trace.name for trace in drawing.figure.data][-1] == "threshold of a copy"
    without = draw_distances([{"step": 2, **round_of, "memorisation_threshold": None, "memorisation_share": None}])
    assert without is not None and len(without.figure.data) == 3


def test_a_report_without_curves_is_told_apart():
    with pytest.raises(DataNotFound, match="before curves were kept"):
        draw_roc({"old": {"auc": "0.9"}})
    curve = {"false_rate": [0, 1], "sensitivity": [0, 1], "low": [0, 0.9], "high": [0.1, 1], "auc": "0.9"}
    assert draw_roc({"new": curve}).rows == [("new", 0.0, 0.0, 0.0, 0.1), ("new", 1.0, 1.0, 0.9, 1.0)]


def test_empty_bins_are_not_drawn_as_zero():
    bins = [
        {"low": 0.0, "high": 0.5, "num_pictures": 4, "mean_score": 0.2, "frequency": 0.25},
        {"low": 0.5, "high": 1.0, "num_pictures": 0, "mean_score": None, "frequency": None},
    ]
    drawing = draw_reliability(bins, 0.05)
    (line,) = (trace for trace in drawing.figure.data if trace.name == "classifier")
    assert list(line.x) == [0.2] and "0.050" in drawing.says


def test_a_group_of_29_has_a_count_and_no_point():
    labels = np.array([0, 1] * 44 + [0])
    judged = LabelledScores(
        labels=labels, scores=np.where(labels, 0.8, 0.3), clusters=[str(i) for i in range(89)], threshold=0.5
    )
    found = subgroups(judged, ["under 30"] * 29 + ["over 30"] * 60)
    from dataclasses import asdict

    drawing = draw_fairness({"subgroups": {"age": asdict(found)}}, "age")
    points = dict(zip(drawing.figure.data[0].x, drawing.figure.data[0].y, strict=True))
    assert points == {"over 30 (n = 60)": 1.0, "under 30 (n = 29)": None}
    with pytest.raises(DataNotFound, match="no groups by mood"):
        draw_fairness({"subgroups": {"age": asdict(found)}}, "mood")


def test_coverage_counts_stand_in_their_cells():
    facts = [LesionFacts(diagnosis="mel", asymmetry=1.0, border=2.0, num_colours=3)] * 2
    drawing = draw_coverage(coverage_report(facts, [LesionFacts(diagnosis="nv")]).to_dict())
    (cells,) = drawing.figure.data
    text = {(y, x): cells.text[i][j] for i, y in enumerate(cells.y) for j, x in enumerate(cells.x)}
    assert text["mel", "asymmetry 1"] == "2 / 0" and text["nv", "colours not measured"] == "0 / 1"


def test_leakage_without_a_figure_is_a_dash():
    drawing = draw_leakage(adherence_report([]).to_dict())
    assert set(np.asarray(drawing.figure.data[0].text).ravel()) == {"-"}


def test_a_study_names_its_baseline_and_what_it_gains():
    arms = {"plain": 0.7, "augmented": 0.8, "flow:1": 0.75, "flow:2": 0.85}
    lines = [study_line(arm, auc) for arm, auc in arms.items()]
    drawing = draw_study(lines)
    assert "flow:2, the best ratio on val, has a test AUC +0.050 from augmented" in drawing.says
    assert [row[2] for row in drawing.rows] == ["plain", "augmented (baseline)", "flow:1", "flow:2 (chosen)"]
    assert list(drawing.figure.data[0].x) == [0.0, 1.0, 2.0]
    gain = {"model": "vit", "num_real": 250, "arm": "flow:2", "against": "augmented", "num_seeds": 1,
            "auc": [0.05, -0.01, 0.1], "balanced_accuracy": [0.05, 0.02, 0.08]}  # fmt: skip
    paired = draw_study(lines, [gain])
    assert "a test AUC +0.050 (-0.010, +0.100) from augmented, the best baseline, paired over 1 seed" in paired.says
    gained = ("+0.050 (-0.010, +0.100)", "+0.050 (+0.020, +0.080)")
    assert [row[-2:] for row in paired.rows] == [("", "")] * 3 + [gained]
    assert all(len(row) == len(paired.header) for row in paired.rows)


def memorisation(**more):
    features = np.random.default_rng(0).normal(size=(60, 8))
    calibration = calibrate(features, [str(i) for i in range(60)], 0.05)
    report = memorisation_report(np.concatenate([features[:2], -features[:3]]), features, calibration)
    nearest = [{"path": "a/b.png", "nearest": "r.png", "distance": 0.0, "is_copy": True}]
    return report.to_dict() | {"nearest": nearest} | more


def test_a_figure_of_copies_says_among_which_pictures_they_were_looked_for():
    compared = {"split": "test", "num_pictures": 60, "num_without_split": 7, "calibrated_on": "val"}
    drawing = draw_memorisation(memorisation(compared=compared, sheet="evaluations/x/pairs.png"))
    assert drawing.title == "How near each image comes to a test picture"
    assert drawing.figure.layout.xaxis.title.text.startswith("distance to the nearest test picture")
    assert "of 5 images" in drawing.says and "of 60 validation pictures 5.0% lie so near" in drawing.says
    assert "is a leak" in drawing.says and "7 of 60 pictures have no split" in drawing.says
    assert "evaluations/x/pairs.png" in drawing.says
    trained = draw_memorisation(memorisation(compared=compared | {"split": "train"}))
    assert "copies what the generator was trained on" in trained.says and "leak" not in trained.says
    old = draw_memorisation(memorisation())  # made before it was noted
    assert old.title == "How near each image comes to a real picture" and "leak" not in old.says


def test_words_stand_on_their_own_where_figures_are_missing():
    assert words.of_net_benefit([]).startswith("At no threshold")
    assert words.of_reliability([], None).startswith("On the dotted line")
    assert words.of_leakage(adherence_report([]).to_dict()).startswith("Near 1 on the diagonal")
    assert "Ratio" in words.of_diversity({"ratio": 1.0, "classes": {}})
    assert words.of_map([]) == "0 pictures, laid out so that near ones look alike to the classifier."
