"""Fitting the calibration and writing the training table, on made-up rows with a planted answer."""

import csv
from pathlib import Path

import numpy as np
import pytest

from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.lesion import Colour
from training.calibrate_measurement import CANDIDATES, fit_calibration, read_ratings, spearman
from training.measure_training_set import crop_loss, measured, overlap, table_rows, write_table
from training.pictures import PictureSource

Rows = tuple[list[dict], dict[str, dict[str, float]]]


@pytest.fixture(scope="module")
def made_up() -> Rows:
    """400 pictures whose ratings follow one known measure of each attribute."""
    rng = np.random.default_rng(0)
    names = sorted({name for parts in CANDIDATES.values() for name in parts})
    rows, ratings = [], {}
    for number in range(400):
        raw = {name: float(rng.gamma(2.0)) for name in names}
        shares = rng.dirichlet(np.ones(6) * 0.5)
        image_id = f"picture{number}"
        rows.append(
            {
                "image_id": image_id, "lesion_id": f"lesion{number // 2}", "diagnosis": "nv", "refused": None,
                "split": ("train", "train", "train", "val", "test")[number % 5], "mask_area": 0.2, "crop_loss": 0.0,
                "iou": 0.9, "raw": raw, "shares": {str(c): float(s) for c, s in zip(Colour, shares, strict=True)},
            }
        )  # fmt: skip
        ratings[image_id] = {
            "asymmetry": raw["asymmetry_colour"] + 0.1 * rng.normal(),
            "border": raw["border_concavity"] + 0.1 * rng.normal(),
            "colour": raw["colour_mottle"] + 0.1 * rng.normal(),
        }
    return rows, ratings


def test_the_measure_that_people_follow_gets_the_weight(made_up: Rows) -> None:
    found = fit_calibration(*made_up, facts={})
    heaviest = {
        name: max(getattr(found, name).parts, key=lambda part: part.weight).measure
        for name in ("asymmetry", "border", "colour")
    }
    assert heaviest == {
        "asymmetry": "asymmetry_colour",
        "border": "border_concavity",
        "colour": "colour_mottle",
    }
    assert found.facts["fit"]["asymmetry"]["val"] > 0.8


def test_the_test_split_is_never_read(made_up: Rows) -> None:
    rows, ratings = made_up
    spoilt = [
        row | {"raw": dict.fromkeys(row["raw"], 99.0)} if row["split"] == "test" else row
        for row in rows
    ]
    wrong = {
        k: v if rows[int(k[7:])]["split"] != "test" else dict.fromkeys(v, -9.0)
        for k, v in ratings.items()
    }
    assert fit_calibration(spoilt, wrong, facts={}) == fit_calibration(rows, ratings, facts={})


def test_headline_numbers_spread_evenly_over_real_lesions(made_up: Rows) -> None:
    rows, ratings = made_up
    calibration = fit_calibration(rows, ratings, facts={})
    values = [measured(row, calibration).border for row in rows if row["split"] == "train"]
    assert np.allclose(np.quantile(values, [0.25, 0.5, 0.75]), [2, 4, 6], atol=0.2)


def test_the_table_holds_frames_and_crops_and_refuses_cut_ones(
    made_up: Rows, tmp_path: Path
) -> None:
    rows, ratings = made_up
    calibration = fit_calibration(rows, ratings, facts={})
    (tmp_path / "images").mkdir()
    for number in (0, 1, 2):
        (tmp_path / "images" / f"picture{number}.jpg").write_bytes(b"")
    some = [
        rows[0],
        rows[1] | {"crop_loss": 0.3},
        rows[2] | {"refused": "No lesion was found."},
        rows[3],
    ]
    path = tmp_path / "measured.csv"
    assert write_table(path, table_rows(some, calibration, PictureSource(tmp_path))) == 7
    with path.open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert [line["archive"] for line in lines] == ["200"] * 4 + ["224"] * 3
    assert lines[4]["asymmetry"] == lines[0]["asymmetry"] != ""
    assert "loses 30%" in lines[5]["refused"]
    assert lines[5]["asymmetry"] == lines[2]["border"] == ""
    assert int(lines[0]["num_colours"]) == len(lines[0]["colours"].split("|"))


def test_crop_loss_and_overlap_count_pixels() -> None:
    mask = np.zeros((150, 200), bool)
    mask[50:100, 15:65] = True
    assert crop_loss(mask) == pytest.approx(10 / 50)
    assert crop_loss(np.zeros_like(mask)) == 0
    assert overlap(mask, np.roll(mask, 25, axis=1)) == pytest.approx(1 / 3)


def test_spearman_is_one_for_any_rising_map() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert spearman(values, np.exp(values)) == pytest.approx(1)
    assert spearman(values, -values) == pytest.approx(-1)


def test_missing_ratings_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="data-dir"):
        read_ratings(tmp_path / "abc_labels.csv")
