"""What the embedded models say of each picture of a synthetic folder, so that training can keep those that fit.

    python -m training.judge_synthetic runs/study/flow

Writes `judged.jsonl` into the folder, a line a picture: P(malignant), whether that is the side asked for, and how many
levels asymmetry, border and number of colours measure away from what was asked for (null where they could not be
measured). Pictures judged before are not judged again. The embedded classifier has seen all of split=train: a set
filtered by it knows more than a few real pictures do, and a study must say so.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

from dermaflux.classification import LesionClassifier
from dermaflux.domain.lesion import LEVEL_STEP, LesionSpec
from dermaflux.domain.records import Measurement
from dermaflux.measurement.measurer import Measurer
from dermaflux.provenance import read_provenance
from training.dataset import LesionDataset
from training.program import program
from training.synthetic_source import JUDGED_NAME, read_synthetic

_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeConfig:
    """Which folder is judged, and by which models."""

    folder: tyro.conf.Positional[Path]
    models_dir: Path = Path("assets/models")


def judge(folder: Path, models_dir: Path) -> int:
    """Judge what was not yet; how many pictures. Raises as `read_synthetic` and the models do."""
    pool, path = read_synthetic(folder), folder / JUDGED_NAME
    known = {line["name"] for line in _lines(path)}
    waiting = pool.where(lambda record: record.image_id not in known)
    classifier, measurer = LesionClassifier.from_folder(models_dir / "classifier"), Measurer.from_folder(models_dir)
    with path.open("a", encoding="utf-8") as handle, tqdm(total=len(waiting), desc="judging", mininterval=5) as bar:
        for start in range(0, len(waiting), _BATCH):
            chosen = range(len(waiting))[start : start + _BATCH]
            for line in _judged(waiting, chosen, classifier, measurer):
                handle.write(json.dumps(line) + "\n")
            handle.flush()
            bar.update(len(chosen))
    return len(waiting)


def levels_off(spec: LesionSpec, found: Measurement) -> list[float] | None:
    """How many levels asymmetry, border and number of colours lie apart; None for a refused measurement."""
    if found.asymmetry is None or found.border is None or found.num_colours is None:
        return None
    pairs = {
        "asymmetry": (spec.asymmetry, found.asymmetry),
        "border": (spec.border, found.border),
        "num_colours": (len(spec.colours), found.num_colours),
    }
    return [round(abs(asked - seen) / LEVEL_STEP[name], 3) for name, (asked, seen) in pairs.items()]


def _judged(
    pool: LesionDataset, chosen: Sequence[int], classifier: LesionClassifier, measurer: Measurer
) -> Iterator[dict[str, Any]]:
    pictures = [pool[index][0] for index in chosen]
    answers = classifier.predict(pictures)
    for index, picture, answer in zip(chosen, pictures, answers, strict=True):
        name = pool.records[index].image_id
        spec = read_provenance(pool.source.read(name)).spec
        assert spec is not None  # read_synthetic takes no other
        malignant = answer.malignant
        agrees = malignant is not None and (malignant >= classifier.facts.threshold) == spec.malignant
        off = levels_off(spec, measurer.measure(picture))
        yield {"name": name, "malignant": malignant, "agrees": agrees, "levels_off": off}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of an earlier run, a torn last one cut off."""
    if not path.is_file():
        return []
    whole, _, torn = path.read_text(encoding="utf-8").rpartition("\n")
    if torn:
        path.write_text(whole + "\n" if whole else "", encoding="utf-8")
    return [json.loads(text) for text in whole.splitlines()]


@program
def main() -> None:
    """The command line."""
    config = tyro.cli(JudgeConfig, description=__doc__)
    count = judge(config.folder, config.models_dir)
    sys.stdout.write(f"{count} pictures judged, in {config.folder / JUDGED_NAME}\n")


if __name__ == "__main__":
    sys.exit(main())
