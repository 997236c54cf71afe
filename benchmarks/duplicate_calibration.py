"""What the thresholds of duplicates mean on real pictures: false alarms, same-lesion pairs and altered copies found.

    python -m benchmarks.duplicate_calibration --plot docs/images/duplicates_roc.png

Pictures of val (and, with the thresholds set, of test) are compared with those of train: they show other lesions, so
whatever is called alike is a false alarm. Found should be pairs of pictures of one lesion, and copies altered in known
ways. Prints figures only; the plot shows curves.
"""

import argparse
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from dermaflux.domain.records import Split
from dermaflux.evaluation.duplicates import PHASH_BITS, Fingerprints
from dermaflux.evaluation.neighbours import nearest, unit
from dermaflux.services import Services
from dermaflux.settings import Settings
from training.dataset import LesionDataset, load_ham10000
from training.lesion_records import without_masks
from training.pictures import centre_square

SHARES = (0.001, 0.003, 0.01, 0.03, 0.1)
SIDE_PX = 150


def _jpeg(image: Image.Image) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=30)
    return Image.open(content).convert("RGB")


def _cropped(image: Image.Image) -> Image.Image:
    edge = round(0.07 * image.width)
    return image.crop((edge, edge, image.width - edge, image.height - edge))


COPIES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG at quality 30": _jpeg,
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "blurred (radius 1.5 px)": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "7 % cut off each side": _cropped,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "20 % brighter, redder": lambda image: ImageEnhance.Color(ImageEnhance.Brightness(image).enhance(1.2)).enhance(1.2),
}


class Compared:
    """The pictures of one split as fingerprints, with their lesions."""

    def __init__(self, services: Services, data: LesionDataset, split: Split) -> None:
        part = data.split(split)
        records = [without_masks(record) for record in part.records]
        self.pictures = LesionDataset(records, part.source, part.fit)
        self.lesion_ids = np.array([record.lesion_id for record in records])
        self.prints = services.fingerprints(len(records), lambda row: self.pictures[row][0])

    def same_lesion(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of all pairs of pictures of one lesion."""
        first, second = np.triu_indices(len(self.lesion_ids), 1)
        same = self.lesion_ids[first] == self.lesion_ids[second]
        return first[same], second[same]


def _bits_to_nearest(prints: Fingerprints, reference: Fingerprints) -> np.ndarray:
    return np.array([np.bitwise_count(reference.phash ^ one).min() for one in prints.phash], float)


def _pair_distances(first: Fingerprints, second: Fingerprints) -> tuple[np.ndarray, np.ndarray]:
    cosine = (unit(first.vectors) * unit(second.vectors)).sum(1)
    return 1 - cosine, np.bitwise_count(first.phash ^ second.phash).astype(float)


def _rows(prints: Fingerprints, rows: np.ndarray) -> Fingerprints:
    return Fingerprints(
        content=[prints.content[int(row)] for row in rows], phash=prints.phash[rows], vectors=prints.vectors[rows]
    )


def positives(services: Services, part: Compared, limit: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By kind of likeness, the distances (P,) of pairs that are alike: of descriptors, and in pHash bits."""
    first, second = part.same_lesion()
    found = {"another picture of the lesion": _pair_distances(_rows(part.prints, first), _rows(part.prints, second))}
    chosen = np.arange(0, len(part.pictures), max(1, len(part.pictures) // limit))
    for name, alter in COPIES.items():
        altered = services.fingerprints(
            len(chosen), lambda row, alter=alter: alter(part.pictures[int(chosen[row])][0].convert("RGB"))
        )
        found[name] = _pair_distances(_rows(part.prints, chosen), altered)
    return found


def main() -> None:
    """Print the tables, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    parser.add_argument("--copies", type=int, default=250, help="pictures altered in each way")
    parser.add_argument("--plot", type=Path)
    chosen = parser.parse_args()
    data = load_ham10000(chosen.data_dir, 200, centre_square(SIDE_PX))
    with Services(Settings.load()) as services:
        train, val, test = (Compared(services, data, split) for split in (Split.TRAIN, Split.VAL, Split.TEST))
        limit = services.duplicate_thresholds().lesion_distance
        curves = {}
        for name, part in (("val", val), ("test", test)):
            others = nearest(part.prints.vectors, train.prints.vectors)[1]
            bits = _bits_to_nearest(part.prints, train.prints)
            found = positives(services, part, chosen.copies)
            _print_thresholds(name, (others, bits), found, limit)
            if name == "val":
                _print_roc(others, bits, found)
            curves[name] = (others, bits, found)
        if chosen.plot:
            _draw(chosen.plot, curves["test"])


def _print_thresholds(name: str, others: tuple[np.ndarray, np.ndarray], found: Mapping, limit: float) -> None:
    print(f"\n{name}: {len(others[0])} pictures against train, distance <= {limit:.4f}, pHash bits <= {PHASH_BITS}")
    print("| | descriptor | pHash | pairs |\n|---|---|---|---|")
    print(f"| false alarms | {(others[0] <= limit).mean():.4f} | {(others[1] <= PHASH_BITS).mean():.4f} | |")
    for kind, (distance, bits) in found.items():
        print(f"| {kind} | {(distance <= limit).mean():.2f} | {(bits <= PHASH_BITS).mean():.2f} | {len(bits)} |")


def _print_roc(others: np.ndarray, bits: np.ndarray, found: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    distance, differing = found["another picture of the lesion"]
    print("\n| false alarms on val | same-lesion pairs found: descriptor | pHash |\n|---|---|---|")
    for share in SHARES:
        by_vector = (distance <= np.quantile(others, share)).mean()
        by_bits = (differing <= np.quantile(bits, share)).mean()
        print(f"| {share:.1%} | {by_vector:.3f} | {by_bits:.3f} |")


def _draw(path: Path, curves: tuple[np.ndarray, np.ndarray, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    others, bits, found = curves
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for axis, null, which, title in zip(axes, (others, bits), (0, 1), ("descriptor", "pHash"), strict=True):
        for kind, distances in found.items():
            axis.plot(*_curve(null, distances[which]), label=kind)
        axis.set(xscale="log", xlim=(5e-4, 1), ylim=(0, 1.02), title=title, xlabel="false alarms (other lesions)")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("found")
    axes[1].legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _curve(null: np.ndarray, positive: np.ndarray) -> tuple[Sequence[float], Sequence[float]]:
    limits = np.quantile(np.concatenate([null, positive]), np.linspace(0, 1, 400))
    return [float((null <= x).mean()) for x in limits], [float((positive <= x).mean()) for x in limits]


if __name__ == "__main__":
    main()
