"""The figures of an augmentation study: a metric against the ratio, a panel a model, and ROC curves with bands.

Each is written twice: an HTML page to look into (plotly) and a PNG for documents (matplotlib). It knows no file of
results.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dermaflux.evaluation.classifier_metrics import Bootstrap
from dermaflux.evaluation.roc_band import roc_band
from dermaflux.evaluation.study import METRICS, Setting, curves
from dermaflux.figures.drawing import colour
from dermaflux.figures.study import RATIO, draw_panels
from training.roc_figure import write_roc

if TYPE_CHECKING:
    from training.study_report import Truth


def write_panels(folder: Path, settings: Sequence[Setting]) -> None:
    """Write panels.html and panels.png: a column a model, a row a metric, dotted lines the best baselines."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in (("panels.html", _panels_page), ("panels.png", _panels_picture)):
        partial = folder / f".partial-{name}"
        write(partial, settings)
        partial.replace(folder / name)


def _panels_page(path: Path, settings: Sequence[Setting]) -> None:
    figure = draw_panels(settings)
    figure.update_layout(width=max(560, 480 * len({setting.model for setting in settings})), height=760)
    figure.write_html(path, include_plotlyjs=True)


def _panels_picture(path: Path, settings: Sequence[Setting]) -> None:
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(setting.model for setting in settings))
    grid = {(m, k): curves([s for s in settings if s.model == m], k) for m in models for k in METRICS}
    figure = Figure(figsize=(max(6.0, 5.2 * len(models)), 7.5), layout="constrained")
    panels = figure.subplots(len(METRICS), len(models), squeeze=False, sharex=True)
    for row, (metric, label) in enumerate(METRICS.items()):
        for column, model in enumerate(models):
            axes = panels[row][column]
            for index, curve in enumerate(grid[model, metric]):
                shade = colour(index)
                axes.errorbar(curve.ratios, curve.means, curve.spreads, color=shade, marker="o", capsize=3,
                              label=curve.name)  # fmt: skip
                if curve.baseline is not None:
                    axes.axhline(curve.baseline, color=shade, linestyle=":", linewidth=1)
            axes.set(ylabel=f"{label}, test", title=model if row == 0 else "")
            axes.grid(alpha=0.25)
        panels[row][0].legend(fontsize=8)
    figure.supxlabel(RATIO, fontsize=9)
    figure.savefig(path, dpi=120, format="png")


def write_study_roc(folder: Path, title: str, scores: Mapping[str, np.ndarray], truth: "Truth") -> None:
    """ROC curves of arms (S, N scores each) on the test pictures, all seeds pooled, with bands over lesions."""
    bands = {}
    for arm, rows in scores.items():
        labels, lesions = np.tile(truth.labels, len(rows)), list(truth.lesion_ids) * len(rows)
        bands[arm] = roc_band(labels, rows.ravel(), lesions, Bootstrap(num_resamples=300))
    name = "-".join(title.replace(",", "").split())
    write_roc(folder / name, bands, title)
