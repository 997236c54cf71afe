"""On real pictures: the segmenter against given masks, and the numbers against human ratings (bounds, not targets)."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from dermaflux.domain.records import Measurement, Split
from dermaflux.measurement.measurer import Measurer
from training.calibrate_measurement import read_ratings
from training.dataset import LesionDataset, load_ham10000

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
MODELS = Path(__file__).parents[2] / "assets" / "models"
pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def frames() -> LesionDataset:
    if not (DATA / "ham10000.csv").is_file():
        if os.environ.get("CI"):
            pytest.fail("The real pictures must be there in CI.")
        pytest.skip("../shared/data is absent")
    return load_ham10000(DATA)


@pytest.fixture(scope="module")
def measurer() -> Measurer:
    return Measurer.from_folder(MODELS)


def test_own_masks_overlap_given_masks(frames: LesionDataset, measurer: Measurer) -> None:
    some = frames.split(Split.TEST)
    overlaps = []
    for index in range(0, len(some), len(some) // 60):
        image, given, _ = some[index]
        found, target = measurer.segment(image), np.asarray(given)
        overlaps.append((found & target).sum() / (found | target).sum())
    assert np.median(overlaps) > 0.87


@pytest.mark.slow
def test_numbers_follow_human_ratings_on_the_test_split(
    frames: LesionDataset, measurer: Measurer
) -> None:
    ratings = read_ratings(DATA / "abc_labels.csv")
    rated = frames.split(Split.TEST).where(lambda record: record.image_id in ratings)
    pairs = [(measurer.measure(image), ratings[record.image_id]) for image, _, record in rated]
    kept = [(found, rating) for found, rating in pairs if not found.refused]
    assert len(kept) > 0.85 * len(pairs)
    assert agreement(kept, "asymmetry", "asymmetry") > 0.50
    assert agreement(kept, "border", "border") > 0.40
    assert agreement(kept, "colour_score", "colour") > 0.40
    assert all(found.num_colours == len(found.colours) for found, _ in kept)


def agreement(
    kept: Sequence[tuple[Measurement, dict[str, float]]], name: str, rating: str
) -> float:
    values = [getattr(found, name) for found, _ in kept]
    return float(
        spearmanr(values, [scores[rating] for _, scores in kept], nan_policy="omit").statistic
    )
