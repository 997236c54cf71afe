"""ROC curves of several classifiers in one figure, with bands: an HTML page to look into and a PNG for documents.

It draws what it is given and knows no model.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from dermaflux.evaluation.roc_band import RocBand
from dermaflux.figures.curves import ROC_AXES, draw_roc
from dermaflux.figures.drawing import colour


def write_roc(folder: Path, bands: Mapping[str, RocBand], title: str) -> tuple[Path, Path]:
    """Write roc.html and roc.png into a folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    page, picture = folder / "roc.html", folder / "roc.png"
    for path, write in ((page, _write_page), (picture, _write_picture)):
        partial = path.with_name(f".partial-{path.name}")
        write(partial, bands, title)
        partial.replace(path)
    return page, picture


def _write_page(path: Path, bands: Mapping[str, RocBand], title: str) -> None:
    drawn = draw_roc({name: asdict(band) | {"auc": band.auc} for name, band in bands.items()})
    drawn.figure.update_layout(title=title, width=860, height=640)
    drawn.figure.write_html(path, include_plotlyjs=True)


def _write_picture(path: Path, bands: Mapping[str, RocBand], title: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 6), layout="constrained")
    axes = figure.subplots()
    for index, (name, band) in enumerate(bands.items()):
        shade = colour(index)
        axes.fill_between(band.false_rate, band.low, band.high, color=shade, alpha=0.13, linewidth=0)
        axes.plot(band.false_rate, band.sensitivity, color=shade, linewidth=1.8, label=_label(name, band))
    axes.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel=ROC_AXES[0], ylabel=ROC_AXES[1], title=title, aspect="equal")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right", title="AUC (95 %)")
    figure.savefig(path, dpi=120, format="png")


def _label(name: str, band: RocBand) -> str:
    return f"{name}: {band.auc}"
