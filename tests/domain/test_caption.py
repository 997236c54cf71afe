"""The caption grammar: it inverts itself, and what matters stands where CLIP can read it."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaflux.domain.caption import (
    ASYMMETRY_WORDS,
    BORDER_WORDS,
    asymmetry_level,
    at_caption_resolution,
    border_level,
    compose,
    parse,
)
from dermaflux.domain.errors import InvalidCaption
from dermaflux.domain.lesion import Colour, Diagnosis, LesionSpec, Sex, Site, SkinTone

SPECS = st.builds(
    LesionSpec,
    asymmetry=st.floats(0, 2),
    border=st.floats(0, 8),
    colours=st.sets(st.sampled_from(Colour), min_size=1).map(tuple),
    diagnosis=st.sampled_from(Diagnosis),
    age=st.none() | st.floats(0, 120),
    sex=st.none() | st.sampled_from(Sex),
    site=st.none() | st.sampled_from(Site),
    skin_tone=st.none() | st.sampled_from(SkinTone),
)


@settings(max_examples=1000, deadline=None)
@given(spec=SPECS, seed=st.none() | st.integers(0, 10**6))
def test_parse_inverts_compose_at_the_resolution_of_the_wordings(spec, seed):
    rng = None if seed is None else random.Random(seed)
    assert parse(compose(spec, rng)) == at_caption_resolution(spec)


@settings(max_examples=400, deadline=None)
@given(spec=SPECS, seed=st.integers(0, 10**6))
def test_the_attributes_stand_within_the_first_fifty_words(spec, seed):
    # Site and skin tone follow the attributes, so without them the caption ends with the last colour.
    caption = compose(replace(spec, site=None, skin_tone=None), random.Random(seed))
    assert len(caption.split()) <= 50


@settings(max_examples=300, deadline=None)
@given(spec=SPECS)
def test_without_an_rng_the_caption_is_always_the_same(spec):
    assert compose(spec) == compose(spec)


def test_levels_are_the_nearest_and_ties_go_up():
    assert [asymmetry_level(a) for a in (0, 0.24, 0.25, 1.3, 2)] == [0, 0, 0.5, 1.5, 2]
    assert [border_level(b) for b in (0, 0.9, 1, 4.9, 7, 8)] == [0, 0, 2, 4, 8, 8]


def test_every_wording_belongs_to_one_level_only():
    for levels in (ASYMMETRY_WORDS, BORDER_WORDS):
        words = [word for wordings in levels.values() for word in wordings]
        assert len(words) == len(set(words))
        assert all(len(wordings) >= 3 for wordings in levels.values())


def test_the_paper_template_is_kept():
    spec = LesionSpec(
        asymmetry=2, border=8, colours=("light brown", "black"), diagnosis="mel", age=80, sex="female", site="back"
    )
    assert compose(spec) == (
        "This photo depicts a malignant lesion, melanoma. "
        "This photo is taken from a female patient, who is 80 years old. "
        "Here's a description of the mole: pronounced asymmetry, highly irregular jagged border, "
        "two colours: light brown, black. It is on the back."
    )


@pytest.mark.parametrize(
    ("caption", "why"),
    [
        ("a brown spot", "does not follow the grammar"),
        (
            "This photo depicts a benign lesion, melanoma. Here's a description of the mole: "
            "subtle asymmetry, smooth even border, one colour: red.",
            "calls melanoma benign",
        ),
        (
            "This photo depicts a benign lesion. Here's a description of the mole: "
            "some asymmetry, smooth even border, one colour: red.",
            "asymmetry 'some asymmetry'",
        ),
        (
            "This photo depicts a benign lesion. Here's a description of the mole: "
            "subtle asymmetry, smooth even border, three colours: red, black.",
            "says three colours but names 2",
        ),
        (
            "This photo depicts a benign lesion. Here's a description of the mole: "
            "subtle asymmetry, smooth even border, one colour: green.",
            "does not name colours",
        ),
    ],
)
def test_what_cannot_be_read_is_named(caption, why):
    with pytest.raises(InvalidCaption, match=why):
        parse(caption)
