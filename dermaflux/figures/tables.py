"""Cells and bars: leakage, adherence, coverage, quality by its floor, memorisation, subgroups, diversity, artefacts.

Each takes a report as `python -m dermaflux evaluate ... --json` prints it. It knows no model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dermaflux.domain.errors import DataNotFound
from dermaflux.figures import words
from dermaflux.figures.drawing import QUIET, Drawing, blank, colour
from dermaflux.figures.words import word

Report = Mapping[str, Any]
MIN_PICTURES = 30
# Pale to mid tones: a number in dark or light ink can be read on each.
_SHARED = [[0, "rgba(28,138,156,0.04)"], [1, "rgba(28,138,156,0.72)"]]
_DIVERGING = [[0, "rgba(207,90,80,0.72)"], [0.5, "rgba(128,128,128,0.03)"], [1, "rgba(28,138,156,0.72)"]]
_ATTRIBUTES = ("asymmetry", "border", "num_colours")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """A table of tinted cells: names of columns and rows, a value and a text for each."""

    x: Sequence[str]
    y: Sequence[str]
    values: Sequence[Sequence[float | None]]
    texts: Sequence[Sequence[str]]
    scale: Any
    limits: tuple[float, float]


def draw_leakage(report: Report) -> Drawing:
    """Spearman of the slider that was moved (rows) with everything measured (columns)."""
    leakage = report["leakage"]
    moved, found = list(leakage), list(next(iter(leakage.values())))
    values = [[leakage[row][column] for column in found] for row in moved]
    figure = blank("measured", "slider that was moved")
    texts = [["-" if value is None else f"{value:.2f}" for value in row] for row in values]
    x, y = [word(name) for name in found], [word(name) for name in moved]
    _add_cells(figure, _Cells(x=x, y=y, values=values, texts=texts, scale=_DIVERGING, limits=(-1, 1)))
    rows = [(row, column, leakage[row][column]) for row in moved for column in found]
    return Drawing(
        name="leakage", figure=figure, header=("moved", "measured", "spearman"), rows=rows,
        title="Leakage: which measures move with which slider", says=words.of_leakage(report),
    )  # fmt: skip


def draw_adherence(report: Report) -> Drawing:
    """Of each slider how well the images follow it."""
    shown = {"spearman": "Spearman", "within_one_level": "within one level", "monotone_share": "steps that rise"}
    figure = blank("", "0 to 1")
    names = list(report["attributes"])
    for index, (key, label) in enumerate(shown.items()):
        values = [report["attributes"][name][key] for name in names]
        figure.add_bar(x=[word(n) for n in names], y=values, name=label, marker={"color": colour(index)})
    figure.update_yaxes(range=[-0.05, 1.02])
    keys = (*shown, "num_measured")
    return Drawing(
        name="adherence", figure=figure, header=("attribute", *keys),
        rows=[(n, *(report["attributes"][n][key] for key in keys)) for n in names],
        title="Adherence: how well images follow each slider", says=words.of_adherence(report),
    )  # fmt: skip


def draw_coverage(report: Report) -> Drawing:
    """Accepted images by diagnosis and measured level; beside them, where known, the real ones."""
    cells = report["cells"]
    columns = sorted({(_ATTRIBUTES.index(c["attribute"]), _level(c["level"]), c["level"]) for c in cells})
    diagnoses = sorted({c["diagnosis"] for c in cells})
    count = {(c["diagnosis"], c["attribute"], c["level"]): c for c in cells}
    values, texts = [], []
    for diagnosis in diagnoses:
        found = [count.get((diagnosis, _ATTRIBUTES[a], level)) for a, _, level in columns]
        values.append([c["synthetic"] if c else 0 for c in found])
        texts.append([_counts(c, has_real=bool(report["num_real"])) for c in found])
    names = [f"{word(_ATTRIBUTES[a])} {level}" for a, _, level in columns]
    figure = blank("measured level", "diagnosis asked for", height_px=max(380, 150 + 44 * len(diagnoses)))
    top = max((max(row) for row in values), default=1)
    _add_cells(figure, _Cells(x=names, y=diagnoses, values=values, texts=texts, scale=_SHARED, limits=(0, max(1, top))))
    keys = ("diagnosis", "attribute", "level", "synthetic", "real")
    return Drawing(
        name="coverage", figure=figure, header=keys, rows=[[c[key] for key in keys] for c in cells],
        title="Coverage: accepted images by diagnosis and measured level", says=words.of_coverage(report),
    )  # fmt: skip


def draw_quality(report: Report) -> Drawing:
    """Each figure of the synthetic set beside that of real against real, its floor."""
    synthetic, floor = report["synthetic"], report["real_floor"]
    shares = [name for name in ("precision", "recall", "density", "coverage", "diversity") if name in synthetic]
    figure = blank("", "share (1 = as real)")
    for index, (label, part) in enumerate((("synthetic", synthetic), ("real against real", floor))):
        marker = {"color": colour(0) if index == 0 else QUIET}
        figure.add_bar(x=shares, y=[part[name] for name in shares], name=label, marker=marker)
    return Drawing(
        name="quality", figure=figure, header=("figure", "synthetic", "real floor"),
        rows=[(name, synthetic[name], floor[name]) for name in synthetic],
        title="Quality: synthetic images beside real ones against real ones", says=words.of_quality(report),
    )  # fmt: skip


def draw_memorisation(report: Report) -> Drawing:
    """How near each image comes to its nearest picture of the split it was compared with, and where copies begin."""
    nearest, calibration, picture = report["nearest"], report["calibration"], words.compared_with(report)
    figure = blank(f"distance to the nearest {picture}", "images")
    figure.add_histogram(x=[n["distance"] for n in nearest], marker={"color": colour(0)}, nbinsx=40, name="images")
    limits = (("copy below", calibration["threshold"], colour(1)),
              ("median of real to real", calibration["median_real_to_real"], QUIET))  # fmt: skip
    for label, value, shade in limits:
        figure.add_vline(x=value, line={"color": shade, "dash": "dash"}, annotation_text=label)
    keys = [key for key in ("path", "nearest", "distance", "is_copy") if nearest and key in nearest[0]]
    rows = [[str(n[key]).rsplit("/", 1)[-1] if key in ("path", "nearest") else n[key] for key in keys] for n in nearest]
    return Drawing(
        name="memorisation", figure=figure, header=keys, rows=rows,
        title=f"How near each image comes to a {picture}", says=words.of_memorisation(report),
    )  # fmt: skip


def draw_fairness(report: Report, attribute: str, figure_name: str = "auc") -> Drawing:
    """One figure of the classifier by group, with 95 % intervals; a group under 30 pictures shows its count alone."""
    if attribute not in report["subgroups"]:
        raise DataNotFound(f"The report has no groups by {attribute}. It knows {', '.join(report['subgroups'])}.")
    found = report["subgroups"][attribute]
    cells = found["cells"]
    known = {n: c for n, c in cells.items() if c["num_pictures"] >= MIN_PICTURES and c[figure_name]}
    figure = blank(f"{attribute} (pictures)", word(figure_name), height_px=420)
    names = [f"{name} (n = {cell['num_pictures']})" for name, cell in cells.items()]
    values = [known[name][figure_name] if name in known else None for name in cells]
    figure.add_scatter(
        x=names, y=[v["value"] if v else None for v in values], mode="markers",
        marker={"color": colour(0), "size": 10}, name=figure_name,
        error_y={"type": "data", "symmetric": False, "color": colour(0),
                 "array": [v["high"] - v["value"] if v else 0 for v in values],
                 "arrayminus": [v["value"] - v["low"] if v else 0 for v in values]},
    )  # fmt: skip
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=names)
    figure.update_yaxes(range=[0, 1.02])
    bounds = [(v["value"], v["low"], v["high"]) if v else (None, None, None) for v in values]
    return Drawing(
        name=f"fairness-{attribute.replace(' ', '-')}-{figure_name}", figure=figure,
        header=(attribute, "pictures", "malignant", figure_name, "low", "high"),
        rows=[(n, c["num_pictures"], c["num_positive"], *b) for (n, c), b in zip(cells.items(), bounds, strict=True)],
        title=f"Fairness: {word(figure_name)} by {attribute}",
        says=words.of_fairness(found, figure_name, MIN_PICTURES),
    )  # fmt: skip


def draw_diversity(report: Report) -> Drawing:
    """The spread within one request beside that within the real class it asked for."""
    classes = report["classes"]
    figure = blank("diagnosis", "mean distance within")
    for label, key, shade in (("one request", "within_request", colour(0)), ("the real class", "within_class", QUIET)):
        figure.add_bar(x=list(classes), y=[c[key] for c in classes.values()], name=label, marker={"color": shade})
    keys = ("within_request", "within_class", "ratio", "num_requests", "num_images", "num_real")
    return Drawing(
        name="diversity", figure=figure, header=("diagnosis", *keys),
        rows=[(name, *(c[key] for key in keys)) for name, c in classes.items()],
        title="Diversity: spread within a request and within the real class", says=words.of_diversity(report),
    )  # fmt: skip


def draw_artefacts(report: Report) -> Drawing:
    """How often both sets show dark corners, hair, ink and rulers."""
    marks = list(report["real"]["all"]["rates"])
    figure = blank("", "share of pictures")
    for label, shade in (("synthetic", colour(0)), ("real", QUIET)):
        rates = report[label]["all"]["rates"]
        x, y = [word(mark) for mark in marks], [rates[mark] for mark in marks]
        figure.add_bar(x=x, y=y, name=label, marker={"color": shade})
    rows = [
        (label, diagnosis, part["num_images"], *(part["rates"][mark] for mark in marks))
        for label in ("synthetic", "real")
        for diagnosis, part in report[label].items()
    ]
    return Drawing(
        name="artefacts", figure=figure, header=("pictures", "diagnosis", "images", *marks), rows=rows,
        title="Artefacts: how often both sets show each mark", says=words.of_artefacts(report),
    )  # fmt: skip


def _add_cells(figure: Any, cells: "_Cells") -> None:
    figure.add_heatmap(
        x=list(cells.x), y=list(cells.y), z=cells.values, text=cells.texts, texttemplate="%{text}",
        colorscale=cells.scale, zmin=cells.limits[0], zmax=cells.limits[1], showscale=False, xgap=2, ygap=2,
        hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(side="bottom", showgrid=False, type="category")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")


def _counts(cell: Mapping[str, Any] | None, *, has_real: bool) -> str:
    if cell is None:
        return ""
    return f"{cell['synthetic']} / {cell['real']}" if has_real else str(cell["synthetic"])


def _level(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # not measured
        return float("inf")
