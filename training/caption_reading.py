"""What a free description of a lesion states of asymmetry, border and colours, in the units of `LesionSpec`.

`caption.parse` reads its own wordings only and refuses prose; this reads prose, and abstains wherever nothing is
stated, the statement is hedged, or two statements exclude each other. It knows no model and no picture. English only.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from dermaflux.domain.caption import ASYMMETRY_WORDS, BORDER_WORDS, Labelled
from dermaflux.domain.lesion import Colour, LesionSpec
from training.caption_degrees import claimed_steps
from training.prose_colours import named_colours


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a text says of one scale: a range of levels, `low` = `high` where it is exact."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The centre of the range."""
        return (self.low + self.high) / 2

    def distance(self, value: float) -> float:
        """How far a value lies outside the range; 0 within."""
        return max(self.low - value, value - self.high, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All that was read. None or empty where the text does not say; a mention of "brown" may mean either brown."""

    asymmetry: Stated | None = None
    border: Stated | None = None
    colours: tuple[frozenset[Colour], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the text states none of the three."""
        return self.asymmetry is None and self.border is None and not self.colours

    def spec(self, lesion: Labelled) -> LesionSpec | None:
        """The lesion described, with class and patient from the table; None unless all three are stated exactly."""
        if self.asymmetry is None or self.border is None or not self.colours:
            return None
        if any(len(mention) > 1 for mention in self.colours):
            return None
        return LesionSpec(
            asymmetry=self.asymmetry.middle,
            border=self.border.middle,
            colours=tuple(colour for mention in self.colours for colour in mention),
            diagnosis=lesion.diagnosis,
            age=lesion.age,
            sex=lesion.sex,
            site=lesion.site,
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict that `from_dict` reads back to an equal reading."""
        scales = {name: getattr(self, name) for name in ("asymmetry", "border")}
        colours = [sorted(map(str, mention)) for mention in self.colours]
        return {name: said and [said.low, said.high] for name, said in scales.items()} | {"colours": colours}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The reading of a dict. Raises KeyError, TypeError or ValueError for anything that `to_dict` did not write."""
        scales = {
            name: None if values[name] is None else Stated(low=float(values[name][0]), high=float(values[name][1]))
            for name in ("asymmetry", "border")
        }
        return cls(**scales, colours=tuple(frozenset(map(Colour, mention)) for mention in values["colours"]))


def read_description(text: str) -> Reading:
    """Read a description. An unqualified "irregular" is a range (middle to top), "slightly irregular" a level.

    "Well defined" and "blurred" say how sharp a border is, not how irregular, and are not read.
    """
    clauses = list(_clauses(text))
    return Reading(
        asymmetry=_stated(clauses, "asymmetry", ASYMMETRY_WORDS),
        border=_stated(clauses, "border", BORDER_WORDS),
        colours=named_colours([clause for clause, _ in clauses]),
    )


_CUES: Mapping[str, re.Pattern[str]] = MappingProxyType({
    "asymmetry": re.compile(r"symmetr|\bhal(?:f|ves)\b|lopsided|\bone side\b|\bmirror"),
    "border": re.compile(r"\b(?:borders?|edges?|margins?|outlines?|contours?|perimeter|boundar(?:y|ies))\b"),
})  # fmt: skip
_HEADING = re.compile(
    r"^\W*(?:(?P<asymmetry>a?symmetry)|(?P<border>(?:borders?|edges?)(?: irregularity)?)|colou?r\w*)\s*[:–-]\s+"
)
_TURN = re.compile(r";|,?\s+(?:but|while|whereas|although|though|however|yet|except)\b")
_UNSURE = re.compile(
    r"\b(?:difficult|hard to|impossible|cannot|can't|unable|unclear|not possible|whether|might|may|could|if|would)\b"
)


def _clauses(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Each clause in lower case with the scales it may speak of: by its own words, else by the words before it."""
    heading: frozenset[str] = frozenset()
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text.lower().replace("’", "'")):
        if found := _HEADING.match(sentence):
            heading = frozenset(name for name in _CUES if found[name])
            sentence = sentence[found.end() :]
        topics = heading
        for clause in _TURN.split(sentence):
            topics = frozenset(name for name, cue in _CUES.items() if cue.search(clause)) or topics
            yield clause, topics


def _stated(
    clauses: Sequence[tuple[str, frozenset[str]]], scale: str, words: Mapping[float, Sequence[str]]
) -> Stated | None:
    levels = tuple(words)
    claims = [
        steps
        for clause, topics in clauses
        if scale in topics and not _UNSURE.search(clause)
        for steps in claimed_steps(clause, scale, tuple(words.values()))
    ]
    if not claims:
        return None
    low, high = max(low for low, _ in claims), min(high for _, high in claims)
    if low > high + 1:  # the text contradicts itself
        return None
    low, high = min(low, high), max(low, high)
    return Stated(low=levels[low], high=levels[high])
