"""The training loop: one state that steps, is scored on val, and is written so that it can go on.

Every random number of step n comes from (seed, n, process), so a run resumed from any checkpoint draws what an
unbroken one would have drawn. accelerate spreads a batch over processes; what they decide by (the clock, the score) is
what the first one says. It knows no data set and no final checkpoint format.
"""

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from sklearn.metrics import roc_auc_score
from timm.optim import param_groups_layer_decay
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn import functional

from dermaflux.classification.preprocessing import InputFacts, normalised
from dermaflux.domain.errors import Cancelled, ModelNotAvailable
from training.augmentation import mixed, randaugmented, random_views
from training.classifier_config import ClassifierRun, OptimConfig
from training.classifier_data import HeldOut, TrainFrames
from training.precision import autocast

STATE_NAME = "state.pt"
HISTORY_NAME = "history.jsonl"
EARLY_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a run trains on and is scored with; `malignant` says of each class whether it is."""

    train: TrainFrames
    val: HeldOut
    inputs: InputFacts
    malignant: tuple[bool, ...]


class Trainer:
    """Network, moving average, optimiser and counters of one run."""

    def __init__(self, run: ClassifierRun, network: nn.Module, material: Material, accelerator: Accelerator) -> None:
        self.run, self.material, self.accelerator = run, material, accelerator
        self.device = device = accelerator.device
        self.network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = ModelEmaV3(self.network, decay=run.optim.ema_decay, use_warmup=True)
        self.optimiser = torch.optim.AdamW(_groups(self.network, run.optim), lr=1.0)
        self.wrapped = accelerator.prepare(self.network)
        self.weights = material.train.sampling_weights(run.optim.balance, len(material.malignant))
        self.mask = torch.tensor(material.malignant, device=device)
        self.frames = material.train.frames.to(device)
        shown = run.optim.batch_size * accelerator.num_processes
        self.steps_per_epoch = run.optim.steps_per_epoch or max(1, len(self.frames) // shown)
        self.step = 0
        self.seconds = 0.0
        self.best: dict[str, Any] = {"auc": -1.0, "epoch": -1, "weights": None}

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.step // self.steps_per_epoch

    @property
    def progress(self) -> float:
        """Share of the schedule that is used up, by steps or by the clock, whichever is further; 0..1."""
        optim = self.run.optim
        share = self.step / (optim.epochs * self.steps_per_epoch)
        if optim.max_minutes is not None:
            share = max(share, self.seconds / (60 * optim.max_minutes))
        return min(share, 1.0)

    @property
    def finished(self) -> bool:
        """Whether the schedule, the patience or the target says stop; only asked between epochs."""
        optim, best = self.run.optim, self.best
        reached = optim.target_auc is not None and best["auc"] >= optim.target_auc
        return self.progress >= 1.0 or reached or self.epoch - best["epoch"] > optim.patience > 0 <= best["epoch"]

    def train_step(self) -> float:
        """One optimiser step; returns its loss."""
        start, optim = time.monotonic(), self.run.optim
        place = self.step * self.accelerator.num_processes + self.accelerator.process_index
        rng = torch.Generator().manual_seed(self.run.seed * 1_000_003 + place)
        torch.manual_seed(self.run.seed * 1_000_003 + place)  # drop path and RandAugment draw from the global generator
        x_BCHW, targets_BK = self._batch(rng)
        self.network.train()
        with autocast(self.run.precision, self.device):
            logits = self.wrapped(x_BCHW)
        loss = self._loss(logits.float(), targets_BK)
        for group in self.optimiser.param_groups:
            rate = _rate(self.progress, optim.warmup_share) * optim.learning_rate
            group["lr"] = rate * group.get("lr_scale", 1.0)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), optim.clip_norm)
        self.optimiser.step()
        self.average.update(self.network, step=self.step)
        self.step += 1
        self.seconds = self._agreed(self.seconds + time.monotonic() - start)
        return float(loss.detach())

    def score(self) -> dict[str, float]:
        """Validation AUC of malignant and class accuracy of the averaged weights; remembers the best."""
        start, val = time.monotonic(), self.material.val
        logits = held_out_logits(
            self.average.module, val, self.material.inputs, device=self.device, precision=self.run.precision
        )
        mask = np.asarray(self.material.malignant)
        auc = self._agreed(malignant_auc(logits, val.labels, mask))
        if auc > self.best["auc"]:
            kept = {k: v.detach().cpu().clone() for k, v in self.average.module.state_dict().items()}
            self.best = {"auc": auc, "epoch": self.epoch, "weights": kept}
        self.seconds = self._agreed(self.seconds + time.monotonic() - start)
        return {"val_auc": auc, "val_accuracy": float((logits.argmax(1) == val.labels).mean())}

    def _agreed(self, value: float) -> float:
        """The first process's value, so that all stop and choose alike."""
        if self.accelerator.num_processes == 1:
            return value
        return broadcast_object_list([value])[0]

    def _batch(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.multinomial(self.weights, self.run.optim.batch_size, replacement=True, generator=rng)
        targets = functional.one_hot(self.material.train.labels[chosen], len(self.material.malignant)).float()
        frames = randaugmented(self.frames[chosen.to(self.device)], self.run.augment)
        small = self.run.early_size_px if self.progress < EARLY_SHARE else None
        x_BCHW = random_views(frames, small or self.run.size_px, self.run.augment, rng)
        x_BCHW, targets = mixed(x_BCHW, targets.to(self.device), self.run.augment, rng)
        mean = torch.tensor(self.material.inputs.mean, device=self.device).view(1, 3, 1, 1)
        std = torch.tensor(self.material.inputs.std, device=self.device).view(1, 3, 1, 1)
        return ((x_BCHW - mean) / std).contiguous(memory_format=torch.channels_last), targets

    def _loss(self, logits_BK: Tensor, targets_BK: Tensor) -> Tensor:
        optim = self.run.optim
        loss = functional.cross_entropy(logits_BK, targets_BK, label_smoothing=optim.label_smoothing)
        odds = logits_BK[:, self.mask].logsumexp(1) - logits_BK[:, ~self.mask].logsumexp(1)
        truth = targets_BK[:, self.mask].sum(1)
        return loss + optim.malignant_loss_weight * functional.binary_cross_entropy_with_logits(odds, truth)

    def save(self, facts: Mapping[str, Any]) -> None:
        """Write everything needed to go on, atomically; `facts` says what the run was made of.

        Of several processes the first one does.
        """
        if not self.accelerator.is_main_process:
            return
        state = {
            "facts": dict(facts),
            "network": self.network.state_dict(),
            "average": self.average.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
        }
        self.run.run_dir.mkdir(parents=True, exist_ok=True)
        partial = self.run.run_dir / f".{STATE_NAME}.partial"
        torch.save(state, partial)
        os.replace(partial, self.run.run_dir / STATE_NAME)

    def load(self, facts: Mapping[str, Any]) -> None:
        """Go on from the run's state. Raises ModelNotAvailable when it was made otherwise."""
        path = self.run.run_dir / STATE_NAME
        if not path.is_file():
            raise ModelNotAvailable(f"There is nothing to resume in {self.run.run_dir}. Start without --resume.")
        state = torch.load(path, map_location=self.device, weights_only=True)
        differing = [k for k in facts if state["facts"].get(k) != facts[k]]
        if differing:
            raise ModelNotAvailable(
                f"The run {self.run.name} was started with another {differing[0]}. Use the same, or a new --name."
            )
        self.network.load_state_dict(state["network"])
        self.average.module.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]


def train(trainer: Trainer, facts: Mapping[str, Any], on_step: Callable[[Trainer, float], None]) -> None:
    """Step until finished, scoring and saving every epoch.

    `on_step` runs between steps; when it raises Cancelled, the state is saved and Cancelled goes on.
    """
    history = History(trainer.run.run_dir / HISTORY_NAME, trainer.step) if trainer.accelerator.is_main_process else None
    losses: list[float] = []
    try:
        while trainer.step % trainer.steps_per_epoch or not trainer.finished:
            losses.append(trainer.train_step())
            last = losses[-1]
            if trainer.step % trainer.steps_per_epoch == 0:
                line = {"epoch": trainer.epoch, "step": trainer.step, "loss": sum(losses) / len(losses)}
                line |= trainer.score() | {"seconds": round(trainer.seconds, 1)}
                if history is not None:
                    history.add(line)
                trainer.save(facts)
                losses = []
            on_step(trainer, last)
    except Cancelled:
        trainer.save(facts)
        raise


class History:
    """A JSONL file of one line an epoch; lines after the step resumed from are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        old = path.read_text(encoding="utf-8").splitlines() if path.is_file() and step else []
        kept = [text for text in old if json.loads(text)["step"] <= step]
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text("".join(f"{text}\n" for text in kept), encoding="utf-8")
        os.replace(partial, path)

    def add(self, line: Mapping[str, Any]) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")


def malignant_auc(logits: np.ndarray, labels: np.ndarray, malignant: np.ndarray) -> float:
    """AUC of malignant against benign, by the log odds of logits (N, K); labels (N,), malignant (K,) bool."""
    score = np.logaddexp.reduce(logits[:, malignant], axis=1) - np.logaddexp.reduce(logits[:, ~malignant], axis=1)
    return float(roc_auc_score(malignant[labels], score))


@torch.inference_mode()
def held_out_logits(
    network: nn.Module,
    part: HeldOut,
    inputs: InputFacts,
    *,
    turns: int = 1,
    device: torch.device,
    precision: str = "fp32",
) -> np.ndarray:
    """Logits (N, K) of held-out pictures, averaged over views and the first `turns` turns of each.

    precision: fp32 as it is served, or that of the training, three times as fast on a CPU that knows bfloat16.
    """
    network.eval()
    rows = []
    for start in range(0, len(part.labels), 64):
        x_NHWC = torch.from_numpy(part.pixels[start : start + 64]).to(device)
        count, num_views = x_NHWC.shape[:2]
        x_BCHW = normalised(x_NHWC.flatten(0, 1), inputs)
        with autocast(precision, device):
            total = sum(network(turned(x_BCHW, turn)).float() for turn in range(turns))
        rows.append((total / turns).view(count, num_views, -1).mean(1).cpu().numpy())  # type: ignore[union-attr]
    return np.concatenate(rows)


def turned(x_BCHW: Tensor, index: int) -> Tensor:
    """One of the eight ways to lay a square picture; 0 is as it is, 1 its mirror image."""
    flipped = x_BCHW.flip(3) if index % 2 else x_BCHW
    return flipped.rot90(index // 2, (2, 3)).contiguous(memory_format=torch.channels_last)


def _rate(progress: float, warmup_share: float) -> float:
    if progress < warmup_share:
        return (progress + 1e-3) / (warmup_share + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup_share) / (1 - warmup_share)))


def _groups(network: nn.Module, optim: OptimConfig) -> list[dict[str, Any]]:
    """Weight decay on matrices and kernels only, and the share of the rate (`lr_scale`) by depth."""
    spared = network.no_weight_decay() if hasattr(network, "no_weight_decay") else set()  # type: ignore[operator]
    return param_groups_layer_decay(
        network, weight_decay=optim.weight_decay, no_weight_decay_list=tuple(spared), layer_decay=optim.layer_decay
    )
