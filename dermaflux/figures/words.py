"""What each figure shows in a sentence or two with its main numbers, for who sees it, sees it badly or not at all.

Words are made of the same reports that the figures are drawn from. It draws nothing and knows no page.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dermaflux.domain.records import SPLITS

Report = Mapping[str, Any]
WORDS: Mapping[str, str] = {
    "num_colours": "colours",
    "mask_area": "lesion area",
    "malignant": "P(malignant)",
    "vignette": "dark corners",
    "auc": "AUC",
}
LOSSES: Mapping[str, str] = {
    "loss": "training loss",
    "val_mean": "validation loss",
    "seen_mean": "loss of training pictures, as validation",
    "val_auc": "validation AUC",
    "val_accuracy": "validation accuracy",
}
_AT_FALSE_RATE = 0.2
_MAX_NAMED = 4


def word(name: str) -> str:
    """What a column of a report is called."""
    return WORDS.get(name, name)


def of_roc(curves: Mapping[str, Report]) -> str:
    """The area under each curve, and what it finds at a specificity of 80 %."""
    said = []
    for name, curve in curves.items():
        pairs = zip(curve["false_rate"], curve["sensitivity"], strict=True)
        found = max((y for x, y in pairs if x <= _AT_FALSE_RATE), default=0.0)
        said.append(f"{name} has an AUC of {curve['auc']} and finds {found:.0%} at a specificity of 80 %")
    return f"{'; '.join(said)}. Bands hold 95 % of 500 resamples of lesions, point by point."


def of_reliability(bins: Sequence[Report], ece: float | None) -> str:
    """The calibration error, and the bin that is furthest from what it says."""
    filled = [b for b in bins if b["mean_score"] is not None]
    error = f"Expected calibration error {ece:.3f}. " if ece is not None else ""
    if filled:
        worst = max(filled, key=lambda b: abs(b["mean_score"] - b["frequency"]))
        error += (
            f"Furthest off: where {worst['mean_score']:.2f} is said, {worst['frequency']:.2f} came true "
            f"({worst['num_pictures']} pictures). "
        )
    return f"{error}On the dotted line what is said comes true; points of few pictures jump."


def of_net_benefit(points: Sequence[Report]) -> str:
    """Between which thresholds acting on the classifier does more good than either extreme."""
    better = [p for p in points if p["net_benefit"] > max(p["treat_all"], p["treat_none"])]
    if not better:
        return "At no threshold would acting on the classifier do more good than treating all or none."
    most = max(better, key=lambda p: p["net_benefit"] - max(p["treat_all"], p["treat_none"]))
    gain = most["net_benefit"] - max(most["treat_all"], most["treat_none"])
    return (
        f"Acting on the classifier does more good than treating all or none at {len(better)} of {len(points)} "
        f"thresholds from {better[0]['threshold']:.2f} to {better[-1]['threshold']:.2f}, most at "
        f"{most['threshold']:.2f}: {gain:.3f} true positives a picture more."
    )


def of_losses(histories: Mapping[str, Sequence[Report]]) -> str:
    """Where each measure of each run ended, and its best."""
    said = []
    for run, lines in histories.items():
        parts = [part for key, label in LOSSES.items() if (part := _course(lines, key, label))]
        if parts:
            said.append(f"{run}: {', '.join(parts)}" if len(histories) > 1 else ", ".join(parts))
    text = f"{'; '.join(said)}. " if said else ""
    note = "Long training losses are drawn as a running mean; the CSV holds them as they were."
    return f"{text[:1].upper()}{text[1:]}{note}"


def _course(lines: Sequence[Report], key: str, label: str) -> str:
    points = [(line["step"], line[key]) for line in lines if line.get(key) is not None]
    if not points:
        return ""
    (first, began), (last, ended) = points[0], points[-1]
    if key == "loss":
        return f"{label} {began:.3g} at step {first} and {ended:.3g} at step {last}"
    best = (max if key in ("val_auc", "val_accuracy") else min)(points, key=lambda point: point[1])
    return f"{label} {ended:.3g}, at best {best[1]:.3g} at step {best[0]}"


def of_distances(rounds: Sequence[Report]) -> str:
    """How near the last round of probe samples comes to a training picture, and what that means."""
    last = rounds[-1]
    said = (
        f"At step {last['step']} the nearest probe sample is {last['memorisation_min']:.3g} away from a training "
        f"picture, the median one {last['memorisation_median']:.3g}; 0 is the same picture."
    )
    if last["memorisation_threshold"] is None:
        return said
    return (
        f"{said} {last['memorisation_share']:.0%} lie below {last['memorisation_threshold']:.3g} and may be copies: "
        "that threshold leaves a thousandth of real pictures of other lesions below it."
    )


def of_leakage(report: Report) -> str:
    """How each slider moves its own measure, and the strongest leak into another."""
    cells = [(m, f, v) for m, row in report["leakage"].items() for f, v in row.items() if v is not None]
    own = [f"{word(m)} {v:.2f}" for m, f, v in cells if m == f]
    leaks = [cell for cell in cells if cell[0] not in (cell[1], "diagnosis")]  # the diagnosis is to move everything
    said = "" if report.get("malignant_auc") is None else (
        f"Malignant from benign requests: AUC {report['malignant_auc']:.2f}. "
    )  # fmt: skip
    said += f"Sliders with their own measure: {', '.join(own)}. " if own else ""
    if leaks:
        moved, found, value = max(leaks, key=lambda cell: abs(cell[2]))
        said += f"The strongest leak: {word(moved)} moves {word(found)} by {value:.2f}. "
    return (
        f"{said}Near 1 on the diagonal: the slider does what it says. Off it, near 0: it moves nothing else. "
        f"{report['num_images']} images, {report['refusal_share']:.0%} could not be measured."
    )


def of_adherence(report: Report) -> str:
    """How well images follow each slider."""
    found = report["attributes"].items()
    parts = [
        f"{word(name)} with a Spearman of {a['spearman']:.2f}, {a['within_one_level']:.0%} within one level"
        for name, a in found
        if a["spearman"] is not None and a["within_one_level"] is not None
    ]
    said = f"Images follow {'; '.join(parts)}. " if parts else ""
    return f"{said}What was asked for against what was measured on the image, over a sweep of each slider."


def of_coverage(report: Report) -> str:
    """How many images there are, and how much of what real pictures fill they fill."""
    share = report["covered_share"]
    said = "" if share is None else f"{share:.0%} of the cells that real pictures fill hold a synthetic one. "
    real = f"; in each cell synthetic / real ({report['num_real']} real)" if report["num_real"] else ""
    empty = sum(not cell["synthetic"] for cell in report["cells"])
    lack = f" {empty} of {len(report['cells'])} cells hold none." if empty else ""
    return f"{said}{report['num_synthetic']} accepted images{real}.{lack}"


def of_quality(report: Report) -> str:
    """The distances between the sets beside that of real from real."""
    synthetic, floor = report["synthetic"], report["real_floor"]
    return (
        f"FID {synthetic['fid']:.2f} (real against real {floor['fid']:.2f}), KID {synthetic['kid']:.4f} "
        f"({floor['kid']:.4f}); {report['num_synthetic']} images each against {report['num_reference']} real ones."
    )


def compared_with(report: Report) -> str:
    """What a memorisation report compares with, as one picture; reports made before it was noted say only real."""
    split = report.get("compared", {}).get("split")
    return "real picture" if split is None else f"{SPLITS.get(split, split)} picture"


def of_memorisation(report: Report) -> str:
    """How many copies, under which threshold, what they mean, and where the closest pairs can be looked at."""
    calibration, compared, picture = report["calibration"], report.get("compared", {}), compared_with(report)
    said = [
        f"{report['num_copies']:,} of {report['num_synthetic']:,} images ({report['copied_share']:.1%}) lie nearer "
        f"than {calibration['threshold']:.3g} to a {picture}; of {calibration['num_real']:,} {_calibrating(compared)} "
        f"{calibration['false_alarm_share']:.1%} lie so near to another lesion.",
        f"The median image is {report['median_distance']:.3g} away, the nearest {report['min_distance']:.3g}.",
    ]
    if compared.get("split") == "train":
        said.append("An image so near copies what the generator was trained on.")
    elif compared:
        said.append(f"An image so near is a leak: with it in training, a score on the {picture}s says too much.")
    if without := compared.get("num_without_split"):
        said.append(f"{without:,} of {compared['num_pictures']:,} pictures have no split and count for every one.")
    if report.get("sheet"):
        said.append(f"The closest pairs lie in {report['sheet']}. They show patients: keep them private.")
    return " ".join(said)


def _calibrating(compared: Report) -> str:
    split = compared.get("calibrated_on") or compared.get("split")
    return f"{SPLITS.get(str(split), 'real')} pictures"


def of_fairness(found: Report, figure: str, least: int) -> str:
    """The gap between the best and the worst group."""
    gap = found["gaps"].get(figure)
    said = ""
    if gap:
        worst, best = (found["cells"][gap[side]][figure]["value"] for side in ("worst", "best"))
        said = f"From {worst:.3f} ({gap['worst']}) to {best:.3f} ({gap['best']}), {gap['difference']:.3f} apart. "
    return (
        f"{said}Groups under {least} pictures, or without both kinds, have no figure. Skin tone is an estimate from "
        "the picture."
    )


def of_diversity(report: Report) -> str:
    """How the spread within a request compares with that of real classes."""
    known = [(name, c["ratio"]) for name, c in report["classes"].items() if c.get("ratio") is not None]
    parts = f" ({_listed(f'{name} {ratio:.2f}' for name, ratio in sorted(known, key=lambda k: k[1]))})" if known else ""
    return f"Ratio {report['ratio']:.2f}{parts}: below 1 the images of a request are more alike than real lesions are."


def of_artefacts(report: Report) -> str:
    """How often both sets show each mark, and how far the diagnosis can be told from the marks."""
    ours, real = (report[side]["all"]["rates"] for side in ("synthetic", "real"))
    said = ", ".join(f"{word(mark)} {ours[mark]:.0%} against {rate:.0%}" for mark, rate in real.items())
    told = [
        f"{report[f'{side}_readability']:.2f} in {side}"
        for side in ("real", "synthetic")
        if report.get(f"{side}_readability") is not None
    ]
    readable = f" The diagnosis can be told from them with an AUC of {' and '.join(told)} pictures." if told else ""
    return f"Synthetic against real pictures: {said}.{readable}"


def of_map(kinds: Iterable[str]) -> str:
    """How many points of each kind a map shows."""
    counts: dict[str, int] = {}
    for kind in kinds:
        counts[kind] = counts.get(kind, 0) + 1
    named = {"accept": "accepted", "reject": "rejected", "unsure": "unsure", "undecided": "to review"}
    parts = ", ".join(f"{number:,} {named.get(kind, kind)}" for kind, number in sorted(counts.items()))
    said = f"{sum(counts.values()):,} pictures, laid out so that near ones look alike to the classifier"
    return f"{said}: {parts}." if parts else f"{said}."


def of_plan(cells: Iterable[Sequence[int]]) -> str:
    """What the cells of the coverage planner hold: (real, accepted, undecided, queued) each."""
    found = list(cells)
    _, accepted, undecided, queued = (sum(cell[i] for cell in found) for i in range(4))
    empty = sum(not any(cell[1:]) for cell in found)
    return (
        f"{accepted:,} accepted images, {undecided:,} to review and {queued:,} queued; {empty} of {len(found)} cells "
        "hold none. "
    )


def _listed(parts: Iterable[str]) -> str:
    """A few of them, and how many more there are."""
    found = list(parts)
    more = len(found) - _MAX_NAMED
    return ", ".join([*found[:_MAX_NAMED], *([f"{more} more"] if more > 0 else [])])
