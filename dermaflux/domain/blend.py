"""Which adapters act on a base model, and how strongly: the words of `adapter` in a request, read and written.

'rare', 'rare:0.8', 'rare:0.8,sharp:0.5': names of the catalogue, files or hub repositories, each with a weight that
is 1 when not given. It knows no adapters, so it cannot say whether one exists.
"""

import math
import re
from dataclasses import dataclass

from dermaflux.domain.errors import InvalidRequest

MAX_ADAPTERS = 8
WEIGHT_RANGE = (-4.0, 4.0)
_WEIGHTED = re.compile(r"(?P<name>.+?):(?P<weight>[^:/\\]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterUse:
    """One adapter and its weight: 1 as trained, 0 not at all, negative its opposite."""

    name: str
    weight: float = 1.0


def parse_blend(text: str | None, weight: float = 1.0) -> tuple[AdapterUse, ...]:
    """The adapters of a blend in its order, each weight times `weight`; none for None or an empty text.

    Raises InvalidRequest for an empty or repeated name, a weight that is no number or outside -4..4, too many adapters.
    """
    if text is None or not text.strip():
        return ()
    uses = tuple(_use(part.strip(), text, weight) for part in text.split(","))
    if len(uses) > MAX_ADAPTERS:
        raise InvalidRequest(f"{len(uses)} adapters were asked for; {MAX_ADAPTERS} at most can act together.")
    names = [use.name for use in uses]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise InvalidRequest(f"The adapter {repeated!r} is named twice in {text!r}. Name it once, with one weight.")
    return uses


def _use(part: str, text: str, weight: float) -> AdapterUse:
    match = _WEIGHTED.fullmatch(part)
    name = match["name"].strip() if match else part
    if not name or part.startswith(":"):
        raise InvalidRequest(f"{text!r} leaves a name out. Write adapters as NAME or NAME:WEIGHT, with commas between.")
    own = _number(match["weight"], part) if match else 1.0
    low, high = WEIGHT_RANGE
    if not low <= own * weight <= high:
        raise InvalidRequest(f"The weight of {name!r} is {own * weight:g}, outside {low:g} to {high:g}.")
    return AdapterUse(name=name, weight=own * weight)


def _number(text: str, part: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidRequest(f"The weight of the adapter in {part!r} is {text!r}, not a number.")
    return number
