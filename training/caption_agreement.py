"""Do descriptions agree with what is measured on their pictures? One picture's contradictions, and rates over many.

The measurement is no truth either (docs/measurement.md): a rate says how far two observers agree. It knows no model
and no file.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dermaflux.domain.caption import asymmetry_level, border_level
from dermaflux.domain.lesion import LEVEL_STEP
from dermaflux.domain.records import Measurement
from dermaflux.evaluation.adherence import spearman
from training.caption_lines import CaptionLine
from training.caption_reading import Reading

_LEVEL_OF = {"asymmetry": asymmetry_level, "border": border_level}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleAgreement:
    """One scale over the pictures that were measured: how many texts state it, and how these agree.

    spearman: of the middle of what is stated with what is measured, -1..1; None for fewer than three.
    """

    num_measured: int
    num_stated: int
    spearman: float | None
    within_one_level: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionReport:
    """The figures of a run. Shares are 0..1, None where nothing was there to be counted.

    named_and_measured: of the colours named, those that are measured; measured_and_named: the reverse.
    """

    num_pictures: int
    num_captions: int
    refused: Mapping[str, int]
    exact_specs: int
    talk_of_diagnosis: float | None
    contradicted: float | None
    asymmetry: ScaleAgreement
    border: ScaleAgreement
    named_and_measured: float | None
    measured_and_named: float | None
    seconds_per_picture: float | None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


def contradictions(reading: Reading, found: Measurement) -> tuple[str, ...]:
    """Where a text and the measurement exclude each other; empty when the picture could not be measured.

    Asymmetry and border: the measured level lies more than one level outside what is stated. Colours: one is named
    but not measured, or measured but not named; only where the text names any.
    """
    if found.refused:
        return ()
    wrong = []
    for scale, level_of in _LEVEL_OF.items():
        said, level = getattr(reading, scale), level_of(getattr(found, scale))
        if said and said.distance(level) > LEVEL_STEP[scale]:
            stated = f"{said.low:g}" if said.low == said.high else f"{said.low:g} to {said.high:g}"
            wrong.append(f"{scale}: {stated} stated, {level:g} measured")
    wrong += [
        f"colours: {' or '.join(sorted(mention))} named, not measured"
        for mention in reading.colours
        if not mention & set(found.colours)
    ]
    named = frozenset().union(*reading.colours)
    return (*wrong, *(f"colours: {c} measured, not named" for c in found.colours if named and c not in named))


def caption_report(lines: Iterable[CaptionLine]) -> CaptionReport:
    """The figures of all lines of a file."""
    everything = list(lines)
    captioned = [line for line in everything if line.caption]
    pairs = _compared(captioned)
    coloured = [(reading, found) for reading, found in pairs if reading.colours]
    return CaptionReport(
        num_pictures=len(everything),
        num_captions=len(captioned),
        refused=dict(Counter(line.refused for line in everything if line.refused).most_common()),
        exact_specs=sum(line.spec is not None for line in captioned),
        talk_of_diagnosis=_mean([line.num_diagnostic > 0 for line in captioned]),
        contradicted=_mean([bool(contradictions(reading, found)) for reading, found in pairs]),
        asymmetry=_scale_agreement(pairs, "asymmetry"),
        border=_scale_agreement(pairs, "border"),
        named_and_measured=_mean([bool(m & set(f.colours)) for r, f in coloured for m in r.colours]),
        measured_and_named=_mean([c in frozenset().union(*r.colours) for r, f in coloured for c in f.colours]),
        seconds_per_picture=_mean([line.seconds for line in captioned]),
    )


def told(report: CaptionReport) -> str:
    """The report in a few lines for the terminal."""
    lines = [
        f"{report.num_captions} captions of {report.num_pictures} pictures",
        *(f"  {count} without: {why}" for why, count in report.refused.items()),
        _told_scale("asymmetry", report.asymmetry),
        _told_scale("border", report.border),
        f"colours: {_share(report.named_and_measured)} of those named are measured, "
        f"{_share(report.measured_and_named)} of those measured are named",
        f"any contradiction {_share(report.contradicted)}, talk of a diagnosis {_share(report.talk_of_diagnosis)}",
    ]
    return "\n".join(lines) + "\n"


def _told_scale(name: str, found: ScaleAgreement) -> str:
    rank = "-" if found.spearman is None else f"{found.spearman:.2f}"
    near = _share(found.within_one_level)
    return f"{name}: stated in {found.num_stated} of {found.num_measured}, within a level {near}, Spearman {rank}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _compared(lines: Sequence[CaptionLine]) -> list[tuple[Reading, Measurement]]:
    """What is stated and what is measured, of the captions whose picture could be measured."""
    pairs = [(line.reading, line.measured) for line in lines]
    return [(reading, found) for reading, found in pairs if reading and found and not found.refused]


def _scale_agreement(pairs: Sequence[tuple[Reading, Measurement]], scale: str) -> ScaleAgreement:
    both = [(said, getattr(found, scale)) for reading, found in pairs if (said := getattr(reading, scale))]
    near = [said.distance(_LEVEL_OF[scale](value)) <= LEVEL_STEP[scale] for said, value in both]
    middles = np.array([said.middle for said, _ in both])
    return ScaleAgreement(
        num_measured=len(pairs),
        num_stated=len(both),
        spearman=spearman(middles, np.array([value for _, value in both])),
        within_one_level=_mean(near),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
