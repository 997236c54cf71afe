"""The results of a reader study as HTML: the answer in words, two drawings, and tables. Every text is escaped."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pages.components.study_charts import IntervalRow, interval_chart, roc_chart
from pages.components.study_views import STUDY_DISCLAIMER

if TYPE_CHECKING:
    from dermaflux.services.studying import ReaderStudyReport

_NOTE = (
    "Sensitivity: synthetic pictures called synthetic. Specificity: real ones called real. d′ 0 and AUC 0.50 mean that "
    "nobody can tell. Bias above 0 leans towards “real”. Repeats: the same picture called the same again. Intervals "
    "are 95 %, for other pictures and other readers; of single readers for other pictures."
)


def results_html(report: "ReaderStudyReport") -> str:
    """All that a report holds."""
    parts = [f"<h3>{html.escape(report.study)}</h3>", f'<p class="df-results-say">{html.escape(report.headline)}</p>']
    if report.num_unfinished:
        still = f"{report.num_unfinished} still reading; unless the study is closed, their answers do not count yet."
        parts.append(f'<p class="df-results-note">{still}</p>')
    if report.everyone:
        parts.append(_together(report))
    parts += [_readers(report), f'<p class="df-results-note">{html.escape(_NOTE)}</p>']
    parts.append(f'<p class="df-results-note">{html.escape(STUDY_DISCLAIMER)}</p>')
    return f'<section class="df-results" aria-label="Results" tabindex="-1">{"".join(parts)}</section>'


def _together(report: "ReaderStudyReport") -> str:
    """Drawings and tables of the group, side by side where there is room."""
    group = report.attentive or report.everyone
    assert group is not None
    shown = [one for one in report.readers if one.detection]
    rows = [_row("Attentive readers" if report.attentive else "All readers", group.detection.accuracy, True)]
    if report.attentive and report.everyone:
        rows.append(_row("All readers", report.everyone.detection.accuracy, True))
    rows += [_row(one.reader, one.detection.accuracy, False) for one in shown if one.detection]
    curves = [one.detection.curve for one in shown if one.detection]
    roc = roc_chart(curves, group.detection.curve, f"AUC {_bare(group.detection.auc.value)}")
    return (
        f'<div class="df-results-charts"><div><h4>Right answers</h4>{interval_chart(rows)}{_groups(report)}</div>'
        f"<div><h4>Reader ROC</h4>{roc}{_pairs(report)}</div></div>"
    )


def _row(label: str, found: Any, is_group: bool) -> IntervalRow:
    return IntervalRow(label=label, value=found.value, low=found.low, high=found.high, is_group=is_group)


def _groups(report: "ReaderStudyReport") -> str:
    groups = [("All readers", report.everyone), ("Attentive readers", report.attentive)]
    shown = [(name, group) for name, group in groups if group]
    lines: list[tuple[str, list[str]]] = [
        ("Readers", [str(g.num_readers) for _, g in shown]),
        ("Accuracy", [_share(g.detection.accuracy) for _, g in shown]),
        ("Sensitivity for synthetic", [_share(g.detection.sensitivity) for _, g in shown]),
        ("Specificity", [_share(g.detection.specificity) for _, g in shown]),
        ("AUC of confidence", [_figure(g.detection.auc) for _, g in shown]),
        ("d′", [_bare(g.detection.d_prime) for _, g in shown]),
        ("Bias", [_bare(g.detection.bias) for _, g in shown]),
        ("Alpha, real or synthetic", [_figure(g.call_alpha) for _, g in shown]),
        ("Alpha, ten-step rating", [_figure(g.rating_alpha) for _, g in shown]),
        ("Median time", [f"{g.median_s:.1f} s" for _, g in shown]),
    ]
    if shown[0][1].lesion:
        lines += [
            ("Lesion right, real", [_share(g.lesion.real) if g.lesion else "–" for _, g in shown]),
            ("Lesion right, synthetic", [_share(g.lesion.synthetic) if g.lesion else "–" for _, g in shown]),
            ("Difference, real − synthetic", [_points(g.lesion.difference) if g.lesion else "–" for _, g in shown]),
        ]
    return f"<h4>Together</h4>{_table(['', *(name for name, _ in shown)], lines)}"


def _readers(report: "ReaderStudyReport") -> str:
    if not report.readers:
        return ""
    head = ["Reader", "answers", "accuracy", "sensitivity", "specificity", "AUC", "d′", "median", "checks", "repeats",
            "zoomed", ""]  # fmt: skip
    lines = [(one.reader, _reader_cells(one)) for one in report.readers]
    title = "Readers" if len(report.readers) > 1 else "Reader"
    return f"<h4>{title}</h4>{_table(head, lines)}"


def _reader_cells(one: Any) -> list[str]:
    found = one.detection
    figures = ["–"] * 5 if found is None else [
        _share(found.accuracy), _share(found.sensitivity), _share(found.specificity), _figure(found.auc),
        _bare(found.d_prime),
    ]  # fmt: skip
    note = "" if one.is_finished else "not finished"
    if one.is_flagged:
        note = '<span class="is-flagged">failed checks</span>'
    return [
        str(one.num_answers), *figures, f"{one.median_s:.1f} s", f"{one.checks_passed}/{one.num_checks}",
        f"{one.repeats_equal}/{one.num_repeats}", str(one.num_zoomed), note,
    ]  # fmt: skip


def _pairs(report: "ReaderStudyReport") -> str:
    pairs = report.everyone.pairs if report.everyone else ()
    if not pairs:
        return ""
    lines = [(" and ".join(pair.readers), [_figure(pair.kappa)]) for pair in pairs]
    return f"<h4>Agreement of pairs</h4>{_table(['', 'Cohen’s kappa'], lines)}"


def _table(head: Sequence[str], lines: Sequence[tuple[str, list[str]]]) -> str:
    """A table; the first column is escaped here, the cells are ours."""
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in lines
    )
    return (
        f'<div class="df-results-scroll"><table class="df-table"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _share(found: Any) -> str:
    return f"{100 * found.value:.0f} % ({100 * found.low:.0f}–{100 * found.high:.0f})"


def _points(found: Any) -> str:
    said = f"{100 * found.value:+.0f} points ({100 * found.low:+.0f} to {100 * found.high:+.0f})"
    return said.replace("-", "−")


def _figure(found: Any | None) -> str:
    return "–" if found is None else f"{_bare(found.value)} ({_bare(found.low)}–{_bare(found.high)})"


def _bare(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
