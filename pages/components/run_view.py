"""What a page shows of training runs: the list, the head, the probes, the cost, the comparison. Records in, values out.

It knows no service and no component. Every text is escaped.
"""

import html
from collections.abc import Sequence
from typing import Any

from dermaflux.domain.records import DISCLAIMER
from dermaflux.services.training_records import LORA, Line, RunReport, TrainingCost, TrainingRun

_KINDS = {LORA: "LoRA"}
_EMPTY = "No run yet. Choose what to train at the left and press Start."
_COMPARED = (
    "preset", "real", "num_steps", "rank", "batch_size", "learning_rate", "diagnoses", "size_px", "seed", "model",
)  # fmt: skip


def list_value(runs: Sequence[TrainingRun], chosen: str | None) -> dict[str, Any]:
    """The value of the list of runs."""
    rows = [
        {
            "id": run.run_id,
            "name": run.name,
            "kind": _KINDS.get(run.kind, run.kind),
            "state": run.state,
            "note": _note(run),
            "warning": "may copy" if run.note else "",
            "share": share(run),
        }
        for run in runs
    ]
    return {"runs": rows, "chosen": chosen, "empty": _EMPTY}


def share(run: TrainingRun) -> float:
    """How much of a run is done, 0..1."""
    if run.state == "done":
        return 1.0
    return min(1.0, run.step / run.num_steps) if run.num_steps else 0.0


def head_html(report: RunReport, judging: str | None) -> str:
    """The name, the state, what a run finished or why it failed, and whether it may learn by heart."""
    run = report.run
    state = f'<span class="df-training-state" data-state="{run.state}">{run.state}</span>'
    lines = [f"<h3>{html.escape(run.name)}</h3> {state}"]
    preset = f"preset {run.settings.get('preset') or 'of the command line'}"
    facts = [_KINDS.get(run.kind, run.kind), preset, _note(run)]
    if run.seconds is not None:
        facts.append(duration(run.seconds))
    lines.append(f"<p>{html.escape(' · '.join(facts))}</p>")
    if run.why:
        lines.append(f'<p class="is-wrong" role="alert">{html.escape(run.why)}</p>')
    if run.state == "running" and not run.step:
        lines.append("<p>It loads libraries, pictures and models before its first step: a minute or more.</p>")
    lines += _product_lines(run, judging)
    lines += _memory_lines(report)
    return f'<div class="df-training-head">{"".join(lines)}</div>'


def probes_html(report: RunReport) -> str:
    """The newest probe samples: what was asked, what was measured, what the classifier says."""
    if not report.probes:
        return '<p class="df-says">No probe samples yet. A LoRA run draws them from time to time and at its end.</p>'
    cards = "".join(_probe(line) for line in report.probes)
    note = f"Step {report.probes_step}: each diagnosis at its plainest and at its wildest, always with the same seed."
    return f'<p class="df-says">{note} {html.escape(DISCLAIMER)}</p><div class="df-probes">{cards}</div>'


def log_html(text: str) -> str:
    """The end of a log."""
    shown = html.escape(text) or "Nothing was said yet."
    return f'<pre class="df-log" tabindex="0" aria-label="End of the log">{shown}</pre>'


def cost_html(cost: TrainingCost) -> str:
    """Predicted memory and time."""
    have = f"this machine has {cost.have_gb:.1f} GB" if cost.have_gb else f"this machine has no {cost.place}"
    time = f"about {duration(cost.seconds)}" if cost.seconds is not None else "unknown"
    beside = ""
    if cost.host_gb:
        beside = f"Beside it up to {cost.host_gb:.1f} GB of memory, of {cost.host_have_gb:.1f} GB.<br>"
    parts = "".join(f"<li>{html.escape(name)}: {gb:.1f} GB</li>" for name, gb in cost.parts.items() if gb >= 0.05)
    short = "" if cost.fits else " is-short"
    return (
        f'<div class="df-cost{short}" role="status"><details><summary><b>{cost.need_gb:.1f} GB of {cost.place}</b>, '
        f"estimated; {have}.</summary><ul>{parts}</ul></details>{beside}<b>Time: {time}</b> "
        f"({html.escape(cost.basis)})</div>"
    )


def wrong_html(text: str) -> str:
    """Why a request cannot be started as it stands."""
    return f'<div class="df-cost is-short" role="status">{html.escape(text)}</div>'


def compare_html(reports: Sequence[RunReport]) -> str:
    """Settings and last figures of several runs, a column each."""
    if not reports:
        return ""
    figures = list(dict.fromkeys(name for report in reports for name in _last_figures(report.history)))
    head = "".join(f"<th>{html.escape(report.run.name)}</th>" for report in reports)
    rows = [("state", [report.run.state for report in reports])]
    rows += [(name, [_setting(report.run, name) for report in reports]) for name in _COMPARED]
    rows += [(name, [_text(_last_figures(report.history).get(name)) for report in reports]) for name in figures]
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{html.escape(value)}</td>' for value in values)}</tr>"
        for name, values in rows
        if any(values)
    )
    return (
        f'<div class="df-scrolled"><table class="df-table"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _note(run: TrainingRun) -> str:
    return f"step {run.step:,} of {run.num_steps:,}" if run.num_steps else f"step {run.step:,}"


def _product_lines(run: TrainingRun, judging: str | None) -> list[str]:
    if run.product is None:
        return []
    if run.kind == LORA:
        return [f"<p>The adapter <b>{html.escape(run.product)}</b> is on offer in Generate, to everybody here.</p>"]
    now = "It judges at present." if judging == run.run_id else "Press Judge with it to let it judge new images."
    return [f"<p>The classifier is finished. {now}</p>"]


def _memory_lines(report: RunReport) -> list[str]:
    """Whether a run may learn its pictures by heart: the nearest samples, and held-out loss against seen."""
    lines, last = [], _last_figures(report.history)
    if report.run.note:
        lines.append(f'<p class="is-warning">{html.escape(report.run.note)}</p>')
    if last.get("memorisation_min") is not None:
        limit = last.get("memorisation_threshold")
        lines.append(
            f"<p>Probe samples to training pictures: nearest <b>{last['memorisation_min']:.3f}</b>, median "
            f"{last['memorisation_median']:.3f}; {_share_below(last.get('memorisation_share'), limit)}. Held-out real "
            f"pictures: median {last['memorisation_held_out']:.3f}.</p>"
        )
    gaps = [line["gap"] for line in report.history if line.get("gap") is not None]
    if gaps:
        first = f" ({gaps[0]:+.4f} at first)" if len(gaps) > 1 else ""
        lines.append(f"<p>Held-out loss less that of training pictures: <b>{gaps[-1]:+.4f}</b>{first}. A gap that "
                     "grows is overfitting.</p>")  # fmt: skip
    return lines


def _share_below(share: float | None, limit: float | None) -> str:
    if share is None or limit is None:
        return "no threshold is calibrated"
    return f"{share:.0%} below {limit:.3f}" if share else f"none below {limit:.3f}"


def _nearest(near: Line | None) -> str:
    """How near a probe sample comes to a training picture; empty for a run that did not look."""
    if near is None:
        return ""
    if near["is_copy"]:
        return f'<br><span class="df-probe-copy">May be a copy: {near["distance"]:.3f} to a training picture</span>'
    return f'<br>{near["distance"]:.3f} to the nearest training picture'


def _probe(line: Line) -> str:
    asked, measured = line["asked"], line["measured"]
    malignant = "not classified" if line["malignant"] is None else f"P(malignant) {line['malignant']:.2f}"
    rows = "<br>".join(
        f"{label} {asked[key]:g} → {_figure(measured[key])}"
        for label, key in (("A", "asymmetry"), ("B", "border"), ("C", "num_colours"))
    )
    found = html.escape(measured["refused"]) if measured["refused"] else rows
    name, near = html.escape(asked["diagnosis"]), line.get("nearest")
    flag = " is-copy" if near and near["is_copy"] else ""
    return (
        f'<figure class="df-probe{flag}"><img class="df-probe-picture" alt="Synthetic probe sample, {name}" '
        f'src="data:image/jpeg;base64,{html.escape(line["jpeg"])}">'
        f"<figcaption><b>{name}</b> · {malignant}<br>{found}{_nearest(near)}</figcaption></figure>"
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _last_figures(history: Sequence[Line]) -> dict[str, Any]:
    """The latest value of every figure of a history."""
    return {name: value for line in history for name, value in line.items() if value is not None and name != "seconds"}


def _setting(run: TrainingRun, name: str) -> str:
    settings = run.settings
    return _text(settings[name] if name in settings else settings.get("optim", {}).get(name))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
