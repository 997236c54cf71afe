"""Compare our classifier with prior vision-language models of dermatology, zero-shot, on the same test pictures.

    python -m training.prior_models --models biomedclip dermlip-vit monet --name first

A model is a name of the catalogue, a folder, or OWNER/NAME of the hub. Scores are kept, so that the same command goes
on where it was stopped; results.jsonl has a line a model, those that could not be run among them. It wires the parts.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from tqdm import tqdm

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.domain.records import Split
from dermaflux.evaluation.classifier_metrics import Bootstrap
from training.classifier_data import part
from training.dataset import LesionDataset, load_folder, load_ham10000
from training.lesion_records import without_masks
from training.prior_catalogue import CATALOGUE, folder_of, reported_auc
from training.prior_prompts import read_prompts, shipped_prompts
from training.prior_report import Judged, bands, figures, table
from training.prior_scores import (
    Scorer,
    classifier_scorer,
    read_scores,
    score_pictures,
    zero_shot_scorer,
)
from training.program import program
from training.roc_figure import write_roc
from training.run_status import recorded
from training.whole_files import write_whole

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorRun:
    """What is compared, on which pictures."""

    models: tuple[str, ...] = tuple(CATALOGUE)
    """Names of the catalogue, folders of open_clip or transformers, or OWNER/NAME of the hub."""
    classifiers: tuple[Path, ...] = (Path("assets/models/classifier"),)
    """Checkpoints of train_classifier; the first is what all others are compared with."""
    prompts: Path | None = None
    """A JSON file of your own prompts instead of the shipped ensembles: {name: {class: {malignant, texts}}}."""
    name: str = "first"
    runs_dir: Path = Path("runs/prior_models")
    data_dir: Path = Path("../shared/data")
    """Folder with ham10000.csv and its archives."""
    folder: Path | None = None
    """Your own folder instead: pictures with metadata.csv, splits val and test."""
    archive_px: int = 200
    """HAM10000 archive: 200 = whole frames 200x150, 224 = centre crops, one a lesion."""
    limit: int | None = None
    """Use only about this many pictures of val and of test, every class kept."""
    num_resamples: int = 1000
    """Of lesions, for the intervals."""
    device: str = "auto"

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the field outside its range."""
        if not self.models and not self.classifiers:
            raise InvalidRequest("Name at least one of --models or --classifiers.")
        if not 100 <= self.num_resamples <= 100_000 or (self.limit is not None and self.limit < 8):
            raise InvalidRequest("num_resamples must lie in 100 to 100000, and limit be 8 or more.")

    @property
    def run_dir(self) -> Path:
        """Where the scores, results.jsonl and the figure go."""
        return self.runs_dir / self.name


def compare(run: PriorRun) -> list[dict[str, Any]]:
    """Score with every model, judge, draw; the lines of results.jsonl.

    A model that is not available is a line that says why; when it is the only one asked for, ModelNotAvailable.
    """
    data = _pictures(run)
    device = "cuda" if run.device == "auto" and torch.cuda.is_available() else run.device.replace("auto", "cpu")
    paths: dict[str, Path] = {}
    missing: dict[str, str] = {}
    with recorded(run.run_dir):
        for name, opened in _scorers(run, device):
            path = run.run_dir / "scores" / f"{name.strip('/').replace('/', '_')}.jsonl"
            try:
                _score(path, opened(), data)
                paths[name] = path
            except ModelNotAvailable as error:
                if len(run.models) + len(run.classifiers) == 1:
                    raise
                log.warning("%s is not run: %s", name, error)
                missing[name] = str(error)
        return _judged(run, data, paths, missing)


def _scorers(run: PriorRun, device: str) -> Iterator[tuple[str, Callable[[], Scorer]]]:
    """Each model's name and how to get at it: classifiers first, since the first of all is the reference."""
    prompts = shipped_prompts() if run.prompts is None else read_prompts(run.prompts)
    for folder in run.classifiers:
        yield str(folder), lambda folder=folder: classifier_scorer(folder, device)
    for model in run.models:
        yield model, lambda model=model: zero_shot_scorer(model, folder_of(model), prompts, device)


def _score(path: Path, scorer: Scorer, data: LesionDataset) -> None:
    with tqdm(desc=scorer.name, total=len(data), unit="picture", file=sys.stderr) as bar:
        for done, _ in score_pictures(path, scorer, data):
            bar.update(done - bar.n)


def _judged(
    run: PriorRun, data: LesionDataset, paths: Mapping[str, Path], missing: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Write results.jsonl and the figure from the scores that are there."""
    columns = {(name, key): values for name, path in paths.items() for key, values in read_scores(path).items()}
    if not columns:
        raise ModelNotAvailable("None of the models could be run: " + "; ".join(missing.values()))
    judged, how = Judged.of(data), Bootstrap(num_resamples=run.num_resamples)
    named = {f"{name}, {key}": values for (name, key), values in columns.items()}
    found = figures(judged, named, how)
    lines: list[dict[str, Any]] = [
        {
            "name": name,
            "state": "done",
            "reported_auc": reported_auc(name),
            "data": data.fingerprint(),
            "figures": {key: found[f"{name}, {key}"] for other, key in columns if other == name},
        }
        for name in paths
    ]
    lines += [
        {"name": name, "state": "not run", "why": why, "reported_auc": reported_auc(name)}
        for name, why in missing.items()
    ]
    write_whole(run.run_dir / "results.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    title = f"Malignant against benign, {int(judged.is_test.sum())} test pictures"
    write_roc(run.run_dir, bands(judged, named, how), title)
    return lines


def _pictures(run: PriorRun) -> LesionDataset:
    """Val, which sets thresholds, then test; whole pictures, since each model prepares its own."""
    data = load_folder(run.folder) if run.folder else load_ham10000(run.data_dir, run.archive_px)
    parts = [part(data, split, run.limit) for split in (Split.VAL, Split.TEST)]
    records = [without_masks(record) for chosen in parts for record in chosen.records]
    return LesionDataset(records, data.source)


@program
def main() -> None:
    """The command line."""
    run = tyro.cli(PriorRun, prog="python -m training.prior_models", description=__doc__)
    lines = compare(run)
    sys.stdout.write(f"{table(lines)}\n\nwritten to {run.run_dir}: results.jsonl, roc.html, roc.png, scores/\n")


if __name__ == "__main__":
    sys.exit(main())
