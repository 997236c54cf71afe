"""What confirms a copy: pHash pairs of HAM10000 and made copies, by the correlation of their grey 16 x 16 pictures.

    python -m benchmarks.copy_calibration --data-dir ../shared/data

Of two pictures of different lesions a pair is a false alarm, of made copies a miss. Reads all splits; nothing is
trained or chosen for a model by it.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from tqdm import tqdm

from dermaflux.evaluation.duplicates import PHASH_BITS
from dermaflux.evaluation.neighbours import hash_pairs_within
from dermaflux.picture_hashes import perceptual_hash
from training.dataset import load_ham10000
from training.lesion_records import without_masks
from training.sources.alike import correlation
from training.sources.fingerprints import grey_thumb

BOUNDS = (0.97, 0.98, 0.985, 0.99, 0.995)


def _jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


def _redder(image: Image.Image) -> Image.Image:
    factors = np.array([1.26, 1.2, 1.14])
    return Image.fromarray(np.minimum(np.asarray(image) * factors, 255).astype(np.uint8))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG at quality 30": _jpeg,
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC),
    "squeezed to a square of 224": lambda image: image.resize((224, 224), Image.Resampling.BICUBIC),
    "blurred, radius 1.5": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "20 % brighter, redder": _redder,
}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    parser.add_argument("--copies", type=int, default=400)
    asked = parser.parse_args()
    dataset = load_ham10000(asked.data_dir)
    dataset.records = tuple(without_masks(record) for record in dataset.records)
    hashes, thumbs, copied = [], [], []
    every = len(dataset) // asked.copies
    for index, (image, _, _) in enumerate(tqdm(dataset, mininterval=5)):
        hashes.append(perceptual_hash(image))
        thumbs.append(np.frombuffer(grey_thumb(image), np.uint8))
        if index % every == 0:
            copied.append([_compared(image, change(image)) for change in COPIES.values()])
    _print_pairs(np.array(hashes, np.uint64), np.stack(thumbs), np.array([r.lesion_id for r in dataset.records]))
    _print_copies(np.array(copied))


def _compared(image: Image.Image, copy: Image.Image) -> tuple[float, float]:
    """How many bits of the pHash differ, and the correlation."""
    bits = int(np.bitwise_count(perceptual_hash(image) ^ perceptual_hash(copy)))
    first, second = (np.frombuffer(grey_thumb(one), np.uint8)[None] for one in (image, copy))
    return bits, float(correlation(first, second)[0])


def _print_pairs(hashes: np.ndarray, thumbs: np.ndarray, lesions: np.ndarray) -> None:
    pairs = hash_pairs_within(hashes, PHASH_BITS)
    found = correlation(thumbs[pairs.first], thumbs[pairs.second])
    same = lesions[pairs.first] == lesions[pairs.second]
    print(f"{len(same)} pairs within {PHASH_BITS} bits: {same.sum()} of one lesion, {(~same).sum()} of two")
    print("of two lesions, the highest correlations:", np.sort(found[~same])[::-1][:5].round(4).tolist())
    for bound in BOUNDS:
        print(f"at {bound}: {(found[same] >= bound).sum()} of one lesion, {(found[~same] >= bound).sum()} of two")


def _print_copies(copied: np.ndarray) -> None:
    for name, (bits, found) in zip(COPIES, copied.transpose(1, 2, 0), strict=True):
        near = bits <= PHASH_BITS
        shares = ", ".join(f"{bound}: {(found[near] >= bound).mean():.3f}" for bound in BOUNDS)
        print(f"{name}: pHash finds {near.mean():.3f}; of these confirmed at {shares}")


if __name__ == "__main__":
    main()
