"""The figures of an augmentation study: a metric against the ratio, a panel a model, and ROC curves with bands.

Each is written twice: an HTML page to look into (plotly) and a PNG for documents (matplotlib). It knows no file of
results.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dermaflux.evaluation.classifier_metrics import Bootstrap
from dermaflux.evaluation.roc_band import roc_band
from training.roc_figure import write_roc
from training.study_config import Arm

if TYPE_CHECKING:
    from training.study_report import Setting, Truth

COLOURS = ("#0c6170", "#a5322b", "#7a5a0c", "#3b5ba5", "#1c6e44", "#7d3c98")
METRICS = {"auc": "AUC", "balanced_accuracy": "balanced accuracy"}
_RATIO = "synthetic pictures for each real one (0: standard augmentation only)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A metric's mean and standard deviation over seeds against the ratio, and the chosen baseline's mean."""

    name: str
    ratios: list[float]
    means: list[float]
    spreads: list[float]
    baseline: float | None


def curves(settings: Sequence["Setting"], metric: str) -> list[Curve]:
    """One curve a setting: `augmented` at ratio 0, then the flow's plain ratios."""
    return [_curve(setting, metric) for setting in settings]


def _curve(setting: "Setting", metric: str) -> Curve:
    points: dict[float, list[float]] = {}
    for arm, lines in setting.arms.items():
        ratio = 0.0 if arm == "augmented" else _plain_ratio(arm)
        if ratio is not None:
            points[ratio] = [line["test"][metric] for line in lines]
    ratios = sorted(points)
    return Curve(
        name=f"{setting.num_real} real",
        ratios=ratios,
        means=[float(np.mean(points[ratio])) for ratio in ratios],
        spreads=[float(np.std(points[ratio], ddof=1)) if len(points[ratio]) > 1 else 0.0 for ratio in ratios],
        baseline=setting.mean(setting.baseline, "test", metric) if setting.baseline else None,
    )


def _plain_ratio(name: str) -> float | None:
    arm = Arm.parse(name)
    return arm.ratio if arm.source == "flow" and not arm.how else None


def write_panels(folder: Path, settings: Sequence["Setting"]) -> None:
    """Write panels.html and panels.png: a column a model, a row a metric, dotted lines the best baselines."""
    folder.mkdir(parents=True, exist_ok=True)
    models = list(dict.fromkeys(setting.model for setting in settings))
    grid = {(m, k): curves([s for s in settings if s.model == m], k) for m in models for k in METRICS}
    for name, write in (("panels.html", _panels_page), ("panels.png", _panels_picture)):
        partial = folder / f".partial-{name}"
        write(partial, models, grid)
        partial.replace(folder / name)


def _panels_page(path: Path, models: Sequence[str], grid: Mapping[tuple[str, str], list[Curve]]) -> None:
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(METRICS), cols=len(models), column_titles=list(models), shared_xaxes=True)
    for row, (metric, label) in enumerate(METRICS.items(), start=1):
        for column, model in enumerate(models, start=1):
            place: dict[str, Any] = {"row": row, "col": column}
            for index, curve in enumerate(grid[model, metric]):
                colour = COLOURS[index % len(COLOURS)]
                figure.add_scatter(
                    x=curve.ratios, y=curve.means, error_y={"array": curve.spreads}, mode="lines+markers",
                    line={"color": colour}, name=curve.name, legendgroup=curve.name, showlegend=row == column == 1,
                    **place,
                )  # fmt: skip
                if curve.baseline is not None:
                    figure.add_hline(y=curve.baseline, line={"color": colour, "dash": "dot"}, **place)
            figure.update_yaxes(title=f"{label}, test", **place)
            figure.update_xaxes(title=_RATIO if row == len(METRICS) else None, **place)
    figure.update_layout(template="plotly_white", width=max(560, 480 * len(models)), height=760)
    figure.write_html(path, include_plotlyjs=True)


def _panels_picture(path: Path, models: Sequence[str], grid: Mapping[tuple[str, str], list[Curve]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, 5.2 * len(models)), 7.5), layout="constrained")
    panels = figure.subplots(len(METRICS), len(models), squeeze=False, sharex=True)
    for row, (metric, label) in enumerate(METRICS.items()):
        for column, model in enumerate(models):
            axes = panels[row][column]
            for index, curve in enumerate(grid[model, metric]):
                colour = COLOURS[index % len(COLOURS)]
                axes.errorbar(curve.ratios, curve.means, curve.spreads, color=colour, marker="o", capsize=3,
                              label=curve.name)  # fmt: skip
                if curve.baseline is not None:
                    axes.axhline(curve.baseline, color=colour, linestyle=":", linewidth=1)
            axes.set(ylabel=f"{label}, test", title=model if row == 0 else "")
            axes.grid(alpha=0.25)
        panels[row][0].legend(fontsize=8)
    figure.supxlabel(_RATIO, fontsize=9)
    figure.savefig(path, dpi=120, format="png")


def write_study_roc(folder: Path, title: str, scores: Mapping[str, np.ndarray], truth: "Truth") -> None:
    """ROC curves of arms (S, N scores each) on the test pictures, all seeds pooled, with bands over lesions."""
    bands = {}
    for arm, rows in scores.items():
        labels, lesions = np.tile(truth.labels, len(rows)), list(truth.lesion_ids) * len(rows)
        bands[arm] = roc_band(labels, rows.ravel(), lesions, Bootstrap(num_resamples=300))
    name = "-".join(title.replace(",", "").split())
    write_roc(folder / name, bands, title)
