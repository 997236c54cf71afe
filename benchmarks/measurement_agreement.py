"""Print how well the measurement agrees with given masks and human ratings, and how steady it is.

`python -m benchmarks.measurement_agreement [--field value ...]`. Reads (or makes) the raw measures of every
HAM10000 picture, the shipped calibration, and the ratings. The test split is used here and nowhere else.
"""

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro
from PIL import Image
from scipy.stats import rankdata

from dermaflux.domain.records import Measurement, Split
from dermaflux.measurement.calibration import Calibration
from dermaflux.measurement.measurer import Measurer
from training.calibrate_measurement import read_ratings, spearman
from training.dataset import LesionDataset, load_ham10000
from training.measure_training_set import MeasureRun, Row, measured, raw_table
from training.pictures import centre_square
from training.program import program

NUM_BOOTSTRAPS = 2000
HEADLINES = ("asymmetry", "border", "colour_score", "num_colours")
RATING_OF = {
    "asymmetry": "asymmetry",
    "border": "border",
    "colour_score": "colour",
    "num_colours": "colour",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRun:
    """Which files to read, and on how many val pictures to try the noise floor."""

    measure: MeasureRun = field(default_factory=MeasureRun)
    split: Split = Split.TEST
    """Where agreement with the ratings is reported."""
    noise_pictures: int = 150
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedFigures:
    """Measured headlines (n,) and ratings (n,) by name, and the lesion of each picture."""

    measured: Mapping[str, np.ndarray]
    ratings: Mapping[str, np.ndarray]
    lesions: np.ndarray


def rated_figures(rows: Sequence[Row], run: AgreementRun, calibration: Calibration) -> RatedFigures:
    """The rated, measured pictures of one split; the one without a border rating is left out."""
    ratings = read_ratings(run.measure.data_dir / "abc_labels.csv")
    used = [
        row for row in rows
        if row["split"] == run.split and not row["refused"]
        and all(np.isfinite(list(ratings.get(row["image_id"], {"": np.nan}).values())))
    ]  # fmt: skip
    found = [measured(row, calibration) for row in used]
    return RatedFigures(
        measured={
            name: np.array([getattr(m, name) for m in found], dtype=float) for name in HEADLINES
        },
        ratings={
            name: np.array([ratings[r["image_id"]][name] for r in used])
            for name in set(RATING_OF.values())
        },
        lesions=np.array([row["lesion_id"] for row in used]),
    )


def interval(
    statistic: Callable[[np.ndarray], float], lesions: np.ndarray, seed: int
) -> tuple[float, float]:
    """The 95 % interval of a statistic of row indices, by bootstrap over lesions."""
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(lesions == lesion) for lesion in np.unique(lesions)]
    values = []
    for _ in range(NUM_BOOTSTRAPS):
        picked = rng.integers(0, len(groups), len(groups))
        values.append(statistic(np.concatenate([groups[i] for i in picked])))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def partial_spearman(x: np.ndarray, y: np.ndarray, given: Sequence[np.ndarray]) -> float:
    """Spearman correlation of x and y with the ranks of `given` regressed out of both."""
    basis = np.column_stack([np.ones(len(x)), *(rankdata(g) for g in given)])
    left, right = (
        r - basis @ np.linalg.lstsq(basis, r, rcond=None)[0] for r in (rankdata(x), rankdata(y))
    )
    return float(np.corrcoef(left, right)[0, 1])


def overlap_table(rows: Sequence[Row]) -> str:
    """Median, quartile and share of poor masks, by split."""
    lines = [
        "| split | n | median IoU | lower quartile | mean | IoU < .6 |",
        "|---|---|---|---|---|---|",
    ]
    for split in Split:
        values = np.array([row["iou"] for row in rows if row["split"] == split])
        lines.append(
            f"| {split} | {len(values)} | {np.median(values):.3f} | {np.quantile(values, 0.25):.3f} "
            f"| {values.mean():.3f} | {(values < 0.6).mean():.1%} |"
        )
    return "\n".join(lines)


def refusal_table(rows: Sequence[Row]) -> str:
    """Share of refused pictures by split and diagnosis."""
    classes = sorted({row["diagnosis"] for row in rows})
    lines = [f"| split | {' | '.join(classes)} | all |", "|" + "---|" * (len(classes) + 2)]
    for split in Split:
        part = [row for row in rows if row["split"] == split]
        cells = [_refused_share([r for r in part if r["diagnosis"] == name]) for name in classes]
        lines.append(f"| {split} | {' | '.join(cells)} | {_refused_share(part)} |")
    return "\n".join(lines)


def _refused_share(rows: Sequence[Row]) -> str:
    return f"{sum(bool(row['refused']) for row in rows) / max(len(rows), 1):.1%}"


def agreement_table(figures: RatedFigures, seed: int) -> str:
    """Spearman with the rating, its interval, and the partial correlation given the two other ratings."""
    lines = [
        "| measure | Spearman | 95 % by lesion | partial, given the other two ratings |",
        "|---|---|---|---|",
    ]
    for name, rating in RATING_OF.items():
        x, y = figures.measured[name], figures.ratings[rating]
        low, high = interval(
            lambda rows, x=x, y=y: spearman(x[rows], y[rows]), figures.lesions, seed
        )
        others = [values for other, values in figures.ratings.items() if other != rating]
        lines.append(
            f"| {name} | {spearman(x, y):.3f} | {low:.2f} to {high:.2f} | {partial_spearman(x, y, others):.2f} |"
        )
    return "\n".join(lines)


def cross_table(figures: RatedFigures) -> str:
    """Every measure against every rating and every other measure."""
    ratings = sorted(figures.ratings)
    columns = [f"{name} rating" for name in ratings] + list(HEADLINES)
    lines = [f"| Spearman | {' | '.join(columns)} |"]
    lines.append("|" + "---|" * (1 + len(ratings) + len(HEADLINES)))
    for name in HEADLINES:
        x = figures.measured[name]
        cells = [f"{spearman(x, figures.ratings[r]):.2f}" for r in ratings]
        cells += [f"{spearman(x, figures.measured[other]):.2f}" for other in HEADLINES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def noise_table(run: AgreementRun) -> str:
    """How much each number moves on the same real picture, jpeg-compressed, resized or turned by 5 degrees."""
    measurer = Measurer.from_folder(run.measure.models_dir)
    dataset = load_ham10000(run.measure.data_dir).split(Split.VAL)
    some = LesionDataset(dataset.records[: run.noise_pictures], dataset.source)
    pictures = [image for image, _, _ in some]
    plain = [measurer.measure(picture) for picture in pictures]
    lines = [
        "| change | n | asymmetry | border | colour_score | num_colours | newly refused |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, change in _CHANGES.items():
        changed = [measurer.measure(change(picture)) for picture in pictures]
        pairs = [
            (a, b) for a, b in zip(plain, changed, strict=True) if not a.refused and not b.refused
        ]
        lost = sum(bool(b.refused) and not a.refused for a, b in zip(plain, changed, strict=True))
        cells = [_moved(pairs, attribute) for attribute in HEADLINES]
        lines.append(f"| {name} | {len(pairs)} | {' | '.join(cells)} | {lost} |")
    return "\n".join(lines)


def _moved(pairs: Sequence[tuple[Measurement, Measurement]], attribute: str) -> str:
    before = np.array([getattr(a, attribute) for a, _ in pairs], dtype=float)
    after = np.array([getattr(b, attribute) for _, b in pairs], dtype=float)
    return f"{np.abs(before - after).mean():.2f} (rho {spearman(before, after):.2f})"


def _jpeg(quality: int) -> Callable[[Image.Image], Image.Image]:
    def change(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def _smaller(picture: Image.Image) -> Image.Image:
    return picture.resize(
        (picture.width * 64 // 100, picture.height * 64 // 100), Image.Resampling.BICUBIC
    )


def _turned(picture: Image.Image) -> Image.Image:
    edge = np.pad(np.asarray(picture), ((20, 20), (20, 20), (0, 0)), mode="edge")
    turned = Image.fromarray(edge).rotate(5, Image.Resampling.BICUBIC)
    return turned.crop((20, 20, 20 + picture.width, 20 + picture.height))


def _as_generated(picture: Image.Image) -> Image.Image:
    return centre_square(128)(picture).apply(picture)


_CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg quality 75": _jpeg(75),
    "64 % of the size": _smaller,
    "turned by 5 degrees": _turned,
    "centre square at 128 px": _as_generated,
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


@program
def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    run = tyro.cli(AgreementRun, args=arguments)
    rows = raw_table(run.measure)
    figures = rated_figures(rows, run, Calibration.load(Path(run.measure.calibration_path)))
    title = f"Agreement with human ratings, {run.split}, n = {len(figures.lesions)}"
    tables: dict[str, Callable[[], str]] = {
        "Own mask against given mask": lambda: overlap_table(rows),
        "Refused pictures": lambda: refusal_table(rows),
        title: lambda: agreement_table(figures, run.seed),
        "Specificity": lambda: cross_table(figures),
        "Noise floor: mean absolute change on val pictures": lambda: noise_table(run),
    }
    for name, table in tables.items():
        sys.stdout.write(f"\n## {name}\n\n{table()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
