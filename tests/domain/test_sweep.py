import json

import pytest

from dermaflux.domain.caption import parse
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.sweep import (
    MAX_CELLS,
    Axis,
    AxisValues,
    Sweep,
    default_values,
    listed,
    parse_values,
)

SPEC = LesionSpec(asymmetry=1, border=4, colours=("red", "black"), diagnosis="mel")
BASE = SamplingRequest(caption="reworded by hand", spec=SPEC, seed=7, num_steps=8, guidance_scale=2.0, adapter="fast")


def axis(name, *values):
    return AxisValues(axis=name, values=values)


def test_a_grid_is_row_by_row_and_moves_two_fields_only():
    sweep = Sweep(base=BASE, rows=axis("asymmetry", 0, 2), columns=axis("seed", 3, 4, 5))
    cells = sweep.cells()
    assert [(c.spec.asymmetry, c.seed) for c in cells] == [(0, 3), (0, 4), (0, 5), (2, 3), (2, 4), (2, 5)]
    assert {(c.spec.border, c.num_steps, c.num_images, c.candidates) for c in cells} == {(4, 8, 1, 1)}
    assert all(parse(cell.caption).asymmetry == cell.spec.asymmetry for cell in cells)


def test_a_caption_stays_as_written_where_the_lesion_does_not_move():
    cells = Sweep(base=BASE, columns=axis("num_steps", 2, 4)).cells()
    assert {cell.caption for cell in cells} == {"reworded by hand"}


def test_typical_colours_are_those_of_the_diagnosis_of_the_cell():
    for rows, columns in ((("diagnosis", "vasc"), ("num_colours", 1)), (("num_colours", 1), ("diagnosis", "vasc"))):
        (cell,) = Sweep(base=BASE, rows=axis(*rows), columns=axis(*columns)).cells()
        assert cell.spec.colours == ("red",)


@pytest.mark.parametrize("name", list(Axis))
def test_every_axis_has_defaults_that_can_be_listed_read_back_and_drawn(name):
    values = default_values(name, BASE)
    assert parse_values(name, listed(values)) == values
    sweep = Sweep(base=BASE, columns=values)
    assert len({json.dumps(cell.to_dict()) for cell in sweep.cells()}) == len(values.values) >= 3
    assert Sweep.from_dict(json.loads(json.dumps(sweep.to_dict()))) == sweep


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        (("seed", 1), ("seed", 2), "Both axes are seed"),
        (("seed", *range(9)), ("border", *range(8)), f"72 images; {MAX_CELLS} at most"),
        (None, ("asymmetry", 3), "asymmetry is 3, outside 0 to 2"),
        (None, ("seed", 1.5), "no whole number"),
        (None, ("border", "wide"), "'wide' on the axis border is no number"),
        (None, ("diagnosis", "wart"), "'wart' is not known"),
        (None, ("num_steps", 0), "num_steps is 0"),
        (None, ("asymmetry", 0, 0.0), "names 0.0 twice"),
        (None, ("seed",), "has no values"),
        (None, ("guidance_scale", "nan"), "not a number"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(rows, columns, words):
    with pytest.raises(InvalidRequest, match=words):
        Sweep(base=BASE, rows=axis(*rows) if rows else None, columns=axis(*columns))


def test_free_text_has_no_slider_and_no_adapter_no_weight():
    free = SamplingRequest(caption="a mole")
    with pytest.raises(InvalidRequest, match="Free text has no border"):
        Sweep(base=free, columns=axis("border", 1))
    with pytest.raises(InvalidRequest, match="No adapter is chosen"):
        Sweep(base=free, columns=axis("adapter_weight", 1))
    assert len(Sweep(base=free, columns=axis("seed", 1, 2)).cells()) == 2


def test_diagnoses_may_be_named_in_full():
    assert parse_values(Axis.DIAGNOSIS, "Melanoma, nv; basal cell carcinoma").values == ("mel", "nv", "bcc")
