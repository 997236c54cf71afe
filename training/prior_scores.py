"""The scores of one model on every picture, one JSON line a picture, so that a stopped run goes on where it stopped.

The first line says whose scores these are; a file of another model, other prompts or other pictures is not taken for
them. It knows no figure.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dermaflux.checksums import content_id
from dermaflux.classification import LesionClassifier
from dermaflux.classification.zero_shot import ZeroShotModel
from dermaflux.domain.errors import InvalidRequest
from training.dataset import LesionDataset
from training.prior_prompts import PromptSet
from training.whole_files import write_whole

BATCH = 16
Score = Callable[[Sequence[Image.Image]], np.ndarray]
"""Pictures -> P(malignant) (N, M), one column a way to ask; nan where a picture is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A model with the names of its columns of scores; `open` loads it when the first picture is due."""

    name: str
    columns: tuple[str, ...]
    identity: str
    open: Callable[[], Score]


def zero_shot_scorer(name: str, folder: Path, prompts: Sequence[PromptSet], device: str) -> Scorer:
    """A vision-language model, one column a set of prompts: the summed probability of its malignant classes."""

    def opened() -> Score:
        model = ZeroShotModel.load(folder, device)
        asked = [(model.class_vectors(said.texts), np.array(said.malignant)) for said in prompts]

        def score(images: Sequence[Image.Image]) -> np.ndarray:
            found = [model.probabilities(images, vectors)[:, malignant].sum(axis=1) for vectors, malignant in asked]
            return np.stack(found, axis=1).clip(0, 1)

        return score

    identity = "-".join([content_id(folder)[:16], *(said.sha256()[:16] for said in prompts)])
    return Scorer(name=name, columns=tuple(said.name for said in prompts), identity=identity, open=opened)


def classifier_scorer(folder: Path, device: str) -> Scorer:
    """A checkpoint of ours, through the served `predict`; its one column is named 'fine-tuned'."""

    def opened() -> Score:
        classifier = LesionClassifier.from_folder(folder, device)

        def score(images: Sequence[Image.Image]) -> np.ndarray:
            found = [prediction.malignant for prediction in classifier.predict(images)]
            return np.array([[np.nan if value is None else value] for value in found])

        return score

    return Scorer(name=str(folder), columns=("fine-tuned",), identity=content_id(folder)[:16], open=opened)


def score_pictures(path: Path, scorer: Scorer, data: LesionDataset) -> Iterator[tuple[int, int]]:
    """Fill the file of a scorer's scores, telling (done, total) pictures; what is there already is kept.

    Raises InvalidRequest when the file is of something else, ModelNotAvailable when the model cannot be loaded.
    """
    head = {"identity": scorer.identity, "columns": list(scorer.columns), "data": data.fingerprint()}
    done = _begun(path, head)
    yield done, len(data)
    if done == len(data):
        return
    score = scorer.open()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if not done:
            file.write(json.dumps(head) + "\n")
        for start in range(done, len(data), BATCH):
            some = [data[row] for row in range(start, min(start + BATCH, len(data)))]
            for (_, _, record), values in zip(some, score([image for image, _, _ in some]), strict=True):
                scores = [None if np.isnan(value) else round(float(value), 6) for value in values]
                file.write(json.dumps({"image_id": record.image_id, "scores": scores}) + "\n")
            file.flush()
            yield start + len(some), len(data)


def read_scores(path: Path) -> dict[str, np.ndarray]:
    """By column the scores (N,) of a finished file in the order of its data; nan where a picture was refused."""
    head, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    scores = np.array([line["scores"] for line in lines], dtype=np.float64)
    return {name: scores[:, column] for column, name in enumerate(head["columns"])}


def _begun(path: Path, head: dict[str, Any]) -> int:
    """How many pictures a file holds already; a line that a kill cut off is dropped."""
    if not path.is_file():
        return 0
    lines = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    if lines and json.loads(lines[0]) != head:
        raise InvalidRequest(
            f"{path} holds scores of another model, other prompts or other pictures. Choose another --name."
        )
    write_whole(path, "".join(lines))
    return max(0, len(lines) - 1)
