"""Synthetic pictures as training material, kept apart from the real ones: their class is what was asked for.

A source is a folder of generated PNGs or an export; each file says itself that it is synthetic and what it was asked to
show. They join split=train only: a file that lies under val or test is refused, and so is a synthetic file among real
pictures. It knows no network.
"""

import json
import logging
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermaflux.domain.errors import DataNotFound, DermaFluxError, InvalidRequest
from dermaflux.domain.lesion import HAM_DIAGNOSES, Diagnosis
from dermaflux.domain.records import Split
from dermaflux.evaluation.study_arms import AGREEING, CLOSE
from dermaflux.provenance import read_provenance
from training.dataset import LesionDataset
from training.lesion_records import LesionRecord
from training.pictures import PictureSource

log = logging.getLogger(__name__)
JUDGED_NAME = "judged.jsonl"
ALL = "all"
KEEP = (ALL, AGREEING, CLOSE)
_HELD_OUT = {"val", "valid", "validation", "test", "eval"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticConfig:
    """Which synthetic pictures join the real ones, and how many."""

    folder: Path | None = None
    """Generated PNGs, or an export as imagefolder. Nothing is added without."""
    ratio: float | None = None
    """Synthetic pictures for each real one, drawn by the run's seed; all when not given."""
    weight: float = 1.0
    """How often a synthetic picture is drawn, against a real one of its class."""
    keep: str = ALL
    """all, agreeing (the embedded classifier sees the side asked for), or close (and asymmetry, border and number of
    colours measure within one level of it); the last two read what `training.judge_synthetic FOLDER` wrote."""
    alone: bool = False
    """Train on the synthetic pictures only; the real ones say how many `ratio` asks for."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the field outside its range."""
        if self.ratio is not None and not self.ratio > 0:
            raise InvalidRequest(f"ratio is {self.ratio}; it must be above 0. Leave the folder out to add nothing.")
        if not self.weight > 0:
            raise InvalidRequest(f"weight is {self.weight}; it must be above 0.")
        if self.keep not in KEEP:
            raise InvalidRequest(f"keep is {self.keep!r}. Choose {', '.join(KEEP[:-1])} or {KEEP[-1]}.")
        if self.folder is None and (self.ratio is not None or self.alone):
            raise InvalidRequest("A ratio needs a folder of synthetic pictures. Give --synthetic.folder.")


def read_synthetic(folder: Path, keep: str = ALL) -> LesionDataset:
    """The usable synthetic pictures of a folder, by name; those that only say benign or malignant are left out.

    Raises DataNotFound when there are none, or when they were not judged; InvalidRequest when one is not ours or lies
    in a held-out split.
    """
    if not folder.is_dir():
        raise DataNotFound(f"{folder} is not a folder. Give the folder that holds the synthetic pictures.")
    records, plain = [], 0
    chosen = None if keep == ALL else _judged(folder, keep)
    for path in sorted(folder.rglob("*.png")):
        name = path.relative_to(folder).as_posix()
        _refuse_held_out(name)
        diagnosis = asked_diagnosis(path)
        plain += diagnosis not in HAM_DIAGNOSES
        if diagnosis in HAM_DIAGNOSES and (chosen is None or name in chosen):
            records.append(_record(name, diagnosis))
    if plain:
        log.warning("%d synthetic pictures say benign or malignant only and have no class; they are left out", plain)
    if not records:
        raise DataNotFound(f"{folder} holds no usable synthetic PNG (keep {keep}). Generate some with a diagnosis.")
    return LesionDataset(records, PictureSource(folder))


def asked_diagnosis(path: Path) -> Diagnosis:
    """What a synthetic picture was asked to show. Raises InvalidRequest for a file that is not ours or says nothing."""
    try:
        spec = read_provenance(path).spec
    except DermaFluxError as error:
        raise InvalidRequest(
            f"{path.name} carries no record of how it was generated ({error}). Name real pictures under --data."
        ) from error
    if spec is None:
        raise InvalidRequest(f"{path.name} was made from a free caption and has no diagnosis. Remove it.")
    return spec.diagnosis


def draw(pool: LesionDataset, num_real: int, ratio: float | None, seed: int) -> LesionDataset:
    """`ratio` times `num_real` pictures of the pool without repeats, the same for the same seed; all without ratio.

    A larger ratio holds the pictures of a smaller one. Raises InvalidRequest when the pool has too few.
    """
    if ratio is None:
        return pool
    count = round(ratio * num_real)
    if count > len(pool):
        raise InvalidRequest(
            f"1:{ratio:g} of {num_real} real pictures asks for {count} synthetic ones, the folder holds {len(pool)}. "
            "Generate more, or lower the ratio."
        )
    order = random.Random(seed).sample(range(len(pool)), len(pool))
    return LesionDataset([pool.records[i] for i in order[:count]], pool.source, pool.fit)


def refuse_synthetic(data: LesionDataset) -> None:
    """Raise InvalidRequest when a real data set holds a picture that says it is synthetic."""
    for record in data.records:
        if record.image_path.lower().endswith(".png") and _is_ours(data.source.read(record.image_path)):
            raise InvalidRequest(
                f"{record.image_path} (split {record.split}) is synthetic and stands among the real pictures. Take its "
                "row out; synthetic pictures are named under --synthetic.folder, and never judge."
            )


def counts(records: Iterable[LesionRecord]) -> dict[str, int]:
    """How many pictures each diagnosis has."""
    return dict(Counter(str(record.diagnosis) for record in records))


def _is_ours(data: bytes) -> bool:
    try:
        read_provenance(data)
    except DermaFluxError:
        return False
    return True


def _refuse_held_out(name: str) -> None:
    if held_out := _HELD_OUT & {part.lower() for part in Path(name).parts[:-1]}:
        raise InvalidRequest(f"{name} lies under {min(held_out)}: synthetic pictures train and never judge. Move it.")


def _record(name: str, diagnosis: Diagnosis) -> LesionRecord:
    return LesionRecord(
        image_id=name, lesion_id=f"synthetic:{name}", split=Split.TRAIN, diagnosis=diagnosis, image_path=name
    )


def _judged(folder: Path, keep: str) -> set[str]:
    """The names that pass, of those `training.judge_synthetic` judged."""
    path = folder / JUDGED_NAME
    if not path.is_file():
        raise DataNotFound(f"{path} does not exist. Run python -m training.judge_synthetic {folder} first.")
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    return {line["name"] for line in lines if passes(line["agrees"], line["levels_off"], keep)}


def passes(agrees: bool, levels_off: Sequence[float] | None, keep: str) -> bool:
    """Whether a picture is kept: the side agrees and, for CLOSE, no attribute measures more than a level away."""
    near = levels_off is not None and max(levels_off) <= 1
    return keep == ALL or (agrees and (keep == AGREEING or near))
