"""The vocabulary: validated, immutable, round-trips, knows its score."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Colour, Diagnosis, LesionSpec, typical_colours

MELANOMA = {"asymmetry": 2, "border": 8, "colours": ["black", "light brown"], "diagnosis": "mel"}


def test_tds_is_the_stolz_sum_without_d():
    spec = LesionSpec.from_dict(MELANOMA)
    assert spec.tds == pytest.approx(1.3 * 2 + 0.1 * 8 + 0.5 * 2)
    assert spec.malignant


def test_colours_keep_the_order_of_the_vocabulary_without_repeats():
    spec = LesionSpec(asymmetry=0, border=0, colours=("black", "white", "black"), diagnosis="nv")
    assert spec.colours == (Colour.WHITE, Colour.BLACK)


@given(
    st.builds(
        LesionSpec,
        asymmetry=st.floats(0, 2),
        border=st.floats(0, 8),
        colours=st.sets(st.sampled_from(Colour), min_size=1).map(tuple),
        diagnosis=st.sampled_from(Diagnosis),
        age=st.none() | st.floats(0, 120),
    )
)
def test_a_spec_survives_json(spec):
    assert LesionSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"asymmetry": 3}, "asymmetry is 3, outside 0 to 2"),
        ({"asymmetry": float("nan")}, "asymmetry is nan"),
        ({"border": "much"}, "border is 'much', not a number"),
        ({"diagnosis": "wart"}, "diagnosis 'wart' is not known"),
        ({"colours": []}, "colours is empty"),
        ({"colours": ["green"]}, "colours 'green' is not known"),
        ({"age": 300}, "age is 300"),
        ({"skin_tone": "VII"}, "skin_tone 'VII'"),
        ({"mood": "sad"}, "Unknown field 'mood'"),
    ],
)
def test_what_does_not_belong_is_named(change, why):
    with pytest.raises(InvalidRequest, match=why):
        LesionSpec.from_dict(MELANOMA | change)


def test_a_missing_field_is_named():
    with pytest.raises(InvalidRequest, match="'diagnosis'"):
        LesionSpec.from_dict({key: value for key, value in MELANOMA.items() if key != "diagnosis"})


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_typical_colours_grow_one_by_one(diagnosis):
    sets = [set(typical_colours(count, diagnosis)) for count in range(1, 7)]
    assert [len(colours) for colours in sets] == [1, 2, 3, 4, 5, 6]
    assert all(small < large for small, large in pairwise(sets))


@pytest.mark.parametrize("count", [0, 7])
def test_a_number_of_colours_outside_one_to_six_is_refused(count):
    with pytest.raises(InvalidRequest, match="1 to 6"):
        typical_colours(count, Diagnosis.NV)
