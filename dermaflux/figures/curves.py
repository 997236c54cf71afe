"""Curves over one axis: ROC with bands, reliability, net benefit, and the losses of training runs.

Numbers come in as plain mappings, as reports and histories hold them. It knows no model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dermaflux.domain.errors import DataNotFound
from dermaflux.figures import words
from dermaflux.figures.drawing import QUIET, Drawing, blank, colour

Numbers = Mapping[str, Any]
ROC_AXES = ("1 - specificity", "sensitivity (malignant)")
_DISTANCES = (
    ("memorisation_min", "nearest probe sample", "solid"),
    ("memorisation_median", "median probe sample", "solid"),
    ("memorisation_held_out", "median held-out picture", "dot"),
    ("memorisation_threshold", "threshold of a copy", "dash"),
)


def draw_roc(curves: Mapping[str, Numbers]) -> Drawing:
    """ROC curves with pointwise 95 % bands. curves: name -> false_rate, sensitivity, low, high (P,) and auc as text.

    Raises DataNotFound for a report without curves.
    """
    figure = blank(*ROC_AXES, height_px=560)
    rows: list[tuple[Any, ...]] = []
    for index, (name, curve) in enumerate(curves.items()):
        if not len(curve.get("false_rate", ())):
            raise DataNotFound(f"The report {name} was made before curves were kept. Make it anew.")
        x, label = [float(v) for v in curve["false_rate"]], f"{name}: AUC {curve['auc']}"
        middle, low, high = ([float(v) for v in curve[key]] for key in ("sensitivity", "low", "high"))
        figure.add_scatter(x=[*x, *x[::-1]], y=[*high, *low[::-1]], fill="toself", fillcolor=colour(index),
                           opacity=0.16, line={"width": 0}, legendgroup=name, showlegend=False,
                           hoverinfo="skip")  # fmt: skip
        figure.add_scatter(x=x, y=middle, line={"color": colour(index), "width": 2}, name=label, legendgroup=name)
        rows += [(name, *values) for values in zip(x, middle, low, high, strict=True)]
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": QUIET, "dash": "dot"}, name="chance",
                       hoverinfo="skip")  # fmt: skip
    figure.update_layout(hovermode="x unified")
    figure.update_xaxes(range=[0, 1], constrain="domain")
    figure.update_yaxes(range=[0, 1.01], scaleanchor="x", constrain="domain")
    return Drawing(
        name="roc", figure=figure, header=("curve", "false positive rate", "sensitivity", "low", "high"), rows=rows,
        title=f"ROC curve{'s' if len(curves) > 1 else ''} with 95 % bands", says=words.of_roc(curves),
    )  # fmt: skip


def draw_reliability(bins: Sequence[Numbers], ece: float | None) -> Drawing:
    """How often what is called P(malignant) comes true, and how many pictures lie in each bin."""
    filled = [b for b in bins if b["mean_score"] is not None]
    figure = blank("mean P(malignant) of the pictures in a bin", "share that is malignant", height_px=520)
    total = sum(b["num_pictures"] for b in bins) or 1
    figure.add_bar(
        x=[(b["low"] + b["high"]) / 2 for b in bins], y=[b["num_pictures"] / total for b in bins],
        width=[b["high"] - b["low"] for b in bins], marker={"color": QUIET, "opacity": 0.3},
        name="share of all pictures",
    )  # fmt: skip
    figure.add_scatter(
        x=[b["mean_score"] for b in filled], y=[b["frequency"] for b in filled], mode="lines+markers",
        line={"color": colour(0), "width": 2}, name="classifier", customdata=[b["num_pictures"] for b in filled],
        hovertemplate="said %{x:.2f}, came true %{y:.2f}, %{customdata} pictures<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": QUIET, "dash": "dot"}, name="perfect",
                       hoverinfo="skip")  # fmt: skip
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=[0, 1.02])
    keys = ("low", "high", "num_pictures", "mean_score", "frequency")
    return Drawing(
        name="calibration", figure=figure, header=keys, rows=[[b[key] for key in keys] for b in bins],
        title="Calibration: what the classifier says against what came true", says=words.of_reliability(bins, ece),
    )  # fmt: skip


def draw_net_benefit(points: Sequence[Numbers]) -> Drawing:
    """Net benefit of acting on the classifier, on all and on none, by the threshold of action."""
    figure = blank("threshold probability", "net benefit (true positives a picture)")
    named = {"net_benefit": "classifier", "treat_all": "treat all", "treat_none": "treat none"}
    for index, (key, name) in enumerate(named.items()):
        dash = "solid" if index == 0 else "dot"
        figure.add_scatter(x=[p["threshold"] for p in points], y=[p[key] for p in points], name=name,
                           line={"color": colour(index), "dash": dash})  # fmt: skip
    top = max((p["net_benefit"] for p in points), default=1)
    figure.update_yaxes(range=[-0.05, max(0.1, top * 1.15)])
    keys = ("threshold", *named)
    return Drawing(
        name="net-benefit", figure=figure, header=keys, rows=[[p[key] for key in keys] for p in points],
        title="Net benefit of acting on the classifier, by threshold", says=words.of_net_benefit(points),
    )  # fmt: skip


def draw_losses(histories: Mapping[str, Sequence[Numbers]]) -> Drawing:
    """Loss of each step and what was evaluated, of one run or several. AUC and accuracy have the axis at the right."""
    figure = blank("step", "loss")
    rows: list[tuple[Any, ...]] = []
    many, has_share = len(histories) > 1, False
    for index, (run, lines) in enumerate(histories.items()):
        for place, (key, label) in enumerate(words.LOSSES.items()):
            points = [(line["step"], line[key]) for line in lines if line.get(key) is not None]
            if not points:
                continue
            is_share, is_raw = key in ("val_auc", "val_accuracy"), key == "loss" and len(points) > 50
            has_share |= is_share
            x, y = ([point[i] for point in points] for i in (0, 1))
            figure.add_scatter(
                x=x, y=_smooth(y) if is_raw else y, name=f"{run}: {label}" if many else label,
                mode="lines" if is_raw else "lines+markers", yaxis="y2" if is_share else "y",
                line={"color": colour(index if many else place), "width": 2,
                      "dash": ("dot" if place % 2 else "solid") if many else "solid"},
            )  # fmt: skip
            rows += [(run, label, step, value) for step, value in points]
    if has_share:
        axis = {"overlaying": "y", "side": "right", "title": "AUC, accuracy", "showgrid": False, "range": [0.3, 1.01]}
        figure.update_layout(yaxis2=axis, margin={"r": 64})
    return Drawing(
        name="losses", figure=figure, header=("run", "figure", "step", "value"), rows=rows,
        title=f"Losses and validation figures of {', '.join(histories)}", says=words.of_losses(histories),
    )  # fmt: skip


def draw_distances(history: Sequence[Numbers]) -> Drawing | None:
    """How near probe samples come to training pictures, by step; None where no round was held against them."""
    rounds = [line for line in history if line.get("memorisation_min") is not None]
    if not rounds:
        return None
    figure = blank("step", "distance", height_px=320)
    steps = [line["step"] for line in rounds]
    for place, (key, label, style) in enumerate(_DISTANCES):
        if all(line.get(key) is None for line in rounds):
            continue
        is_sample = style == "solid"
        figure.add_scatter(
            x=steps, y=[line.get(key) for line in rounds], name=label, mode="lines+markers",
            line={"color": colour(place) if is_sample else QUIET, "width": 2, "dash": style},
            marker={"size": 7 if is_sample else 3},
        )  # fmt: skip
    figure.update_yaxes(rangemode="tozero")
    keys = [key for key, _, _ in _DISTANCES]
    return Drawing(
        name="distances", figure=figure, header=("step", *(label for _, label, _ in _DISTANCES), "share of copies"),
        rows=[[line["step"], *(line.get(key) for key in keys), line.get("memorisation_share")] for line in rounds],
        title="How near probe samples come to training pictures", says=words.of_distances(rounds),
    )  # fmt: skip


def _smooth(values: Sequence[float]) -> list[float]:
    """A running mean that forgets with a horizon of a fiftieth of the curve, so that a trend can be seen."""
    keep = 1 - min(1.0, 50 / len(values))
    smooth, weight, total = [], 0.0, 0.0
    for value in values:
        weight, total = keep * weight + 1, keep * total + value
        smooth.append(total / weight)
    return smooth
