"""Prompts and answers: the label never reaches the blind model, and its answer never tells a diagnosis."""

import pytest

from dermaflux.domain.caption import compose, compose_around, parse
from dermaflux.domain.errors import InvalidCaption
from dermaflux.domain.lesion import DIAGNOSIS_NAMES, Diagnosis, LesionSpec
from training.caption_text import (
    BLIND_PROMPT,
    UnusableAnswer,
    caption_of_answer,
    description_of,
    prompt_for,
)

LESION = LesionSpec(asymmetry=0, border=0, colours=("black",), diagnosis="mel", age=59.5, sex="male", site="back")


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_the_blind_prompt_is_one_for_all_and_the_papers_tells_the_label(diagnosis):
    lesion = LesionSpec(asymmetry=0, border=0, colours=("black",), diagnosis=diagnosis)
    assert prompt_for("blind", lesion) == BLIND_PROMPT
    label = "malignant" if diagnosis.is_malignant else "benign"
    assert prompt_for("paper", lesion) == (
        f"This is an image containing a {label} lesion. Give me a description of this mole regarding its asymmetry, "
        "border irregularity, and color."
    )
    assert DIAGNOSIS_NAMES[diagnosis] not in BLIND_PROMPT


def test_the_label_comes_from_the_table_and_the_description_from_the_answer():
    assert caption_of_answer("The mole is round", LESION) == (
        "This photo depicts a malignant lesion, melanoma. "
        "This photo is taken from a male patient, who is 60 years old. "
        "Here's a description of the mole: The mole is round. It is on the back."
    )
    with pytest.raises(InvalidCaption):
        parse(caption_of_answer("The mole is round", LESION))
    strict = "no visible asymmetry, smooth even border, uniform black colour."
    assert parse(caption_of_answer(strict, LESION)).border == 0
    assert compose_around("perfectly symmetrical, smooth even border, one colour: black.", LESION) == compose(LESION)


RAW = (
    "Sure, here is a description:\n\n**Asymmetry:** The mole is asymmetrical.\n- The border is jagged.\n"
    "This suggests a potential malignancy. Please consult a dermatologist."
)


def test_markup_goes_and_a_blind_answer_loses_its_talk_of_a_diagnosis():
    blind = description_of(RAW, "blind")
    assert (blind.text, blind.num_diagnostic) == ("Asymmetry: The mole is asymmetrical. The border is jagged.", 2)
    paper = description_of(RAW, "paper")
    assert paper.text.endswith("potential malignancy. Please consult a dermatologist.") and paper.num_diagnostic == 2


def test_what_is_cut_off_ends_with_its_last_whole_sentence():
    assert description_of("It is round. It is dark and", "blind", is_cut_off=True).text == "It is round."
    assert description_of("It is round. It is dark and", "blind").text == "It is round. It is dark and"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("I'm sorry, I can't help with that.", "declines"),
        ("I cannot provide medical advice.", "declines"),
        ("This is a benign mole.", "only talks of a diagnosis"),
        ("  \n", "holds no whole sentence"),
    ],
)
def test_an_answer_without_a_description_says_what_it_is(raw, why):
    with pytest.raises(UnusableAnswer, match=why):
        description_of(raw, "blind")


def test_a_disclaimer_before_a_description_does_not_lose_it():
    raw = "I'm not able to make a diagnosis. The mole is black."
    assert description_of(raw, "blind").text == "The mole is black."


def test_a_caption_longer_than_captions_may_be_is_refused():
    with pytest.raises(UnusableAnswer, match="more than 2000"):
        caption_of_answer("black " * 400, LESION)
