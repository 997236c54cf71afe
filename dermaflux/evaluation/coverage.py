"""Which kinds of lesion a set holds: counts by diagnosis and attribute level, beside those of a real set.

It counts facts; where they come from (requested, measured, a table) is the caller's business.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from dermaflux.domain.caption import ASYMMETRY_WORDS, BORDER_WORDS, asymmetry_level, border_level
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Colour, Diagnosis


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionFacts:
    """What is known of one image; None where it was not measured (those count under 'not measured')."""

    diagnosis: Diagnosis
    asymmetry: float | None = None
    border: float | None = None
    num_colours: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCell:
    """One cell of the table: level is a number as text, or 'not measured'."""

    diagnosis: str
    attribute: str
    level: str
    synthetic: int
    real: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageReport:
    """All cells that either set fills. `covered_share` counts the real set's cells that the synthetic fills.

    `missing` names the cells of the real set that hold no synthetic image, the fullest first.
    """

    num_synthetic: int
    num_real: int
    covered_share: float | None
    cells: tuple[CoverageCell, ...]
    missing: tuple[CoverageCell, ...]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


NOT_MEASURED = "not measured"
_LEVEL: Mapping[str, Callable[[float], float]] = MappingProxyType({
    "asymmetry": asymmetry_level,
    "border": border_level,
    "num_colours": lambda count: min(max(count, 1), len(Colour)),
})  # fmt: skip
LEVELS: Mapping[str, tuple[float, ...]] = MappingProxyType({
    "asymmetry": tuple(ASYMMETRY_WORDS),
    "border": tuple(BORDER_WORDS),
    "num_colours": tuple(range(1, len(Colour) + 1)),
})  # fmt: skip


def coverage_report(
    synthetic: Iterable[LesionFacts], real: Iterable[LesionFacts] = ()
) -> CoverageReport:
    """Count both sets by diagnosis x attribute x level. Raises InvalidRequest when the first is empty."""
    synthetic, real = list(synthetic), list(real)
    if not synthetic:
        raise InvalidRequest(
            "The set holds no image, so there is nothing to count. Accept or generate some first."
        )
    ours, theirs = _counts(synthetic), _counts(real)
    cells = tuple(
        CoverageCell(
            diagnosis=key[0], attribute=key[1], level=key[2], synthetic=ours[key], real=theirs[key]
        )
        for key in sorted(ours | theirs)
    )
    measured = [cell for cell in cells if cell.real and cell.level != NOT_MEASURED]
    missing = sorted((cell for cell in measured if not cell.synthetic), key=lambda cell: -cell.real)
    return CoverageReport(
        num_synthetic=len(synthetic),
        num_real=len(real),
        covered_share=1 - len(missing) / len(measured) if measured else None,
        cells=cells,
        missing=tuple(missing),
    )


def _counts(facts: Iterable[LesionFacts]) -> Counter[tuple[str, str, str]]:
    return Counter(
        (str(fact.diagnosis), attribute, level_name(attribute, getattr(fact, attribute)))
        for fact in facts
        for attribute in LEVELS
    )


def level_name(attribute: str, value: float | None) -> str:
    """The level of LEVELS that a value belongs to, as text."""
    return NOT_MEASURED if value is None else f"{_LEVEL[attribute](value):g}"
