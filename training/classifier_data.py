"""The pictures of a classifier run in memory: frames to draw training views from, and validation views.

Training frames are whole pictures in uint8; validation pictures go through the served preprocessing.
It knows no network and no loss.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from dermaflux.classification.preprocessing import InputFacts, views
from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.lesion import HAM_DIAGNOSES, Diagnosis
from dermaflux.domain.records import Split
from training.classifier_config import MALIGNANT, ClassifierRun, DataConfig
from training.dataset import LesionDataset, load_folder, load_ham10000
from training.lesion_records import LesionRecord, without_masks
from training.manifest import load_manifest
from training.pictures import centre_crop
from training.synthetic_source import counts, draw, read_synthetic, refuse_synthetic

log = logging.getLogger(__name__)
HAM_NAME = "HAM10000, split train (Tschandl et al. 2018, CC BY-NC 4.0)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainFrames:
    """Frames (N, H, W, 3) uint8, class index (N,) and weight in sampling (N,) of the training pictures."""

    frames: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor

    def sampling_weights(self, balance: float, num_classes: int) -> torch.Tensor:
        """1 / count ** balance of each picture's class times its own weight, (N,)."""
        counts = torch.bincount(self.labels, minlength=num_classes).to(torch.float64)
        return counts.clamp(min=1).pow(-balance)[self.labels] * self.weights

    def with_others(self, others: "TrainFrames") -> "TrainFrames":
        """These pictures, then the others."""
        pairs = ((self.frames, others.frames), (self.labels, others.labels), (self.weights, others.weights))
        frames, labels, weights = (torch.cat(pair) for pair in pairs)
        return TrainFrames(frames=frames, labels=labels, weights=weights)

    def channel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, in 0..1."""
        pixels = self.frames[:: max(1, len(self.frames) // 1000)].to(torch.float32) / 255.0
        mean, std = pixels.mean(dim=(0, 1, 2)), pixels.std(dim=(0, 1, 2)).clamp(min=1e-3)
        return tuple(round(float(v), 4) for v in mean), tuple(round(float(v), 4) for v in std)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Views (N, V, S, S, 3) uint8, class index (N,) and lesion of each held-out picture."""

    pixels: np.ndarray
    labels: np.ndarray
    lesion_ids: tuple[str, ...]


def open_data(config: DataConfig) -> LesionDataset:
    """The whole data set of a run, without masks, in its frame; broken rows are logged with their count."""
    fit = centre_crop(*config.frame_px)
    if config.manifest is not None:
        found = load_manifest(config.manifest, fit)
    elif config.folder is not None:
        found = load_folder(config.folder, fit)
    else:
        found = load_ham10000(config.data_dir, config.archive_px, fit)
    if found.rejected:
        for row in found.rejected[:20]:
            log.warning("line %d left out: %s", row.line, row.reason)
        log.info("%d rows kept, %d left out", len(found), len(found.rejected))
    refuse_synthetic(found)
    records = [without_masks(record) for record in found.records]
    return in_classes(LesionDataset(records, found.source, fit, found.rejected), config.classes)


def in_classes(data: LesionDataset, classes: str) -> LesionDataset:
    """The data set told in the classes of a run: its diagnoses, or benign and malignant only."""
    records = data.records
    if classes == MALIGNANT:
        records = [replace(record, diagnosis=record.diagnosis.side) for record in records]
    elif named := [record for record in records if record.diagnosis in HAM_DIAGNOSES]:
        if len(named) < len(records):
            log.warning("%d pictures only say benign or malignant and are left out", len(records) - len(named))
        records = named
    return LesionDataset(records, data.source, data.fit, data.rejected)


def data_name(config: DataConfig) -> str:
    """What a checkpoint calls the pictures it has seen."""
    if chosen := config.manifest or config.folder:
        return chosen.name
    return HAM_NAME


def part(data: LesionDataset, split: Split, limit: int | None) -> LesionDataset:
    """One split, cut to about `limit` pictures with every class kept. DataNotFound when it is empty."""
    chosen = data.split(split)
    if not len(chosen):
        raise DataNotFound(f"The data hold no {split} pictures. Add rows with split={split} to the table.")
    return chosen if limit is None else LesionDataset(_thinned(chosen.records, limit), chosen.source, chosen.fit)


def class_names_of(train: LesionDataset) -> tuple[str, ...]:
    """The diagnoses that occur, in vocabulary order. InvalidRequest without both benign and malignant ones."""
    seen = {record.diagnosis for record in train.records}
    if len({diagnosis.is_malignant for diagnosis in seen}) < 2:
        raise InvalidRequest("The training pictures need benign and malignant diagnoses. Add the missing kind.")
    return tuple(str(diagnosis) for diagnosis in Diagnosis if diagnosis in seen)


def read_train(train: LesionDataset, class_names: Sequence[str], weight: float = 1.0) -> TrainFrames:
    """Decode every training picture once; each is drawn with `weight`."""
    frames = np.stack([np.asarray(image, dtype=np.uint8) for image, _, _ in train])
    labels = torch.from_numpy(_labels(train, class_names))
    weights = torch.full((len(labels),), weight, dtype=torch.float64)
    return TrainFrames(frames=torch.from_numpy(frames), labels=labels, weights=weights)


def read_synthetic_part(run: ClassifierRun, num_real: int, class_names: Sequence[str]) -> tuple[TrainFrames, str]:
    """The synthetic pictures that join `num_real` real ones of a run, and their fingerprint.

    Raises what `read_synthetic` and `draw` do.
    """
    config = run.synthetic
    assert config.folder is not None
    pool = in_classes(read_synthetic(config.folder, config.keep), run.data.classes)
    chosen = draw(pool.where(lambda record: record.diagnosis in class_names), num_real, config.ratio, run.seed)
    fitted = LesionDataset(chosen.records, chosen.source, centre_crop(*run.data.frame_px))
    log.info("%d synthetic pictures beside %d real ones: %s", len(chosen), num_real, counts(chosen.records))
    return read_train(fitted, class_names, config.weight), chosen.fingerprint()


def read_held_out(part: LesionDataset, class_names: Sequence[str], inputs: InputFacts) -> HeldOut:
    """Decode a held-out split through the served preprocessing."""
    pixels = []
    for image, _, _ in part:
        seen = [view.pixels for view in views(image, inputs)]
        wanted = 2 if inputs.crop == "both" else 1
        pixels.append(np.stack((seen * wanted)[:wanted]))
    return HeldOut(
        pixels=np.stack(pixels),
        labels=_labels(part, class_names),
        lesion_ids=tuple(record.lesion_id for record in part.records),
    )


def _labels(part: LesionDataset, class_names: Sequence[str]) -> np.ndarray:
    index = {name: i for i, name in enumerate(class_names)}
    if unknown := sorted({r.diagnosis for r in part.records} - set(index)):
        raise InvalidRequest(f"The diagnosis {unknown[0]} has no training picture. Add some, or drop its rows.")
    return np.array([index[record.diagnosis] for record in part.records], dtype=np.int64)


def _thinned(records: Sequence[LesionRecord], limit: int) -> list[LesionRecord]:
    by_class: dict[Diagnosis, list[LesionRecord]] = {}
    for record in records:
        by_class.setdefault(record.diagnosis, []).append(record)
    share = limit / len(records)
    return [r for group in by_class.values() for r in group[: max(2, round(share * len(group)))]]
