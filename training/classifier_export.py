"""The end of a classifier run: choose the crop, calibrate, choose the threshold, write the checkpoint.

All choices are made on the validation split. It knows nothing of how the weights were trained.
"""

import json
import logging
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dermaflux.classification.architecture import Architecture
from dermaflux.classification.calibration import Calibration, fit
from dermaflux.classification.checkpoint import CheckpointFacts, malignant_classes, save_checkpoint
from dermaflux.classification.preprocessing import CROPS, InputFacts
from dermaflux.evaluation.classifier_metrics import binary_metrics, youden_threshold
from training.classifier_config import ClassifierRun
from training.classifier_data import HAM_NAME, HeldOut, class_names_of, data_name, read_held_out
from training.classifier_loop import held_out_logits
from training.dataset import LesionDataset

log = logging.getLogger(__name__)
NUM_TURNS = 4
HAM_LICENCE = "CC BY-NC 4.0"
NOTICE = "Non-commercial, research use only. Not a medical device; not for diagnosis, treatment or clinical decisions."


def export(
    run: ClassifierRun,
    network: nn.Module,
    inputs: InputFacts,
    train: LesionDataset,
    val: LesionDataset,
    synthetic_sha256: str = "",
) -> CheckpointFacts:
    """Choose on val, then write the checkpoint to the run's `model` folder and to export_dir if given.

    synthetic_sha256: the fingerprint of the synthetic pictures that joined the real ones of `train`.
    """
    class_names = class_names_of(train)
    mask, device = malignant_classes(class_names), next(network.parameters()).device
    inputs, held, logits = _best_crop(network, inputs, val, class_names, device)
    calibration = fit(logits, held.labels, mask)
    truth, score = _malignant_view(calibration, logits, held.labels, mask)
    threshold = youden_threshold(truth, score)
    facts = CheckpointFacts(
        architecture=Architecture(name=run.model, size_px=run.size_px, num_classes=len(class_names)),
        inputs=inputs,
        class_names=class_names,
        calibration=calibration,
        threshold=threshold,
        num_turns=NUM_TURNS,
        data_sha256=train.fingerprint(),
        data_name=data_name(run.data),
        git_commit=git_commit(),
        licence=HAM_LICENCE if data_name(run.data) == HAM_NAME else "as the training pictures",
        notice=NOTICE,
        training=_recipe(run) | {"synthetic_sha256": synthetic_sha256},
        metrics={"val": _val_metrics(truth, score, threshold, calibration.probabilities(logits), held)},
    )
    facts = save_checkpoint(run.run_dir / "model", network, facts)
    if run.export_dir is not None:
        save_checkpoint(run.export_dir, network, facts)
    return facts


def git_commit() -> str:
    """The commit the code stands at, with `-dirty` when files differ from it; empty outside a repository."""
    root = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            cwd=root, capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("the git commit is not known (%s), the checkpoint leaves it empty", error)
        return ""
    return done.stdout.strip()


def _best_crop(
    network: nn.Module, inputs: InputFacts, val: LesionDataset, class_names: tuple[str, ...], device: torch.device
) -> tuple[InputFacts, HeldOut, np.ndarray]:
    mask, tried = malignant_classes(class_names), []
    for crop in CROPS:
        wanted = replace(inputs, crop=crop)
        held = read_held_out(val, class_names, wanted)
        logits = held_out_logits(network, held, wanted, turns=NUM_TURNS, device=device)
        calibration = fit(logits, held.labels, mask)
        auc = binary_metrics(*_malignant_view(calibration, logits, held.labels, mask), threshold=0.5)["auc"]
        log.info("crop %s: val AUC %.4f", crop, auc)
        tried.append((auc, wanted, held, logits))
    return max(tried, key=lambda item: item[0])[1:]


def _malignant_view(
    calibration: Calibration, logits: np.ndarray, labels: np.ndarray, malignant: tuple[bool, ...]
) -> tuple[np.ndarray, np.ndarray]:
    mask = np.asarray(malignant)
    return mask[labels], calibration.probabilities(logits)[:, mask].sum(1)


def _val_metrics(
    truth: np.ndarray, score: np.ndarray, threshold: float, probabilities: np.ndarray, held: HeldOut
) -> dict[str, Any]:
    found = binary_metrics(truth, score, threshold=threshold)
    accuracy = float((probabilities.argmax(1) == held.labels).mean())
    return found | {"class_accuracy": accuracy, "num_pictures": len(held.labels)}


def _recipe(run: ClassifierRun) -> dict[str, Any]:
    """What the weights came from, without the paths of the machine they were made on."""
    left_out = ("name", "runs_dir", "export_dir", "resume", "data", "device")
    kept = {key: value for key, value in asdict(run).items() if key not in left_out}
    kept |= {"frame_px": run.data.frame_px, "limit": run.data.limit}
    return json.loads(json.dumps(kept, default=lambda path: path.name))
