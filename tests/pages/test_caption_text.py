"""The caption beside the sliders: notes, and what a caption asks for."""

from dataclasses import replace

import pytest

from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import LesionSpec
from pages.components.caption_text import is_edited, note_on, requested_spec

SPEC = LesionSpec(asymmetry=1.5, border=5, colours=("red", "black"), diagnosis="mel")


def test_a_composed_caption_matches_and_keeps_the_finer_numbers_of_the_sliders():
    caption = compose(SPEC)
    assert note_on(caption, SPEC).state == "same"
    assert requested_spec(caption, SPEC) == SPEC  # border 5, which no wording can say


def test_a_caption_of_another_lesion_says_in_what_it_differs():
    other = replace(SPEC, border=0, diagnosis="nv")
    note = note_on(compose(other), SPEC)
    assert note.state == "differs"
    assert "border, diagnosis" in note.text
    assert requested_spec(compose(other), SPEC) == other


def test_free_text_asks_for_nothing_that_can_be_compared():
    assert note_on("a strange mole", SPEC).state == "free"
    assert requested_spec("a strange mole", SPEC) is None


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_blank_caption_is_said_to_be_empty(text):
    assert note_on(text, SPEC).state == "empty"


def test_the_note_is_escaped():
    assert "<b>" not in replace(note_on("x", SPEC), text="<b>").html


@pytest.mark.parametrize(
    ("text", "edited"), [("composed", False), (" composed ", False), ("", False), ("mine", True)]
)
def test_only_the_users_own_text_counts_as_edited(text, edited):
    assert is_edited(text, "composed") is edited
