"""ROC curves of several classifiers in one figure, with bands: an HTML page to look into and a PNG for documents.

It draws what it is given and knows no model.
"""

from collections.abc import Mapping
from pathlib import Path

from dermaflux.evaluation.roc_band import RocBand

_COLOURS = ("#0c6170", "#a5322b", "#7a5a0c", "#3b5ba5", "#1c6e44", "#7d3c98", "#5d6d7e", "#c0692b")
_AXES = ("1 - specificity", "sensitivity (malignant)")


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
    from plotly import graph_objects

    figure = graph_objects.Figure()
    for index, (name, band) in enumerate(bands.items()):
        colour, label = _COLOURS[index % len(_COLOURS)], _label(name, band)
        around = {"x": [*band.false_rate, *band.false_rate[::-1]], "y": [*band.high, *band.low[::-1]]}
        figure.add_scatter(**around, fill="toself", fillcolor=colour, opacity=0.13, line={"width": 0}, name=label,
                           legendgroup=name, showlegend=False, hoverinfo="skip")  # fmt: skip
        figure.add_scatter(x=band.false_rate, y=band.sensitivity, line={"color": colour, "width": 2}, name=label,
                           legendgroup=name)  # fmt: skip
    figure.add_scatter(x=[0, 1], y=[0, 1], line={"color": "#999", "dash": "dot"}, name="chance", hoverinfo="skip")
    figure.update_layout(title=title, template="plotly_white", width=860, height=640, hovermode="x unified")
    figure.update_xaxes(title=_AXES[0], range=[0, 1], constrain="domain")
    figure.update_yaxes(title=_AXES[1], range=[0, 1], scaleanchor="x")
    figure.write_html(path, include_plotlyjs=True)


def _write_picture(path: Path, bands: Mapping[str, RocBand], title: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 6), layout="constrained")
    axes = figure.subplots()
    for index, (name, band) in enumerate(bands.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        axes.fill_between(band.false_rate, band.low, band.high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(band.false_rate, band.sensitivity, color=colour, linewidth=1.8, label=_label(name, band))
    axes.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel=_AXES[0], ylabel=_AXES[1], title=title, aspect="equal")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right", title="AUC (95 %)")
    figure.savefig(path, dpi=120, format="png")


def _label(name: str, band: RocBand) -> str:
    return f"{name}: {band.auc}"
