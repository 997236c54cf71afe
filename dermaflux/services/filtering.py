"""Words of a front end -> a filter of images. What a saved filter holds and what a page sends is one and the same.

Pure: no store. A word that is not known is refused, so that no filter is silently wider than it says.
"""

import math
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from dermaflux.curation.records import ImageFilter
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import ASYMMETRY_RANGE, BORDER_RANGE, Colour, choice
from dermaflux.domain.records import Verdict

ALL = "all"
UNDECIDED = "undecided"
Words = Mapping[str, Any]

RANGES: Mapping[str, tuple[float, float]] = MappingProxyType({
    "asymmetry": ASYMMETRY_RANGE,
    "border": BORDER_RANGE,
    "num_colours": (1, len(Colour)),
    "measured_asymmetry": ASYMMETRY_RANGE,
    "measured_border": BORDER_RANGE,
    "measured_num_colours": (1, len(Colour)),
    "malignant_probability": (0.0, 1.0),
})  # fmt: skip


def image_filter(words: Words, viewer: str | None = None) -> ImageFilter:
    """The filter that the words say, as `viewer` may see it. An empty word lets everything pass.

    verdict: all, undecided or one of the verdicts. Ranges are [low, high], either of them null. Days are ISO dates.
    Raises InvalidRequest naming the word that does not belong.
    """
    known = {name: _READ[name](name, value) for name, value in _said(words).items()}
    verdict = known.pop("verdict", ALL)
    return ImageFilter(
        verdict=None if verdict in (ALL, UNDECIDED) else choice("verdict", verdict, Verdict),
        undecided=verdict == UNDECIDED,
        viewer=viewer,
        **known,
    )


def _said(words: Words) -> Words:
    if unknown := sorted(set(words) - set(_READ)):
        raise InvalidRequest(f"A filter knows no {unknown[0]!r}. Reload the page, or save the filter anew.")
    return {name: value for name, value in words.items() if value not in (None, "", [], [None, None])}


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is {value!r}, not a text.")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidRequest(f"{name} is {value!r}, not a list.")
    return tuple(_text(name, one) for one in value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name} is {value!r}. Say true, false or nothing.")
    return value


def _day(name: str, value: Any) -> date:
    try:
        return date.fromisoformat(_text(name, value))
    except ValueError:
        raise InvalidRequest(f"{name} is {value!r}, not a day such as 2026-05-31.") from None


def _range(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise InvalidRequest(f"{name} is {value!r}, not a range of two numbers.")
    low, high = (limit if end is None else _number(name, end) for end, limit in zip(value, RANGES[name], strict=True))
    if low > high:
        raise InvalidRequest(f"{name} goes from {low:g} down to {high:g}. Swap the two.")
    return low, high


def _number(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise InvalidRequest(f"{name} holds {value!r}, which is no number.")
    return float(value)


_READ: Mapping[str, Callable[[str, Any], Any]] = MappingProxyType({
    "verdict": _text, "reviewer": _text, "model": _text, "text": _text, "order": _text,
    "diagnoses": _texts, "skin_tones": _texts, "image_ids": _texts,
    "agrees": _flag, "reviewers_agree": _flag, "memorised": _flag, "made_from": _day, "made_until": _day,
    **dict.fromkeys(RANGES, _range),
})  # fmt: skip
