"""The vocabulary of a lesion: diagnoses, colours, ranges and `LesionSpec`, what a user asks for.

One place for sliders, captions, measurement, training and evaluation. It knows no wording (that is
`domain.caption`) and no image. Scores follow the ABCD rule of dermoscopy (Stolz 1994); D is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, Self, TypeVar

from dermaflux.domain.errors import InvalidRequest

Choice = TypeVar("Choice", bound=StrEnum)

ASYMMETRY_RANGE = (0.0, 2.0)
BORDER_RANGE = (0.0, 8.0)
AGE_RANGE_YEARS = (0.0, 120.0)
# From one level of a slider to the next.
LEVEL_STEP: Mapping[str, float] = MappingProxyType({"asymmetry": 0.5, "border": 2.0, "num_colours": 1.0})


class Colour(StrEnum):
    """The six colours of the ABCD rule, in the order every list of colours keeps."""

    WHITE = "white"
    RED = "red"
    LIGHT_BROWN = "light brown"
    DARK_BROWN = "dark brown"
    BLUE_GREY = "blue-grey"
    BLACK = "black"


class Diagnosis(StrEnum):
    """The seven HAM10000 diagnoses, and the two plain classes for when no more is known."""

    NV = "nv"
    BKL = "bkl"
    DF = "df"
    VASC = "vasc"
    MEL = "mel"
    BCC = "bcc"
    AKIEC = "akiec"
    BENIGN = "benign"
    MALIGNANT = "malignant"

    @property
    def is_malignant(self) -> bool:
        """True for melanoma, basal cell carcinoma, actinic keratosis / Bowen and plain malignant."""
        return self in _MALIGNANT

    @property
    def side(self) -> "Diagnosis":
        """Plain benign or malignant."""
        return Diagnosis.MALIGNANT if self.is_malignant else Diagnosis.BENIGN

    @property
    def label(self) -> str:
        """The name a person reads, such as 'melanoma'."""
        return DIAGNOSIS_NAMES[self]


Side = Literal["benign", "malignant"]
ExplainedSide = Literal["requested", "predicted", "benign", "malignant"]
"""A side by name, or the one that was asked for, or the one that the classifier sees."""


class Sex(StrEnum):
    """The sex of the patient as HAM10000 records it."""

    FEMALE = "female"
    MALE = "male"


class SkinTone(StrEnum):
    """Fitzpatrick skin types. Estimated from images only, never a clinical finding."""

    I = "I"  # noqa: E741 - the clinical name of the type
    II = "II"
    III = "III"
    IV = "IV"
    V = "V"
    VI = "VI"


class Site(StrEnum):
    """The HAM10000 localizations, without 'unknown' (an unknown site is None)."""

    ABDOMEN = "abdomen"
    ACRAL = "acral"
    BACK = "back"
    CHEST = "chest"
    EAR = "ear"
    FACE = "face"
    FOOT = "foot"
    GENITAL = "genital"
    HAND = "hand"
    LOWER_EXTREMITY = "lower extremity"
    NECK = "neck"
    SCALP = "scalp"
    TRUNK = "trunk"
    UPPER_EXTREMITY = "upper extremity"


DIAGNOSIS_NAMES: Mapping[Diagnosis, str] = {
    Diagnosis.NV: "melanocytic nevus",
    Diagnosis.BKL: "benign keratosis",
    Diagnosis.DF: "dermatofibroma",
    Diagnosis.VASC: "vascular lesion",
    Diagnosis.MEL: "melanoma",
    Diagnosis.BCC: "basal cell carcinoma",
    Diagnosis.AKIEC: "actinic keratosis",
    Diagnosis.BENIGN: "benign lesion",
    Diagnosis.MALIGNANT: "malignant lesion",
}
HAM_DIAGNOSES = tuple(d for d in Diagnosis if d not in (Diagnosis.BENIGN, Diagnosis.MALIGNANT))
_MALIGNANT = frozenset({Diagnosis.MEL, Diagnosis.BCC, Diagnosis.AKIEC, Diagnosis.MALIGNANT})

# Which colours a lesion of n colours has when only the number is asked for: the commonest first.
# Pigmented lesions add browns first, vascular ones start red, keratinocytic ones red and pale.
_COMMON_COLOURS = {
    Diagnosis.VASC: (Colour.RED, Colour.BLUE_GREY, Colour.DARK_BROWN, Colour.LIGHT_BROWN),
    Diagnosis.BCC: (Colour.RED, Colour.LIGHT_BROWN, Colour.DARK_BROWN, Colour.BLUE_GREY),
    Diagnosis.AKIEC: (Colour.RED, Colour.LIGHT_BROWN, Colour.WHITE, Colour.DARK_BROWN),
}
_PIGMENTED = (
    Colour.LIGHT_BROWN, Colour.DARK_BROWN, Colour.RED, Colour.BLUE_GREY, Colour.BLACK, Colour.WHITE,
)  # fmt: skip


def typical_colours(count: int, diagnosis: Diagnosis) -> tuple[Colour, ...]:
    """The `count` (1..6) colours most usual for a diagnosis, in vocabulary order.

    Raises InvalidRequest when count is not within 1..6.
    """
    if not 1 <= count <= len(Colour):
        raise InvalidRequest(
            f"The number of colours is {count}, but a lesion shows 1 to {len(Colour)}. "
            "Ask for a number in that range or name the colours."
        )
    first = _COMMON_COLOURS.get(diagnosis, ())
    ranked = first + tuple(colour for colour in _PIGMENTED if colour not in first)
    return in_order(ranked[:count])


def in_order(colours: Iterable[Colour]) -> tuple[Colour, ...]:
    """The colours without repeats, in the order of the vocabulary."""
    wanted = set(colours)
    return tuple(colour for colour in Colour if colour in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionSpec:
    """What is asked of one lesion. Immutable, validated, JSON round-trips.

    asymmetry 0..2 (axes), border 0..8 (eighths of the contour), 1..6 colours; the rest optional.
    Raises InvalidRequest naming the field when a value does not belong.
    """

    asymmetry: float
    border: float
    colours: tuple[Colour, ...]
    diagnosis: Diagnosis
    age: float | None = None
    sex: Sex | None = None
    site: Site | None = None
    skin_tone: SkinTone | None = None

    def __post_init__(self) -> None:
        """Coerce plain strings to the vocabulary and check every range."""
        put = object.__setattr__
        put(self, "asymmetry", _number("asymmetry", self.asymmetry, ASYMMETRY_RANGE))
        put(self, "border", _number("border", self.border, BORDER_RANGE))
        put(self, "diagnosis", choice("diagnosis", self.diagnosis, Diagnosis))
        colours = (self.colours,) if isinstance(self.colours, str) else self.colours
        put(self, "colours", in_order(choice("colours", c, Colour) for c in colours))
        if not self.colours:
            raise InvalidRequest("colours is empty, but a lesion has at least one. Name 1 to 6.")
        if self.age is not None:
            put(self, "age", _number("age", self.age, AGE_RANGE_YEARS))
        for name, kind in (("sex", Sex), ("site", Site), ("skin_tone", SkinTone)):
            value = getattr(self, name)
            put(self, name, None if value is None else choice(name, value, kind))

    @property
    def malignant(self) -> bool:
        """Whether the requested diagnosis is a malignant one."""
        return self.diagnosis.is_malignant

    @property
    def tds(self) -> float:
        """Total dermoscopy score without its D term: 1.3 A + 0.1 B + 0.5 C (Stolz), range 0.5..6.4."""
        return 1.3 * self.asymmetry + 0.1 * self.border + 0.5 * len(self.colours)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict that `from_dict` reads back to an equal spec."""
        return asdict(self) | {"colours": [str(colour) for colour in self.colours]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The spec of a dict. Raises InvalidRequest for unknown, missing or bad fields."""
        known = set(cls.__dataclass_fields__)
        if unknown := sorted(set(values) - known):
            raise InvalidRequest(f"Unknown field {unknown[0]!r} of a lesion. Known: {sorted(known)}.")
        if missing := sorted({"asymmetry", "border", "colours", "diagnosis"} - set(values)):
            raise InvalidRequest(f"A lesion needs the field {missing[0]!r}. Add it.")
        return cls(**values)


def choice(name: str, value: object, kind: type[Choice]) -> Choice:
    """The member of `kind` with that value; InvalidRequest lists the choices otherwise."""
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(kind)
        raise InvalidRequest(f"{name} {str(value)!r} is not known. Choose one of: {known}.") from None


def _number(name: str, value: object, limits: tuple[float, float]) -> float:
    low, high = limits
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InvalidRequest(f"{name} is {value!r}, not a number. Give {low:g} to {high:g}.") from None
    if not low <= number <= high:
        raise InvalidRequest(f"{name} is {number:g}, outside {low:g} to {high:g}. Give a value within.")
    return number
