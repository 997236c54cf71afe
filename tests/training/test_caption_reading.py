"""Prose is read as a person would, and where it says nothing clear nothing is read."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaflux.domain.caption import (
    ASYMMETRY_WORDS,
    BORDER_WORDS,
    at_caption_resolution,
    compose,
    compose_around,
    parse,
)
from dermaflux.domain.errors import InvalidCaption
from dermaflux.domain.lesion import Colour, Diagnosis, LesionSpec
from training.caption_reading import Reading, Stated, read_description

BROWN = frozenset({Colour.LIGHT_BROWN, Colour.DARK_BROWN})
SPECS = st.builds(
    LesionSpec,
    asymmetry=st.sampled_from(list(ASYMMETRY_WORDS)),
    border=st.sampled_from(list(BORDER_WORDS)),
    colours=st.sets(st.sampled_from(Colour), min_size=1).map(tuple),
    diagnosis=st.sampled_from(Diagnosis),
)


def said(text, scale):
    found = getattr(read_description(text), scale)
    return found and (found.low, found.high)


def named(text):
    return {frozenset(map(str, mention)) for mention in read_description(text).colours}


@settings(max_examples=300)
@given(spec=SPECS, seed=st.integers(0, 10**6))
def test_the_grammars_own_wordings_are_read_exactly(spec, seed):
    description = compose(spec, random.Random(seed)).split("mole: ")[1]
    assert read_description(description).spec(spec) == at_caption_resolution(spec)


def test_the_strict_grammar_refuses_the_prose_that_is_read_here():
    prose = "The mole is slightly asymmetrical with a slightly uneven border. It is light brown."
    spec = LesionSpec(asymmetry=0, border=0, colours=("black",), diagnosis="nv", age=50, sex="male", site="back")
    caption = compose_around(prose, spec)
    with pytest.raises(InvalidCaption):
        parse(caption)
    read = read_description(prose).spec(spec)
    assert (read.asymmetry, read.border, read.colours) == (0.5, 2, ("light brown",))
    assert (read.diagnosis, read.age, read.sex, read.site) == ("nv", 50, "male", "back")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The mole exhibits pronounced asymmetry.", (2, 2)),
        ("The mole is perfectly symmetrical.", (0, 0)),
        ("The lesion is generally symmetrical in shape.", (0, 0.5)),
        ("It is asymmetrical.", (1, 2)),
        ("It is somewhat asymmetrical.", (1, 1)),
        ("It shows a moderate degree of asymmetry.", (1, 1)),
        ("There is no significant asymmetry.", (0, 0.5)),
        ("The lesion doesn't show any asymmetry.", (0, 0)),
        ("There is a lack of symmetry.", (1, 2)),
        ("It is not perfectly symmetrical.", (0.5, 1.5)),
        ("The asymmetry of the mole is minimal.", (0.5, 0.5)),
        ("Asymmetry is absent.", (0, 0)),
        ("Asymmetry: The lesion is lopsided.", (1, 2)),
        ("The mole displays notable asymmetry, with one half larger than the other.", (1, 1.5)),
        # nothing is stated, it is hedged, or the text contradicts itself
        ("Regarding its asymmetry, a mole should be watched.", None),
        ("It is difficult to say whether the mole is asymmetrical.", None),
        ("It is perfectly symmetrical. It shows pronounced asymmetry.", None),
        ("The mole has an irregular border.", None),
    ],
)
def test_asymmetry_in_prose(text, expected):
    assert said(text, "asymmetry") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The border is smooth and even.", (0, 0)),
        ("The edges are slightly irregular.", (2, 2)),
        ("The edges are slightly irregular and uneven.", (2, 2)),
        ("The border is irregular, jagged, and notched.", (4, 8)),
        ("Its margins are highly irregular.", (8, 8)),
        ("The borders are not irregular.", (0, 0)),
        ("The border is without irregularities.", (0, 0)),
        ("**Border**: Irregular and jagged.", (4, 8)),
        ("The outline is mostly smooth.", (0, 2)),
        ("The border is smooth and the colour is uneven.", (0, 0)),
        # sharpness is not irregularity, and a shape, a colour or a surface is no border
        ("The border is well defined.", None),
        ("The edges are blurred.", None),
        ("The lesion has an irregular shape and an uneven colour.", None),
        ("In terms of border irregularity, nothing can be said.", None),
        ("The border is smooth on the left but jagged on the right.", None),
    ],
)
def test_border_in_prose(text, expected):
    assert said(text.replace("*", ""), "border") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is light brown and black.", [{"light brown"}, {"black"}]),
        ("It is brown.", [{"light brown", "dark brown"}]),
        ("Brown overall, dark brown in the centre.", [{"dark brown"}]),
        ("It ranges from light to dark brown.", [{"light brown"}, {"dark brown"}]),
        ("Tan with reddish and bluish-gray areas.", [{"light brown"}, {"red"}, {"blue-grey"}]),
        ("A mole of a brown shade against pink skin.", [{"light brown", "dark brown"}]),
        ("It is black, with no white or blue areas.", [{"black"}]),
        ("It shows no white, blue or red areas.", []),
        ("It shows no asymmetry, is not large, and is black.", [{"black"}]),
        ("The surrounding skin is pink and white.", []),
        ("The mole stands out.", []),
    ],
)
def test_colours_in_prose(text, expected):
    assert named(text) == {frozenset(mention) for mention in expected}


DEGREES = {"slightly": 1, "moderately": 2, "notably": 3, "extremely": 4}


@settings(max_examples=100)
@given(
    degree=st.sampled_from(list(DEGREES)),
    word=st.sampled_from(["irregular", "uneven", "jagged", "notched"]),
    edge=st.sampled_from(["border", "edge", "outline"]),
    before=st.sampled_from(["", "The picture is sharp. ", "It lies on the back; "]),
    upper=st.booleans(),
)
def test_every_degree_is_one_level_wherever_it_stands(degree, word, edge, before, upper):
    levels = tuple(BORDER_WORDS)
    expected = (levels[DEGREES[degree]],) * 2
    for text in (f"{before}The {edge} is {degree} {word}.", f"{before}It has a {degree} {word} {edge}."):
        assert said(text.upper() if upper else text, "border") == expected
        assert said(text.replace(degree, f"not {degree}"), "border") != expected


WORDS = st.sampled_from([
    "no", "not", "very", "slightly", "asymmetry", "symmetrical", "border", "irregular", "irregularity", "smooth",
    "brown", "dark", "red", "colour", "is", "with", ":", ".", ",", "but",
])  # fmt: skip


@settings(max_examples=300)
@given(text=st.text(max_size=200) | st.lists(WORDS, max_size=25).map(" ".join))
def test_any_text_can_be_read_and_its_reading_written_down(text):
    reading = read_description(text)
    assert Reading.from_dict(reading.to_dict()) == reading
    for scale, top in ((reading.asymmetry, 2), (reading.border, 8)):
        assert scale is None or 0 <= scale.low <= scale.high <= top


def test_a_spec_needs_all_three_and_no_vague_colour():
    lesion = LesionSpec(asymmetry=0, border=0, colours=("black",), diagnosis="nv")
    one = Stated(low=1, high=1)
    assert Reading(asymmetry=one, border=one, colours=(BROWN,)).spec(lesion) is None
    assert Reading(asymmetry=one, colours=(frozenset({Colour.RED}),)).spec(lesion) is None
    assert Reading(asymmetry=one, border=one).spec(lesion) is None
    assert Reading().is_empty and not Reading(colours=(BROWN,)).is_empty


def test_the_distance_to_a_range_is_zero_within():
    stated = Stated(low=0.5, high=1.5)
    assert [stated.distance(value) for value in (0, 0.5, 1, 1.5, 2)] == [0.5, 0, 0, 0, 0.5]
