"""One cell of an augmentation study: draw the real pictures, train, choose on val, judge on test.

The cells of a seed share their real pictures, so arms can be compared in pairs. It knows no grid and no results file.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from accelerate import Accelerator
from sklearn.metrics import balanced_accuracy_score
from torch import nn

from dermaflux.classification.architecture import Architecture
from dermaflux.classification.calibration import fit
from dermaflux.classification.checkpoint import malignant_classes
from dermaflux.classification.preprocessing import InputFacts
from dermaflux.domain.errors import Cancelled, InvalidRequest
from dermaflux.domain.records import Split
from dermaflux.evaluation.classifier_metrics import binary_metrics, youden_threshold
from dermaflux.evaluation.study_arms import FIRST
from training.classifier_config import ClassifierRun, DataConfig
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
from training.classifier_loop import Material, Trainer, held_out_logits
from training.dataset import LesionDataset
from training.lesion_records import LesionRecord
from training.starting_weights import Start, first_network
from training.study_config import Cell, StudyConfig

NUM_TURNS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a cell found: its line of figures, and P(malignant) of the test pictures (N,)."""

    line: dict[str, Any]
    test_scores: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """The held-out pictures in the network's scale, read once a worker."""

    val: HeldOut
    test: HeldOut
    class_names: tuple[str, ...]


def run_cell(config: StudyConfig, cell: Cell, should_stop: Callable[[], bool]) -> Result:
    """Train and judge one cell. Raises Cancelled between two steps, and what the parts raise."""
    run = config.run_of(cell)
    names = class_names_of(_opened(config.data).split(Split.TRAIN))
    frames = _frames(config, cell, run, names)
    start = _first(run, names)
    mean, std = (start.mean, start.std) if start.mean else frames[-1].channel_statistics()
    inputs = InputFacts(size_px=run.size_px, mean=mean, std=std)  # type: ignore[arg-type] - three each
    judges = judges_of(config.data, inputs)
    trained = _trained(run, start.network, frames, judges, inputs, should_stop)
    num_pictures = sum(len(stage.labels) for stage in frames)
    found = _judged(trained, judges, inputs, run.precision)
    line = {"key": cell.key, "model": cell.model, "num_real": cell.num_real, "arm": cell.arm.name, "seed": cell.seed}
    return replace(found, line=line | {"num_pictures": num_pictures} | found.line)


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
    opened = _opened(data)
    names = class_names_of(opened.split(Split.TRAIN))
    val, test = (read_held_out(part(opened, split, data.limit), names, inputs) for split in (Split.VAL, Split.TEST))
    return Judges(val=val, test=test, class_names=names)


def _first(run: ClassifierRun, names: Sequence[str]) -> Start:
    architecture = Architecture(name=run.model, size_px=run.size_px, num_classes=len(names))
    return first_network(
        architecture, drop_path=run.drop_path, pretrained=run.pretrained, weights=run.weights, seed=run.seed
    )


def _frames(config: StudyConfig, cell: Cell, run: ClassifierRun, names: Sequence[str]) -> tuple[TrainFrames, ...]:
    """What is trained on, one after the other: for FIRST the synthetic pictures, then the real ones."""
    opened = _opened(config.data)
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


def _trained(
    run: ClassifierRun,
    network: nn.Module,
    stages: Sequence[TrainFrames],
    judges: Judges,
    inputs: InputFacts,
    should_stop: Callable[[], bool],
) -> nn.Module:
    """The network with the best weights on val, after all stages; they share the steps."""
    steps = (run.optim.steps_per_epoch or 1) // len(stages)
    run = replace(run, optim=replace(run.optim, steps_per_epoch=steps))
    accelerator = Accelerator(cpu=run.device == "cpu")
    for frames in stages:
        material = Material(
            train=frames, val=judges.val, inputs=inputs, malignant=malignant_classes(judges.class_names)
        )
        trainer = Trainer(run, network, material, accelerator)
        while trainer.step % steps or not trainer.finished:
            if should_stop():
                raise Cancelled("The study was stopped. Finished cells are kept; the same command goes on.")
            trainer.train_step()
            if trainer.step % steps == 0:
                trainer.score()
        network = trainer.average.module
        network.load_state_dict(trainer.best["weights"])
    return network


def _judged(network: nn.Module, judges: Judges, inputs: InputFacts, precision: str) -> Result:
    """The figures on val and test; calibration and threshold come from val."""
    mask = malignant_classes(judges.class_names)
    malignant, device = np.asarray(mask), next(network.parameters()).device
    held = {"val": judges.val, "test": judges.test}
    logits = {
        name: held_out_logits(network, pictures, inputs, turns=NUM_TURNS, device=device, precision=precision)
        for name, pictures in held.items()
    }
    calibration = fit(logits["val"], judges.val.labels, mask)
    line, scores, threshold = {}, np.empty(0), 0.5
    for name, pictures in held.items():
        probabilities = calibration.probabilities(logits[name])
        truth, scores = malignant[pictures.labels], probabilities[:, malignant].sum(1)
        threshold = youden_threshold(truth, scores) if name == "val" else threshold
        line[name] = binary_metrics(truth, scores, threshold=threshold) | {
            "class_accuracy": float((probabilities.argmax(1) == pictures.labels).mean()),
            "class_balanced_accuracy": float(balanced_accuracy_score(pictures.labels, probabilities.argmax(1))),
        }
    return Result(line=line, test_scores=scores)
