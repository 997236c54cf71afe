"""Calibration: raw measures -> percentile of real lesions -> the units of the ABCD rule, from a versioned JSON.

A headline number is a non-negative mix of percentiles, so it rises with each of its measures and is
lowest for a smooth even disc. It knows no picture; `training/calibrate_measurement.py` writes the file.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.lesion import Colour, in_order

CALIBRATION_NAME = "calibration.json"
CALIBRATION_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One raw measure of a mix: its weight (>= 0), sign (+1 higher is more severe) and percentile table.

    `quantiles` are the values of the measure on real lesions at evenly spaced percentiles 0..1.
    """

    measure: str
    weight: float
    sign: int
    quantiles: tuple[float, ...]

    def percentile(self, raw: Mapping[str, float]) -> float:
        """Where the measure stands among real lesions, 0..1, in the direction of severity."""
        share = _position(raw[self.measure], self.quantiles)
        return share if self.sign > 0 else 1 - share


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A headline number: the mix of its parts, its percentile table, and the range of its unit."""

    parts: tuple[Part, ...]
    mix_quantiles: tuple[float, ...]
    low: float
    high: float

    def mix(self, raw: Mapping[str, float]) -> float:
        """The weighted sum of the parts' percentiles."""
        return sum(part.weight * part.percentile(raw) for part in self.parts)

    def percentile(self, raw: Mapping[str, float]) -> float:
        """The share of real lesions with a lower mix, 0..1."""
        return _position(self.mix(raw), self.mix_quantiles)

    def value(self, raw: Mapping[str, float]) -> float:
        """The headline number in its unit: percentile mapped to low..high."""
        return self.low + (self.high - self.low) * self.percentile(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRule:
    """Which colours a lesion has: shares say which, variegation says how small a share still counts.

    A share of `certain` is always a colour of its own, one under `possible` never. Between the two
    the colours with the largest shares count, as many as the variegation percentile (0..1) cut into
    `levels` allows (5.1 levels give the sixth colour to the most mottled 2 % only): shading moves part
    of an evenly coloured lesion over a boundary of the palette, where it should not count, while in a
    mottled one small patches do.
    """

    certain: float
    possible: float
    levels: float

    def present(self, shares: Mapping[Colour, float], variegation: float) -> tuple[Colour, ...]:
        """The colours present, at least one, in the vocabulary's order."""
        ranked = sorted(Colour, key=lambda colour: shares[colour], reverse=True)
        least = max(1, sum(share >= self.certain for share in shares.values()))
        most = max(1, sum(share >= self.possible for share in shares.values()))
        wanted = 1 + int(variegation * self.levels)
        return in_order(ranked[: min(max(wanted, least), most)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All tables of one version, and what they were fitted on."""

    asymmetry: Scale
    border: Scale
    colour: Scale
    share_rule: ShareRule
    facts: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a calibration file; raises ModelNotAvailable when it is missing or of another version."""
        if not path.is_file():
            raise ModelNotAvailable(
                f"The calibration {path.name} is missing. Make it with `python -m training.calibrate_measurement`."
            )
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise ModelNotAvailable(
                f"The calibration {path.name} cannot be used ({error}). "
                "Make it again with `python -m training.calibrate_measurement`."
            ) from error

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The calibration of a dict as `to_dict` writes it; ValueError for another version."""
        if values["version"] != CALIBRATION_VERSION:
            raise ValueError(
                f"version {values['version']}, this program reads {CALIBRATION_VERSION}"
            )
        return cls(
            asymmetry=_scale(values["asymmetry"]),
            border=_scale(values["border"]),
            colour=_scale(values["colour"]),
            share_rule=ShareRule(**values["share_rule"]),
            facts=dict(values["facts"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict that `from_dict` reads back."""
        scales = {
            name: _scale_dict(getattr(self, name)) for name in ("asymmetry", "border", "colour")
        }
        rule = asdict(self.share_rule)
        return {
            "version": CALIBRATION_VERSION,
            "facts": dict(self.facts),
            "share_rule": rule,
        } | scales


def _position(value: float, quantiles: tuple[float, ...]) -> float:
    # tied quantiles (many lesions share the value) take the middle of their stretch
    low = bisect_left(quantiles, value)
    high = bisect_right(quantiles, value)
    last = len(quantiles) - 1
    if high > low:
        return float((low + high - 1) / 2 / last)
    if low == 0 or low > last:
        return 0.0 if low == 0 else 1.0
    step = (value - quantiles[low - 1]) / (quantiles[low] - quantiles[low - 1])
    return float((low - 1 + step) / last)


def _scale(values: Mapping[str, Any]) -> Scale:
    return Scale(
        parts=tuple(
            Part(**(part | {"quantiles": tuple(part["quantiles"])})) for part in values["parts"]
        ),
        mix_quantiles=tuple(values["mix_quantiles"]),
        low=float(values["low"]),
        high=float(values["high"]),
    )


def _scale_dict(scale: Scale) -> dict[str, Any]:
    parts = [
        {"measure": p.measure, "weight": p.weight, "sign": p.sign, "quantiles": list(p.quantiles)}
        for p in scale.parts
    ]
    return {
        "low": scale.low,
        "high": scale.high,
        "parts": parts,
        "mix_quantiles": list(scale.mix_quantiles),
    }
