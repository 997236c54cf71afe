"""Whether the saliency map lies on the lesion and on what decides: served map against chance and the centre.

Served is the map of the side that a picture is called; that of the other side should name it worse.

`python -m benchmarks.classifier_saliency` on HAM10000 val pictures with their masks, half of them malignant.
Enrichment: mean map on the lesion / mean map on the frame. Pointing: the hottest pixel lies on the lesion. Inside: the
share of the map on the lesion. Deletion and insertion: `dermaflux.classification.faithfulness`, apart for pictures that
are called malignant, since hardly anything makes a benign answer fall.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from dermaflux.classification import LesionClassifier
from dermaflux.domain.records import Split
from training.dataset import LesionDataset, load_ham10000
from training.program import program

MAKERS = ("served", "other side", "centre", "random")


@dataclass(frozen=True, slots=True, kw_only=True)
class SaliencyOptions:
    """What to look at."""

    model: Path = Path("assets/models/classifier")
    data_dir: Path = Path("../shared/data")
    num_pictures: int = 100
    seed: int = 0


@program
def main() -> None:
    """Print one table."""
    report(tyro.cli(SaliencyOptions, prog="python -m benchmarks.classifier_saliency"))


def report(options: SaliencyOptions) -> None:
    """Judge every maker of maps on the same pictures."""
    classifier = LesionClassifier.from_folder(options.model)
    data = load_ham10000(options.data_dir).split(Split.VAL)
    rng = np.random.default_rng(options.seed)
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in MAKERS}
    for index in _chosen(data, options.num_pictures, rng):
        image, mask, _ = data[index]
        inside = np.asarray(mask.convert("L")) > 127 if mask else np.zeros((image.height, image.width), bool)
        prediction = classifier.predict([image])[0]
        if not 0.02 < inside.mean() < 0.6 or prediction.malignant is None or prediction.threshold is None:
            continue
        called = prediction.malignant >= prediction.threshold
        maps = {
            "served": classifier.saliency(image, malignant=called),
            "other side": classifier.saliency(image, malignant=not called),
            "centre": _centre(image),
            "random": _random(image, rng),
        }
        for name, where in maps.items():
            scores = classifier.faithfulness(image, where, malignant=called)
            share, hottest = where[inside].sum() / where.sum(), inside.ravel()[where.argmax()]
            found[name].append((share / inside.mean(), hottest, share, scores.deletion, scores.insertion, called))
    _show(found)


def _show(found: dict[str, list[tuple[float, ...]]]) -> None:
    rows = {name: np.array(values, dtype=float) for name, values in found.items()}
    called = rows["served"][:, -1] > 0
    print(f"{len(called)} pictures, {called.sum()} of them called malignant\n")
    print("| map | enrichment (median) | pointing | inside (mean) | deletion, insertion: malignant | benign |")
    print("|---|---|---|---|---|---|")
    for name, values in rows.items():
        enrichment, pointing, inside, *_ = values.T
        pairs = [", ".join(f"{v:.3f}" for v in values[side, 3:5].mean(axis=0)) for side in (called, ~called)]
        on_lesion = f"{np.median(enrichment):.2f} | {pointing.mean():.2f} | {inside.mean():.2f}"
        print(f"| {name} | {on_lesion} | {' | '.join(pairs)} |")


def _chosen(data: LesionDataset, count: int, rng: np.random.Generator) -> list[int]:
    kinds = np.array([record.diagnosis.is_malignant for record in data.records])
    return [int(i) for kind in (True, False) for i in rng.permutation(np.flatnonzero(kinds == kind))[: count // 2]]


def _centre(image: Image.Image) -> np.ndarray:
    rows, columns = np.mgrid[: image.height, : image.width]
    away = (rows - image.height / 2) ** 2 + (columns - image.width / 2) ** 2
    return np.exp(-away / (2 * (image.height / 4) ** 2)).astype(np.float32)


def _random(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    noise = Image.fromarray(rng.random((7, 7)).astype(np.float32))
    return np.asarray(noise.resize(image.size, Image.Resampling.BICUBIC)).clip(1e-6)


if __name__ == "__main__":
    sys.exit(main())
