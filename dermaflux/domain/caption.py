"""The caption grammar: `compose` writes a lesion as the paper's caption, `parse` reads it back.

The sentences follow the DermaFlux paper (arXiv 2603.16392): class first, then the patient, then A, B, C.
The same grammar makes the training captions and the captions of the app. What matters most stands within
the first 50 words, since CLIP reads 77 tokens only. It knows no tokenizer and no model, and it reads
only its own wordings: free text is for the model, not for `parse`.
"""

import random
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from dermaflux.domain.errors import InvalidCaption
from dermaflux.domain.lesion import (
    DIAGNOSIS_NAMES,
    Colour,
    Diagnosis,
    LesionSpec,
    Sex,
    Site,
    SkinTone,
)

GRAMMAR_VERSION = "1"

# Level -> wordings. No wording contains another level's, and the first is the one used without an rng.
ASYMMETRY_WORDS: Mapping[float, Sequence[str]] = MappingProxyType({
    0.0: ("perfectly symmetrical", "no visible asymmetry", "mirrored halves"),
    0.5: ("subtle asymmetry", "slight asymmetry", "nearly balanced halves"),
    1.0: ("moderate asymmetry", "asymmetry along one axis", "one half larger"),
    1.5: ("notable asymmetry", "significant asymmetry", "clearly uneven halves"),
    2.0: ("pronounced asymmetry", "asymmetry along both axes", "strongly lopsided halves"),
})  # fmt: skip
BORDER_WORDS: Mapping[float, Sequence[str]] = MappingProxyType({
    0.0: ("smooth even border", "regular well-defined border", "perfectly round border"),
    2.0: ("slightly uneven border", "mostly smooth border", "gently wavy border"),
    4.0: ("moderately irregular border", "partly notched border", "half irregular border"),
    6.0: ("irregular notched border", "mostly irregular border", "uneven ragged border"),
    8.0: ("highly irregular jagged border", "severely notched border", "completely ragged border"),
})  # fmt: skip
_COUNT_WORDS = ("one", "two", "three", "four", "five", "six")
_SINGLE_COLOUR = ("one colour: {}", "uniform {} colour", "evenly {}")
_MANY_COLOURS = ("{count} colours: {list}", "a mix of {list}", "mottled {list}")


class Labelled(Protocol):
    """What is known of a lesion without looking at it: a `LesionSpec`, or a row of a table."""

    @property
    def diagnosis(self) -> Diagnosis:
        """Its class."""
        ...

    @property
    def age(self) -> float | None:
        """Of the patient, in years."""
        ...

    @property
    def sex(self) -> Sex | None:
        """Of the patient."""
        ...

    @property
    def site(self) -> Site | None:
        """Where it is on the body."""
        ...


_HEAD = ("This photo depicts", "The photo depicts")
_TALK = ("Here's a description of the mole:", "Here is a description of the mole:")


def asymmetry_level(asymmetry: float) -> float:
    """The wording level nearest to an asymmetry of 0..2: one of 0, 0.5, 1, 1.5, 2 (ties go up)."""
    return _nearest(asymmetry, ASYMMETRY_WORDS)


def border_level(border: float) -> float:
    """The wording level nearest to a border score of 0..8: one of 0, 2, 4, 6, 8 (ties go up)."""
    return _nearest(border, BORDER_WORDS)


def at_caption_resolution(spec: LesionSpec) -> LesionSpec:
    """What a caption can say of a spec: levels instead of numbers, age in whole years."""
    return LesionSpec(
        asymmetry=asymmetry_level(spec.asymmetry),
        border=border_level(spec.border),
        colours=spec.colours,
        diagnosis=spec.diagnosis,
        age=None if spec.age is None else float(int(spec.age + 0.5)),
        sex=spec.sex,
        site=spec.site,
        skin_tone=spec.skin_tone,
    )


def compose(spec: LesionSpec, rng: random.Random | None = None) -> str:
    """The caption of a lesion; with an rng one of several wordings, without always the same."""
    spec = at_caption_resolution(spec)
    asymmetry = _pick(ASYMMETRY_WORDS[spec.asymmetry], rng)
    border = _pick(BORDER_WORDS[spec.border], rng)
    sentences = [
        _class_sentence(spec.diagnosis, rng),
        *_patient_sentence(spec),
        f"{_pick(_TALK, rng)} {asymmetry}, {border}, {_colour_phrase(spec.colours, rng)}.",
        *_place_sentence(spec),
    ]
    return " ".join(sentences)


def compose_around(description: str, lesion: Labelled, rng: random.Random | None = None) -> str:
    """The caption of the template around a free description: class and patient before it, the site after it.

    `parse` reads it back only where the description is of the grammar too.
    """
    sentences = [
        _class_sentence(lesion.diagnosis, rng),
        *_patient_sentence(lesion),
        f"{_pick(_TALK, rng)} {description}",
        *_site_sentence(lesion),
    ]
    return " ".join(sentences)


def parse(caption: str) -> LesionSpec:
    """The lesion a composed caption describes: `parse(compose(s)) == at_caption_resolution(s)`.

    White space and letter case do not matter. Raises InvalidCaption saying which part cannot be read.
    """
    match = _CAPTION.fullmatch(" ".join(caption.split()).lower())
    if not match:
        raise InvalidCaption(
            "The caption does not follow the grammar, so no sliders can be set from it. "
            "It can still be generated from as it stands, or composed anew from the sliders."
        )
    part = match.groupdict()
    return LesionSpec(
        asymmetry=_ASYMMETRY_OF[_known(part["asymmetry"], _ASYMMETRY_OF, "asymmetry")],
        border=_BORDER_OF[_known(part["border"], _BORDER_OF, "border")],
        colours=_colours(part["colours"]),
        diagnosis=_diagnosis(part["kind"], part["name"]),
        age=float(part["age"]) if part["age"] else None,
        sex=Sex(part["sex"]) if part["sex"] else None,
        site=Site(part["site"]) if part["site"] else None,
        skin_tone=SkinTone(part["tone"].upper()) if part["tone"] else None,
    )


def _class_sentence(diagnosis: Diagnosis, rng: random.Random | None) -> str:
    name = "" if diagnosis in _PLAIN else f", {DIAGNOSIS_NAMES[diagnosis]}"
    return f"{_pick(_HEAD, rng)} a {diagnosis.side} lesion{name}."


def _patient_sentence(lesion: Labelled) -> list[str]:
    if lesion.sex is None and lesion.age is None:
        return []
    patient = f"a {lesion.sex} patient" if lesion.sex else "a patient"
    age = "" if lesion.age is None else f", who is {int(lesion.age + 0.5)} years old"
    return [f"This photo is taken from {patient}{age}."]


def _site_sentence(lesion: Labelled) -> list[str]:
    return [] if lesion.site is None else [f"It is on the {lesion.site}."]


def _place_sentence(spec: LesionSpec) -> list[str]:
    tone = [] if spec.skin_tone is None else [f"The skin is of type {spec.skin_tone}."]
    return [*_site_sentence(spec), *tone]


def _colour_phrase(colours: Sequence[Colour], rng: random.Random | None) -> str:
    if len(colours) == 1:
        return _pick(_SINGLE_COLOUR, rng).format(colours[0])
    return _pick(_MANY_COLOURS, rng).format(count=_COUNT_WORDS[len(colours) - 1], list=", ".join(colours))


def _pick(wordings: Sequence[str], rng: random.Random | None) -> str:
    return wordings[0] if rng is None else rng.choice(wordings)


def _nearest(value: float, levels: Mapping[float, Sequence[str]]) -> float:
    return min(levels, key=lambda level: (abs(level - value), -level))


def _known(text: str, words: Mapping[str, float], what: str) -> str:
    if text not in words:
        known = ", ".join(words)
        raise InvalidCaption(f"The {what} {text!r} is not a wording of the grammar. Use one of: {known}.")
    return text


def _colours(text: str) -> tuple[Colour, ...]:
    body = re.sub(r"^(a mix of |mottled |(one|two|three|four|five|six) colours?: |uniform |evenly )", "", text)
    names = re.sub(r" colour$", "", body).split(", ")
    unknown = [name for name in names if name not in tuple(Colour)]
    if unknown or len(set(names)) != len(names):
        raise InvalidCaption(f"{text!r} does not name colours. Choose among: {', '.join(Colour)}.")
    stated = re.match(r"(\w+) colours?: ", text)
    if stated and _COUNT_WORDS.index(stated[1]) + 1 != len(names):
        raise InvalidCaption(f"The caption says {stated[1]} colours but names {len(names)}. Make them agree.")
    return tuple(Colour(name) for name in names)


def _diagnosis(kind: str, name: str | None) -> Diagnosis:
    if name is None:
        return Diagnosis(kind)
    if name not in _DIAGNOSIS_OF:
        raise InvalidCaption(f"{name!r} is not a diagnosis here. Choose one of: {', '.join(_DIAGNOSIS_OF)}.")
    diagnosis = _DIAGNOSIS_OF[name]
    if diagnosis.is_malignant != (kind == "malignant"):
        raise InvalidCaption(f"The caption calls {name} {kind}, which it is not. Change one of the two.")
    return diagnosis


def _levels_by_word(levels: Mapping[float, Sequence[str]]) -> Mapping[str, float]:
    return MappingProxyType({word: level for level, words in levels.items() for word in words})


_PLAIN = (Diagnosis.BENIGN, Diagnosis.MALIGNANT)
_DIAGNOSIS_OF = MappingProxyType({name: d for d, name in DIAGNOSIS_NAMES.items() if d not in _PLAIN})
_ASYMMETRY_OF = _levels_by_word(ASYMMETRY_WORDS)
_BORDER_OF = _levels_by_word(BORDER_WORDS)
_CAPTION = re.compile(
    r"(?:this|the) photo depicts an? (?P<kind>benign|malignant) lesion(?:, (?P<name>[^.]+))?\."
    r"(?: this photo is taken from a(?: (?P<sex>female|male))? patient"
    r"(?:, who is (?P<age>\d+(?:\.\d+)?) years old)?\.)?"
    r" here(?:'s| is) a description of the mole:"
    r" (?P<asymmetry>[^,.]+), (?P<border>[^,.]+), (?P<colours>[^.]+)\."
    rf"(?: it is on the (?P<site>{'|'.join(Site)})\.)?"
    r"(?: the skin is of type (?P<tone>iii|ii|iv|vi|v|i)\.)?"
)
