"""Describe the pictures that nano learned from: `python -m training.describe_training_set [--data-dir DIR]`.

Writes the descriptor's vectors of HAM10000, split train, beside the descriptor, so that the product can say how near a
new image comes to a training picture. To be run again when the descriptor or the training split changes, then
`python -m training.model_checksums`.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from dermaflux.classification.descriptor import LesionDescriptor
from dermaflux.classification.training_vectors import TrainingVectors
from dermaflux.domain.records import Split
from training.classifier_data import HAM_NAME
from training.dataset import LesionDataset, load_ham10000
from training.lesion_records import without_masks
from training.pictures import centre_square
from training.program import program

log = logging.getLogger(__name__)
FOLDER = Path(__file__).resolve().parents[1] / "assets" / "models" / "descriptor"
_BATCH = 64


def describe(data_dir: Path, folder: Path, device: str = "cpu") -> Path:
    """Vectors of the training pictures as the descriptor's threshold was calibrated on them; the file."""
    descriptor = LesionDescriptor.load(folder, device)
    data = load_ham10000(data_dir, 200, centre_square(descriptor.config.size_px)).split(Split.TRAIN)
    part = LesionDataset([without_masks(record) for record in data.records], data.source, data.fit)
    vectors: list[np.ndarray] = []
    waiting: list[Image.Image] = []
    for image, _, _ in tqdm(part, desc="describing", mininterval=5):
        waiting.append(image)
        if len(waiting) == _BATCH:
            vectors.append(descriptor.embed(waiting))
            waiting = []
    vectors.append(descriptor.embed(waiting))
    found = TrainingVectors(vectors=np.concatenate(vectors), image_ids=[record.image_id for record in part.records])
    return found.save(folder, descriptor.sha256, HAM_NAME)


@program
def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Describe the pictures that the embedded generator learned from.")
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"), help="where HAM10000 lies")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="the descriptor's folder")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args(arguments)
    log.info("wrote %s", describe(chosen.data_dir, chosen.folder, chosen.device))


if __name__ == "__main__":
    sys.exit(main())
