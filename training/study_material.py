"""The pictures of a cell of an augmentation study: few real ones, the synthetic ones of its arm, and those that judge.

The cells of a seed share their real pictures, so arms can be compared in pairs. It knows no network and no figure.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dermaflux.classification.preprocessing import InputFacts
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Split
from dermaflux.evaluation.study_arms import FIRST
from training.classifier_config import DataConfig
from training.classifier_data import (
    HeldOut,
    TrainFrames,
    class_names_of,
    open_data,
    part,
    read_held_out,
    read_synthetic_part,
    read_train,
)
from training.dataset import LesionDataset
from training.lesion_records import LesionRecord
from training.study_config import Cell, StudyConfig

NUM_TURNS = 2
"""Ways each held-out picture is laid; their logits are averaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """The held-out pictures in the network's scale, read once a worker."""

    val: HeldOut
    test: HeldOut
    class_names: tuple[str, ...]

    @property
    def parts(self) -> dict[str, HeldOut]:
        """Both splits by name."""
        return {"val": self.val, "test": self.test}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutLogits:
    """What a trained classifier says of the held-out pictures: logits (N, K) of each split by name."""

    logits: dict[str, np.ndarray]
    judges: Judges


def real_subset(records: Sequence[LesionRecord], count: int, seed: int) -> list[LesionRecord]:
    """`count` records, one a lesion, classes in their proportions with at least two each; the same for the same seed.

    Raises InvalidRequest when there are not so many lesions.
    """
    rng = random.Random(seed)
    shuffled = rng.sample(list(records), len(records))
    by_class: dict[str, list[LesionRecord]] = {}
    for record in {record.lesion_id: record for record in shuffled}.values():
        by_class.setdefault(record.diagnosis, []).append(record)
    total = sum(map(len, by_class.values()))
    if count > total:
        raise InvalidRequest(f"{count} real pictures are asked for, the training split holds {total} lesions.")
    shares = _shares({name: len(group) for name, group in by_class.items()}, count)
    return [record for name in sorted(by_class) for record in by_class[name][: shares[name]]]


def _shares(sizes: dict[str, int], count: int) -> dict[str, int]:
    """`count` split in proportion to `sizes`, two or more each; what rounding leaves goes to the largest classes."""
    total = sum(sizes.values())
    shares = {name: min(size, max(2, int(count * size / total))) for name, size in sizes.items()}
    by_size = sorted(sizes, key=lambda name: sizes[name], reverse=True)
    while (off := count - sum(shares.values())) != 0:
        for name in by_size:
            step = 1 if off > 0 else -1
            if off and 2 <= shares[name] + step <= sizes[name]:
                shares[name] += step
                off -= step
    return shares


@lru_cache(maxsize=1)
def _opened(data: DataConfig) -> LesionDataset:
    return open_data(data)


@lru_cache(maxsize=2)
def judges_of(data: DataConfig, inputs: InputFacts) -> Judges:
    """The whole of val and test, however few real pictures are trained on."""
    opened, names = _opened(data), class_names(data)
    val, test = (read_held_out(part(opened, split, data.limit), names, inputs) for split in (Split.VAL, Split.TEST))
    return Judges(val=val, test=test, class_names=names)


def class_names(data: DataConfig) -> tuple[str, ...]:
    """The diagnoses of the training split, however few pictures a cell trains on."""
    return class_names_of(_opened(data).split(Split.TRAIN))


def stages_of(config: StudyConfig, cell: Cell, names: Sequence[str]) -> tuple[TrainFrames, ...]:
    """What is trained on, one after the other: for FIRST the synthetic pictures, then the real ones."""
    opened, run = _opened(config.data), config.run_of(cell)
    records = real_subset(opened.split(Split.TRAIN).records, cell.num_real, cell.seed)
    real = LesionDataset(records, opened.source, opened.fit)
    if run.synthetic.folder is None:
        return (read_train(real, names),)
    synthetic, _ = read_synthetic_part(run, len(real), names)
    if run.synthetic.alone:
        return (synthetic,)
    if FIRST in cell.arm.how:
        return synthetic, read_train(real, names)
    return (read_train(real, names).with_others(synthetic),)
