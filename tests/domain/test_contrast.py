"""The opposites of a lesion, by hand and by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaflux.domain.contrast import contrasts
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Colour, Diagnosis, LesionSpec
from dermaflux.domain.records import SamplingRequest

SPECS = st.builds(
    LesionSpec,
    asymmetry=st.floats(0, 2),
    border=st.floats(0, 8),
    colours=st.sets(st.sampled_from(list(Colour)), min_size=1).map(tuple),
    diagnosis=st.sampled_from(list(Diagnosis)),
)


def test_the_shape_is_mirrored_and_the_diagnosis_changes_sides():
    spec = LesionSpec(asymmetry=0.5, border=8, colours=("red",), diagnosis="mel", age=50)
    shape, side = contrasts(spec, 4)
    assert (shape.away_from.asymmetry, shape.away_from.border, shape.away_from.diagnosis) == (1.5, 0, "mel")
    assert (side.away_from.asymmetry, side.away_from.border, side.away_from.diagnosis) == (0.5, 8, "benign")
    assert shape.away_from.colours == side.away_from.colours == spec.colours and shape.away_from.age == 50
    assert (shape.scale, side.scale) == pytest.approx((4 / 1.5, 1.2))  # half off in asymmetry, all in border


@given(SPECS, st.floats(0.1, 10))
def test_the_opposite_of_the_opposite_is_the_lesion_again(spec, scale):
    shape, side = contrasts(spec, scale)
    back = contrasts(shape.away_from, scale)[0].away_from
    assert (back.asymmetry, back.border) == pytest.approx((spec.asymmetry, spec.border))
    assert side.away_from.malignant != spec.malignant
    assert shape.away_from.malignant == spec.malignant


@pytest.mark.parametrize(("asymmetry", "border", "scale"), [(2, 4, 4), (1, 0, 4), (2, 8, 2), (0, 8, 2), (1.5, 4, 4)])
def test_a_shape_extreme_in_both_is_pushed_as_far_as_one_extreme_in_one(asymmetry, border, scale):
    spec = LesionSpec(asymmetry=asymmetry, border=border, colours=("red",), diagnosis="nv")
    assert contrasts(spec, 4)[0].scale == pytest.approx(scale)


def test_without_contrast_there_is_nothing_to_push_away_from():
    assert contrasts(LesionSpec(asymmetry=0, border=0, colours=("red",), diagnosis="nv"), 0) == ()


@pytest.mark.parametrize("scale", [-0.1, 10.5, float("nan")])
def test_a_contrast_outside_its_range_is_refused(scale):
    with pytest.raises(InvalidRequest, match="contrast_scale"):
        SamplingRequest(caption="a mole", contrast_scale=scale)
