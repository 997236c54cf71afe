"""An augmentation study as panels: a column a model, a row a metric, a curve a number of real pictures.

It takes finished cells as the results file holds them and knows no file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dermaflux.evaluation.study import METRICS, Line, Setting, curves, settings_of
from dermaflux.figures.drawing import Drawing, colour, dress

RATIO = "synthetic pictures for each real one (0: standard augmentation only)"


def draw_study(lines: Sequence[Line], differences: Sequence[Mapping[str, Any]] = ()) -> Drawing:
    """The panels of a study's cells: mean and standard deviation over seeds; dotted, the best baseline on val.

    differences: what `training.study_report` found of each arm against its baseline, paired by seed.
    """
    settings = settings_of(lines)
    gains = {(found["model"], found["num_real"], found["arm"]): found for found in differences}
    header = (
        "model", "real pictures", "arm", "seeds", "val AUC", *(f"test {label}" for label in METRICS.values()),
        *(f"{label} less the baseline's (95 %)" for label in METRICS.values() if gains),
    )  # fmt: skip
    return Drawing(
        name="augmentation-study", figure=draw_panels(settings), header=header,
        rows=[row for setting in settings for row in _rows(setting, gains)],
        title="Augmentation study: classifiers by the share of synthetic pictures they learned from",
        says=" ".join(_verdict(setting, gains) for setting in settings),
    )  # fmt: skip


def draw_panels(settings: Sequence[Setting]) -> Any:
    """The plotly figure of a study's settings."""
    from plotly.subplots import make_subplots

    models = list(dict.fromkeys(setting.model for setting in settings))
    figure = make_subplots(rows=len(METRICS), cols=len(models), column_titles=models, shared_xaxes=True,
                           shared_yaxes=True, vertical_spacing=0.08, horizontal_spacing=0.04)  # fmt: skip
    dress(figure, height_px=640)
    figure.update_layout(legend={"y": 1.06})  # above the names of the columns
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


Gains = Mapping[tuple[str, int, str], Mapping[str, Any]]


def _rows(setting: Setting, gains: Gains) -> list[tuple[Any, ...]]:
    return [
        (
            setting.model,
            setting.num_real,
            arm + {setting.baseline: " (baseline)", setting.chosen: " (chosen)"}.get(arm, ""),
            len(lines),
            round(setting.mean(arm, "val", "auc"), 4),
            *(round(setting.mean(arm, "test", metric), 4) for metric in METRICS),
            *(_interval(gains.get((setting.model, setting.num_real, arm)), metric) for metric in METRICS if gains),
        )
        for arm, lines in setting.arms.items()
    ]


def _interval(gain: Mapping[str, Any] | None, metric: str) -> str:
    if gain is None:
        return ""
    value, low, high = gain[metric]
    return f"{value:+.3f} ({low:+.3f}, {high:+.3f})"


def _verdict(setting: Setting, gains: Gains) -> str:
    baseline, chosen = setting.baseline, setting.chosen
    where = f"{setting.model} with {setting.num_real} real pictures"
    if baseline is None or chosen is None:
        return f"{where}: no comparison yet."
    said = f"{where}: {chosen}, the best ratio on val, has a test AUC"
    gain = gains.get((setting.model, setting.num_real, chosen))
    if gain is None or gain["against"] != baseline:
        difference = setting.mean(chosen, "test", "auc") - setting.mean(baseline, "test", "auc")
        return f"{said} {difference:+.3f} from {baseline}, the best baseline."
    seeds = f"{gain['num_seeds']} seed{'' if gain['num_seeds'] == 1 else 's'}"
    return f"{said} {_interval(gain, 'auc')} from {baseline}, the best baseline, paired over {seeds}."
