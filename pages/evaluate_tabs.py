"""What each part of the Evaluate tab shows: of which report, which figures, with which choices. No layout.

A part draws from reports as `python -m dermaflux evaluate ... --json` prints them. It knows no service.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dermaflux.figures import Drawing

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One figure of a part: its element, what it shows in words, and how it is drawn.

    draw: reports by title, and the values of the part's options -> Drawing.
    """

    elem_id: str
    alt: str
    draw: "Callable[[Mapping[str, Report], Sequence[Any]], Drawing]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A choice beside the picker."""

    label: str
    choices: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One sub-tab over reports of one kind; many: several reports in one figure."""

    part_id: str
    title: str
    kind: str
    panels: Sequence[Panel]
    options: Sequence[Option] = ()
    many: bool = False


def _only(reports: Mapping[str, Report]) -> Report:
    return next(iter(reports.values()))


def _roc(reports: Mapping[str, Report], options: Sequence[Any]) -> "Drawing":
    from dermaflux.figures.curves import draw_roc

    return draw_roc({
        title: dict(report.get("roc") or {}) | {"auc": _interval(report["intervals"]["auc"])}
        for title, report in reports.items()
    })  # fmt: skip


def _reliability(reports: Mapping[str, Report], options: Sequence[Any]) -> "Drawing":
    from dermaflux.figures.curves import draw_reliability

    report = _only(reports)
    return draw_reliability(report["reliability"], report["figures"].get("ece"))


def _net_benefit(reports: Mapping[str, Report], options: Sequence[Any]) -> "Drawing":
    from dermaflux.figures.curves import draw_net_benefit

    return draw_net_benefit(_only(reports)["decision_curve"])


def _fairness(reports: Mapping[str, Report], options: Sequence[Any]) -> "Drawing":
    from dermaflux.figures.tables import draw_fairness

    return draw_fairness(_only(reports), *options)


def _of_table(name: str) -> "Callable[[Mapping[str, Report], Sequence[Any]], Drawing]":
    def draw(reports: Mapping[str, Report], options: Sequence[Any]) -> "Drawing":
        from dermaflux.figures import tables

        return getattr(tables, name)(_only(reports))

    return draw


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f}, {found['high']:.3f})"


_ATTRIBUTES = tuple((name.capitalize(), name) for name in ("age", "sex", "site", "skin tone"))
_FIGURES = (("AUC", "auc"), ("Sensitivity", "sensitivity"), ("Specificity", "specificity"))

PARTS = (
    Part(part_id="roc", title="ROC", kind="classifier", many=True, panels=(
        Panel(elem_id="evaluate-roc", alt="ROC curves with 95 % bands", draw=_roc),
    )),
    Part(part_id="calibration", title="Calibration", kind="classifier", panels=(
        Panel(elem_id="evaluate-calibration", alt="Reliability diagram of P(malignant)", draw=_reliability),
        Panel(elem_id="evaluate-benefit", alt="Net benefit by threshold of action", draw=_net_benefit),
    )),
    Part(part_id="fairness", title="Fairness", kind="classifier", panels=(
        Panel(elem_id="evaluate-fairness", alt="A figure of the classifier by group, with intervals", draw=_fairness),
    ), options=(Option(label="Groups by", choices=_ATTRIBUTES), Option(label="Figure", choices=_FIGURES))),
    Part(part_id="adherence", title="Adherence", kind="adherence", panels=(
        Panel(elem_id="evaluate-leakage", alt="Leakage matrix: slider moved against everything measured",
              draw=_of_table("draw_leakage")),
        Panel(elem_id="evaluate-adherence", alt="How well images follow each slider", draw=_of_table("draw_adherence")),
    )),
    Part(part_id="quality", title="Quality", kind="quality", panels=(
        Panel(elem_id="evaluate-quality", alt="Precision, recall, density, coverage and diversity beside the floor",
              draw=_of_table("draw_quality")),
    )),
    Part(part_id="memorisation", title="Memorisation", kind="memorisation", panels=(
        Panel(elem_id="evaluate-memorisation", alt="Distances to the nearest training picture",
              draw=_of_table("draw_memorisation")),
    )),
    Part(part_id="coverage", title="Coverage", kind="coverage", panels=(
        Panel(elem_id="evaluate-coverage", alt="Images by diagnosis and measured level",
              draw=_of_table("draw_coverage")),
    )),
    Part(part_id="diversity", title="Diversity", kind="diversity", panels=(
        Panel(elem_id="evaluate-diversity", alt="Spread within a request and within the real class",
              draw=_of_table("draw_diversity")),
    )),
    Part(part_id="artefacts", title="Artefacts", kind="artefacts", panels=(
        Panel(elem_id="evaluate-artefacts", alt="Dark corners, hair, ink and rulers in synthetic and real pictures",
              draw=_of_table("draw_artefacts")),
    )),
)  # fmt: skip
