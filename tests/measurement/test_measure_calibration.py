"""Calibration tables: monotone, round-tripping, versioned; and the shipped file keeps its promises."""

import json
from pathlib import Path

import numpy as np
import pytest

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.lesion import Colour
from dermaflux.measurement.calibration import Calibration, Part, Scale, ShareRule

SHIPPED = Path(__file__).parents[2] / "assets" / "measurement" / "calibration.json"


def scale(low: float = 0.0, high: float = 8.0) -> Scale:
    parts = (
        Part(measure="rough", weight=0.75, sign=1, quantiles=(1.0, 2.0, 4.0, 8.0, 16.0)),
        Part(measure="smooth", weight=0.25, sign=-1, quantiles=(0.0, 0.25, 0.5, 0.75, 1.0)),
    )
    return Scale(parts=parts, mix_quantiles=(0.0, 0.2, 0.5, 0.8, 1.0), low=low, high=high)


def test_a_part_is_the_share_of_real_lesions_below() -> None:
    rough, smooth = scale().parts
    assert [rough.percentile({"rough": v}) for v in (0, 1, 3, 4, 12, 16, 99)] == [
        0,
        0,
        0.375,
        0.5,
        0.875,
        1,
        1,
    ]
    assert smooth.percentile({"smooth": 0.25}) == 0.75


def test_ties_take_the_middle_of_their_stretch() -> None:
    part = Part(measure="x", weight=1.0, sign=1, quantiles=(0.0, 0.0, 0.0, 1.0, 2.0))
    assert part.percentile({"x": 0.0}) == 0.25
    assert part.percentile({"x": -1.0}) == 0.0


def test_a_scale_rises_with_each_part_and_stays_in_its_range() -> None:
    values = [scale().value({"rough": r, "smooth": 0.5}) for r in np.linspace(0, 20, 50)]
    assert all(np.diff(values) >= 0)
    assert 0 <= min(values) < 1.5
    assert max(values) <= 8
    assert scale().value({"rough": 0, "smooth": 9}) == 0
    assert scale().value({"rough": 99, "smooth": -1}) == 8


def test_variegation_says_how_small_a_share_still_counts() -> None:
    rule = ShareRule(certain=0.3, possible=0.01, levels=4)
    shares = dict.fromkeys(Colour, 0.0) | {
        Colour.LIGHT_BROWN: 0.8,
        Colour.RED: 0.15,
        Colour.BLACK: 0.045,
        Colour.WHITE: 0.005,
    }
    assert rule.present(shares, 0.0) == (Colour.LIGHT_BROWN,)
    assert rule.present(shares, 0.3) == (Colour.RED, Colour.LIGHT_BROWN)
    # white is under the smallest share that can be a colour, however mottled the lesion
    assert rule.present(shares, 1.0) == (Colour.RED, Colour.LIGHT_BROWN, Colour.BLACK)


def test_large_shares_count_in_an_even_lesion_too() -> None:
    rule = ShareRule(certain=0.3, possible=0.01, levels=4)
    shares = dict.fromkeys(Colour, 0.0) | {
        Colour.LIGHT_BROWN: 0.4,
        Colour.RED: 0.35,
        Colour.BLACK: 0.25,
    }
    assert rule.present(shares, 0.0) == (Colour.RED, Colour.LIGHT_BROWN)


def test_there_is_always_at_least_one_colour() -> None:
    even = dict.fromkeys(Colour, 1 / 6)
    assert len(ShareRule(certain=0.3, possible=0.2, levels=4).present(even, 0.9)) == 1
    assert len(ShareRule(certain=0.3, possible=0.01, levels=5.1).present(even, 1.0)) == 6


def test_a_file_round_trips(tmp_path: Path) -> None:
    rule = ShareRule(certain=0.3, possible=0.01, levels=5)
    made = Calibration(
        asymmetry=scale(0, 2),
        border=scale(),
        colour=scale(1, 6),
        share_rule=rule,
        facts={"mask_method": "drawn"},
    )
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(made.to_dict()))
    assert Calibration.load(path) == made


@pytest.mark.parametrize("text", ["{", "{}", '{"version": "0"}', "[]"])
def test_a_bad_file_is_refused_in_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(ModelNotAvailable, match="calibrate_measurement"):
        Calibration.load(path)
    with pytest.raises(ModelNotAvailable, match="missing"):
        Calibration.load(tmp_path / "none.json")


def test_the_shipped_calibration_is_monotone_and_says_what_it_was_made_from() -> None:
    shipped = Calibration.load(SHIPPED)
    for name in ("asymmetry", "border", "colour"):
        table = getattr(shipped, name)
        assert sum(part.weight for part in table.parts) == pytest.approx(1, abs=0.1)
        assert all(part.weight > 0 for part in table.parts)
        for quantiles in (table.mix_quantiles, *(part.quantiles for part in table.parts)):
            assert all(np.diff(quantiles) >= 0)
    assert (shipped.asymmetry.low, shipped.asymmetry.high) == (0, 2)
    assert (shipped.border.low, shipped.border.high) == (0, 8)
    assert (shipped.colour.low, shipped.colour.high) == (1, 6)
    assert {"mask_method", "data_sha256", "analysis_area_px", "licence"} <= set(shipped.facts)
