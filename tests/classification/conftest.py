"""A tiny ViT really trained, in seconds, on drawn pictures: pale spots are benign, dark ones malignant."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dermaflux.classification import LesionClassifier
from training.augmentation import AugmentConfig
from training.classifier_config import ClassifierRun, DataConfig, OptimConfig
from training.train_classifier import run_training


def draw_spot(size=(64, 48), centre=(32, 24), radius=9, malignant=False, seed=0):
    """Skin with one spot and some noise."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, (225, 185, 165))
    colour = (45, 25, 30) if malignant else (190, 135, 105)
    box = [centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius]
    ImageDraw.Draw(image).ellipse(box, fill=colour)
    noise = rng.normal(scale=6, size=(size[1], size[0], 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Drawn:
    """The trained folder, its classifier and how to draw more."""

    folder: Path
    classifier: LesionClassifier
    draw: object


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Drawn:
    root, rng = tmp_path_factory.mktemp("drawn"), np.random.default_rng(0)
    rows = []
    for index in range(128):
        malignant, name = bool(index % 2), f"{index:03}.png"
        place = (int(rng.integers(14, 50)), int(rng.integers(12, 36)))
        draw_spot(centre=place, radius=int(rng.integers(6, 11)), malignant=malignant, seed=index).save(root / name)
        rows.append((name, "mel" if malignant else "nv", "train" if index < 96 else "val"))
    with (root / "metadata.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("file_name", "diagnosis", "split"), *rows])
    run = ClassifierRun(
        name="drawn", runs_dir=root / "runs", model="stem_vit_tiny", size_px=96, drop_path=0.0, device="cpu",
        data=DataConfig(folder=root, frame_px=(64, 48)),
        optim=OptimConfig(epochs=10, batch_size=16, learning_rate=3e-3, ema_decay=0.9),
        augment=AugmentConfig(mixup_probability=0, cutmix_probability=0),
    )  # fmt: skip
    run_training(run)
    folder = run.run_dir / "model"
    return Drawn(folder=folder, classifier=LesionClassifier.from_folder(folder), draw=draw_spot)
