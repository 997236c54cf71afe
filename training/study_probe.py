"""The quick classifier of a study: a logistic regression on what frozen ImageNet convolutions see.

Seconds a cell where fine-tuning takes minutes, so that many seeds and every way to use synthetic pictures fit an hour
on two cores. It is weaker than a fine-tuned network and says nothing of what that would make of the same pictures. It
is fitted at once on views drawn beforehand, so arms about the number or order of steps mean nothing to it. Features are
scaled by all training pictures, so synthetic ones set the scale too, whatever they weigh.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from dermaflux.classification.checkpoint import malignant_classes
from dermaflux.classification.preprocessing import InputFacts
from dermaflux.evaluation.probe_head import fitted_head, standardiser
from training.augmentation import AugmentConfig, random_views
from training.classifier_data import TrainFrames
from training.classifier_loop import malignant_auc, turned
from training.imagenet import MEAN, STD
from training.probe_features import ProbeFeatures, Views
from training.study_config import Cell, StudyConfig
from training.study_material import NUM_TURNS, HeldOutLogits, Judges, judges_of

NUM_VIEWS = 8
"""Random views of a training picture."""
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""On half the squared weights, beside the mean loss: so a set does not seem to help by being large. Chosen on val."""
_UNSEEN = -14.0
"""Log probability of a class that no training picture has: one in a million."""


def probed(
    config: StudyConfig, cell: Cell, stages: Sequence[TrainFrames], should_stop: Callable[[], bool]
) -> HeldOutLogits:
    """What the cell's probe says. Raises Cancelled between two pictures, and what the parts raise."""
    run, (frames,) = config.run_of(cell), stages
    judges = judges_of(config.data, InputFacts(size_px=run.size_px, mean=MEAN, std=STD))
    features = ProbeFeatures(config.folder / "features")
    seen = features.of(frames.frames, random_training_views(run.augment, run.size_px), should_stop)
    held = {name: _held_out(features, part.pixels, should_stop) for name, part in judges.parts.items()}
    weights = frames.sampling_weights(run.optim.balance, len(judges.class_names)).numpy()
    return HeldOutLogits(logits=_chosen_on_val(seen, frames.labels.numpy(), weights, held, judges), judges=judges)


def random_training_views(augment: AugmentConfig, size_px: int) -> Views:
    """Views as fine-tuning is shown them; pairs of pictures are not mixed."""

    def draw(frame_HWC: Tensor, rng: torch.Generator) -> Tensor:
        return random_views(frame_HWC[None].expand(NUM_VIEWS, -1, -1, -1), size_px, augment, rng)

    return Views(name=f"{NUM_VIEWS} of {size_px} px, {sorted(asdict(augment).items())}", draw=draw)


def _held_out(features: ProbeFeatures, pixels: np.ndarray, should_stop: Callable[[], bool]) -> np.ndarray:
    """Features (N, V, F) of served views (N, W, S, S, 3), each laid NUM_TURNS ways."""

    def draw(frame_HWC: Tensor, _: torch.Generator) -> Tensor:
        x_BCHW = frame_HWC.permute(2, 0, 1)[None].to(torch.float32) / 255.0
        return torch.cat([turned(x_BCHW, turn) for turn in range(NUM_TURNS)])

    frames = torch.from_numpy(pixels).flatten(0, 1)
    seen = features.of(frames, Views(name=f"laid {NUM_TURNS} ways", draw=draw), should_stop)
    return seen.reshape(len(pixels), -1, seen.shape[-1])


def _chosen_on_val(
    seen: np.ndarray, labels: np.ndarray, weights: np.ndarray, held: dict[str, np.ndarray], judges: Judges
) -> dict[str, np.ndarray]:
    """Logits of the penalty with the best AUC on val."""
    malignant = np.asarray(malignant_classes(judges.class_names))
    mean, spread = standardiser(seen.reshape(-1, seen.shape[-1]))
    seen, held = (seen - mean) / spread, {name: (part - mean) / spread for name, part in held.items()}
    fitted = (_fitted(seen, labels, weights, penalty) for penalty in PENALTIES)
    said = [{name: _logits(head, part, len(malignant)) for name, part in held.items()} for head in fitted]
    return max(said, key=lambda logits: malignant_auc(logits["val"], judges.val.labels, malignant))


def _fitted(seen_NVF: np.ndarray, labels: np.ndarray, weights: np.ndarray, penalty: float) -> LogisticRegression:
    """The head on all views of the training pictures, classes weighted as fine-tuning draws them."""
    num_views = seen_NVF.shape[1]
    rows = seen_NVF.reshape(-1, seen_NVF.shape[-1])
    return fitted_head(rows, np.repeat(labels, num_views), np.repeat(weights, num_views), penalty)


def _logits(head: LogisticRegression, seen_NVF: np.ndarray, num_classes: int) -> np.ndarray:
    """Log probabilities (N, K), averaged over the views; of classes it has not seen, almost nothing."""
    logits = np.full((len(seen_NVF), num_classes), _UNSEEN)
    said = head.predict_log_proba(seen_NVF.reshape(-1, seen_NVF.shape[-1])).clip(min=_UNSEEN)
    logits[:, head.classes_] = said.reshape(*seen_NVF.shape[:2], -1).mean(axis=1)
    return logits
