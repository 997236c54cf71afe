"""An augmentation study as panels: a column a model, a row a metric, a curve a number of real pictures.

It takes finished cells as the results file holds them and knows no file.
"""

from collections.abc import Sequence
from typing import Any

from dermaflux.evaluation.study import METRICS, Line, Setting, curves, settings_of
from dermaflux.figures.drawing import Drawing, colour, dress

RATIO = "synthetic pictures for each real one (0: standard augmentation only)"


def draw_study(lines: Sequence[Line]) -> Drawing:
    """The panels of a study's cells: mean and standard deviation over seeds; dotted, the best baseline on val."""
    settings = settings_of(lines)
    header = ("model", "real pictures", "arm", "seeds", "val AUC", *(f"test {label}" for label in METRICS.values()))
    return Drawing(
        name="augmentation-study", figure=draw_panels(settings), header=header,
        rows=[row for setting in settings for row in _rows(setting)],
        says=" ".join(_verdict(setting) for setting in settings),
    )  # fmt: skip


def draw_panels(settings: Sequence[Setting]) -> Any:
    """The plotly figure of a study's settings."""
    from plotly.subplots import make_subplots

    models = list(dict.fromkeys(setting.model for setting in settings))
    figure = make_subplots(rows=len(METRICS), cols=len(models), column_titles=models, shared_xaxes=True,
                           shared_yaxes=True, vertical_spacing=0.08, horizontal_spacing=0.04)  # fmt: skip
    dress(figure, height_px=640)
    for row, (metric, label) in enumerate(METRICS.items(), start=1):
        for column, model in enumerate(models, start=1):
            place: dict[str, Any] = {"row": row, "col": column}
            _panel(figure, place, [s for s in settings if s.model == model], metric)
            figure.update_yaxes(title=f"{label}, test" if column == 1 else None, **place)
            figure.update_xaxes(title=RATIO if row == len(METRICS) else None, **place)
    return figure


def _panel(figure: Any, place: dict[str, Any], settings: Sequence[Setting], metric: str) -> None:
    for index, curve in enumerate(curves(settings, metric)):
        figure.add_scatter(
            x=curve.ratios, y=curve.means, error_y={"array": curve.spreads}, mode="lines+markers",
            line={"color": colour(index)}, name=curve.name, legendgroup=curve.name,
            showlegend=place == {"row": 1, "col": 1}, **place,
        )  # fmt: skip
        if curve.baseline is not None:
            figure.add_hline(y=curve.baseline, line={"color": colour(index), "dash": "dot"}, **place)


def _rows(setting: Setting) -> list[tuple[Any, ...]]:
    return [
        (
            setting.model,
            setting.num_real,
            arm + {setting.baseline: " (baseline)", setting.chosen: " (chosen)"}.get(arm, ""),
            len(lines),
            round(setting.mean(arm, "val", "auc"), 4),
            *(round(setting.mean(arm, "test", metric), 4) for metric in METRICS),
        )
        for arm, lines in setting.arms.items()
    ]


def _verdict(setting: Setting) -> str:
    baseline, chosen = setting.baseline, setting.chosen
    where = f"{setting.model} with {setting.num_real} real pictures"
    if baseline is None or chosen is None:
        return f"{where}: no comparison yet."
    gain = setting.mean(chosen, "test", "auc") - setting.mean(baseline, "test", "auc")
    return f"{where}: {chosen}, the best ratio on val, has a test AUC {gain:+.3f} from {baseline}, the best baseline."
