"""Whether the saliency map lies on the lesion and on what decides: served map against chance and the centre.

`python -m benchmarks.classifier_saliency` on HAM10000 val pictures with their masks, half of them malignant.
Enrichment: mean map on the lesion / mean map on the frame. Pointing: the hottest pixel lies on the lesion.
Deletion: fall of the malignant log-odds towards the other side when the hottest tenth to half is painted over.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image
from scipy.special import logit

from dermaflux.classification import LesionClassifier
from dermaflux.domain.records import Split
from training.dataset import LesionDataset, load_ham10000
from training.program import program

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
MAKERS = ("served", "centre", "random")


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
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in MAKERS}
    for index in _chosen(data, options.num_pictures, rng):
        image, mask, _ = data[index]
        inside = np.asarray(mask.convert("L")) > 127 if mask else np.zeros((image.height, image.width), bool)
        if not 0.02 < inside.mean() < 0.6:
            continue
        maps = {"served": classifier.saliency(image), "centre": _centre(image), "random": _random(image, rng)}
        for name, where in maps.items():
            hottest = inside.ravel()[where.argmax()]
            found[name].append((where[inside].mean() / where.mean(), hottest, _fall(classifier, image, where)))
    print("| map | pictures | enrichment (median) | pointing | deletion |\n|---|---|---|---|---|")
    for name, rows in found.items():
        enrichment, pointing, deletion = np.array(rows, dtype=float).T
        print(f"| {name} | {len(rows)} | {np.median(enrichment):.2f} | {pointing.mean():.2f} | {deletion.mean():.2f} |")


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


def _fall(classifier: LesionClassifier, image: Image.Image, where: np.ndarray) -> float:
    pixels, order = np.asarray(image), np.argsort(-where.ravel())
    paint = np.median(pixels.reshape(-1, 3), axis=0)
    painted = []
    for share in SHARES:
        flat = pixels.reshape(-1, 3).copy()
        flat[order[: int(share * len(order))]] = paint
        painted.append(Image.fromarray(flat.reshape(pixels.shape)))
    chances = [p.malignant if p.malignant is not None else 0.5 for p in classifier.predict([image, *painted])]
    odds = logit(np.clip(chances, 1e-6, 1 - 1e-6))
    return float(np.sign(odds[0]) * (odds[0] - odds[1:].mean()))


if __name__ == "__main__":
    sys.exit(main())
