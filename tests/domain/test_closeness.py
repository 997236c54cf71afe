"""The ruler of closest-of-N, by hand and by property."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaflux.domain.closeness import distance
from dermaflux.domain.lesion import Colour, LesionSpec
from dermaflux.domain.records import Assessment, Measurement, Prediction

ASKED = LesionSpec(asymmetry=1.5, border=6, colours=("red", "black"), diagnosis="mel")
COLOURS = st.sets(st.sampled_from(list(Colour)), min_size=1)


def found(asymmetry, border, colours, malignant=None):
    measured = Measurement(asymmetry=asymmetry, border=border, colours=tuple(colours), num_colours=len(colours))
    return Assessment(measurement=measured, prediction=Prediction(malignant=malignant))


REFUSED = Assessment(
    measurement=Measurement(refused="The lesion touches the frame."), prediction=Prediction(malignant=1.0)
)


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (found(1.5, 6, ASKED.colours), 0.0),
        (found(0.5, 6, ASKED.colours), 0.5 / 3),
        (found(1.5, 2, ASKED.colours), 0.5 / 3),
        (found(1.5, 6, (Colour.RED,)), 1 / 6 / 3),
        (found(1.5, 6, (Colour.RED, Colour.WHITE)), 2 / 6 / 3),
        (found(1.5, 6, ASKED.colours, malignant=0.9), 0.1 / 4),
        (found(0.5, 6, ASKED.colours, malignant=0.0), 1.5 / 4),
        (REFUSED, math.inf),
    ],
)
def test_each_attribute_counts_as_a_share_of_its_range(judged, expected):
    assert distance(ASKED, judged) == pytest.approx(expected)


def test_a_benign_request_wants_a_low_probability():
    benign = LesionSpec(asymmetry=1.5, border=6, colours=ASKED.colours, diagnosis="nv")
    assert distance(benign, found(1.5, 6, ASKED.colours, malignant=0.2)) == pytest.approx(0.2 / 4)


@given(st.floats(0, 2), st.floats(0, 8), COLOURS, st.floats(0, 2), st.floats(0, 8), COLOURS)
def test_it_is_a_share_and_does_not_care_which_side_asked(a, b, c, a2, b2, c2):
    there = distance(LesionSpec(asymmetry=a, border=b, colours=tuple(c), diagnosis="nv"), found(a2, b2, c2))
    back = distance(LesionSpec(asymmetry=a2, border=b2, colours=tuple(c2), diagnosis="nv"), found(a, b, c))
    assert 0 <= there <= 1
    assert there == pytest.approx(back)
