"""Train the lesion segmenter on the whole frames of HAM10000 (or a user's folder with masks).

`python -m training.train_segmenter PRESET [--field value ...]`. All pictures stay in memory as small
uint8 arrays, augmentation runs batched in torch. Every step draws from its own seed, so a stopped run
goes on exactly where it was. It knows nothing of measurement beyond the network it fits.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.records import Split
from dermaflux.measurement.segmenter import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    SegmenterNet,
    network_facts,
)
from training.dataset import LesionDataset, as_uint8, load_ham10000
from training.pictures import FrameTransform
from training.precision import autocast
from training.program import program
from training.segmenter_augment import augment
from training.segmenter_run import PRESETS, SegmenterRun

log = logging.getLogger(__name__)
WEIGHTS_VERSION = "1"
FRAME_SIZE_PX = (160, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameArrays:
    """Pictures (N, H, W, 3) and masks (N, H, W), uint8, masks 0 or 1."""

    images: np.ndarray
    masks: np.ndarray

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.images)


class Trainer:
    """The state of a run: network, its moving average, optimiser and step."""

    def __init__(self, run: SegmenterRun, num_pictures: int) -> None:
        torch.manual_seed(run.seed)
        self.run = run
        self.steps_per_epoch = max(1, num_pictures // run.batch_size)
        network = SegmenterNet(run.network).to(run.device)
        self.network: SegmenterNet = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, run.learning_rate, total_steps=self.total_steps + 1, pct_start=0.15
        )
        self.step = 0
        self.history: list[dict[str, float]] = []

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.run.epochs * self.steps_per_epoch

    def train_step(self, images: Tensor, masks: Tensor) -> float:
        """One update on augmented float batches; returns the loss."""
        self.network.train()
        images = images.to(self.run.device).contiguous(memory_format=torch.channels_last)
        with autocast(self.run.precision, self.run.device):
            logits = self.network(images).float()
        loss = segmentation_loss(logits, masks.to(self.run.device))
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        self._update_average()
        return float(loss.detach())

    def _update_average(self) -> None:
        decay = min(self.run.ema_decay, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value.detach(), 1 - decay)
            else:
                self.average[name].copy_(value)

    def averaged_network(self) -> SegmenterNet:
        """A copy of the network holding the moving average."""
        network = SegmenterNet(self.run.network).to(self.run.device)
        network.load_state_dict(self.average)
        return network.eval()

    def save(self, path: Path) -> None:
        """Write everything needed to go on, atomically."""
        state = {
            "network": self.network.state_dict(), "average": self.average, "step": self.step,
            "optimiser": self.optimiser.state_dict(), "schedule": self.schedule.state_dict(),
            "history": self.history, "total_steps": self.total_steps,
        }  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint of the same run; InvalidRequest when it is of another length."""
        state = torch.load(path, weights_only=True, map_location=self.run.device)
        if state["total_steps"] != self.total_steps:
            raise InvalidRequest(
                f"The checkpoint {path.name} is of a run of {state['total_steps']} steps, this one has "
                f"{self.total_steps}. Use the same epochs, batch size and data, or leave out --resume."
            )
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.history = state["step"], state["history"]


def segmentation_loss(logits_B1HW: Tensor, masks_B1HW: Tensor) -> Tensor:
    """Mean binary cross-entropy plus one minus the soft Dice of each picture."""
    entropy = functional.binary_cross_entropy_with_logits(logits_B1HW, masks_B1HW)
    inside = torch.sigmoid(logits_B1HW)
    overlap = (inside * masks_B1HW).sum(dim=(1, 2, 3))
    total = (inside + masks_B1HW).sum(dim=(1, 2, 3))
    return entropy + (1 - (2 * overlap + 1) / (total + 1)).mean()


def train(run: SegmenterRun, train_set: FrameArrays, val_set: FrameArrays) -> Trainer:
    """Fit the network; on Ctrl-C the checkpoint is kept and KeyboardInterrupt goes on up."""
    torch.set_num_threads(run.num_threads)
    trainer = Trainer(run, len(train_set))
    checkpoint = run.run_dir / "checkpoint.pt"
    if run.resume:
        if not checkpoint.is_file():
            raise DataNotFound(f"There is no checkpoint in {run.run_dir}. Start without --resume.")
        trainer.restore(checkpoint)
    progress = tqdm(
        total=trainer.total_steps, initial=trainer.step, desc="segmenter", mininterval=5
    )
    try:
        for images, masks in _batches(trainer, train_set):
            progress.set_postfix(loss=f"{trainer.train_step(images, masks):.3f}", refresh=False)
            progress.update()
            if trainer.step % trainer.steps_per_epoch == 0:
                _finish_epoch(trainer, val_set, checkpoint)
    except KeyboardInterrupt:
        trainer.save(checkpoint)
        log.warning("Stopped at step %d; go on with --resume.", trainer.step)
        raise
    finally:
        progress.close()
    return trainer


def _batches(trainer: Trainer, data: FrameArrays) -> Iterator[tuple[Tensor, Tensor]]:
    run = trainer.run
    while trainer.step < trainer.total_steps:
        epoch, index = divmod(trainer.step, trainer.steps_per_epoch)
        order = np.random.default_rng((run.seed, epoch)).permutation(len(data))
        rows = np.sort(order[index * run.batch_size : (index + 1) * run.batch_size])
        generator = torch.Generator().manual_seed(run.seed * 1_000_003 + trainer.step)
        pick = int(torch.randint(len(run.sizes_px), (), generator=generator))
        images = torch.from_numpy(data.images[rows]).permute(0, 3, 1, 2).float() / 255
        masks = torch.from_numpy(data.masks[rows])[:, None].float()
        yield augment(images, masks, run.sizes_px[pick], generator)


def _finish_epoch(trainer: Trainer, val_set: FrameArrays, checkpoint: Path) -> None:
    scores = iou_of(trainer.averaged_network(), val_set, trainer.run)
    row = {
        "step": trainer.step,
        "val_iou_median": float(np.median(scores)),
        "val_iou_mean": float(scores.mean()),
    }
    trainer.history.append(row)
    trainer.save(checkpoint)
    log.info("step %(step)d: val IoU median %(val_iou_median).4f mean %(val_iou_mean).4f", row)


@torch.inference_mode()
def iou_of(network: SegmenterNet, data: FrameArrays, run: SegmenterRun) -> np.ndarray:
    """Intersection over union with the given mask, at the given mask's size: float (N,)."""
    height, width = data.masks.shape[1:]
    net_width, net_height = run.network.input_size_px(width, height)
    scores = []
    for start in range(0, len(data), 32):
        images = torch.from_numpy(data.images[start : start + 32]).permute(0, 3, 1, 2).float() / 255
        images = functional.interpolate(
            images, (net_height, net_width), mode="bilinear", antialias=True, align_corners=False
        )
        logits = (
            network(images.to(run.device).contiguous(memory_format=torch.channels_last))
            .float()
            .cpu()
        )
        logits = functional.interpolate(
            logits, (height, width), mode="bilinear", align_corners=False
        )
        found, given = logits[:, 0] > 0, torch.from_numpy(data.masks[start : start + 32]) > 0
        union = (found | given).sum(dim=(1, 2))
        scores.append(((found & given).sum(dim=(1, 2)) / union.clamp(min=1)).numpy())
    return np.concatenate(scores)


def export(trainer: Trainer, fingerprint: str) -> None:
    """Write the averaged weights in fp16 and the facts that belong to them, atomically."""
    out = trainer.run.out_dir
    out.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.half().contiguous().cpu()
        for name, value in trainer.average.items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(tensors, out / "model.part")
    (out / "model.part").chmod(0o644)
    os.replace(out / "model.part", out / WEIGHTS_NAME)
    text = json.dumps(_facts(trainer, fingerprint), indent=2) + "\n"
    (out / "config.part").write_text(text, encoding="utf-8")
    os.replace(out / "config.part", out / CONFIG_NAME)


def _facts(trainer: Trainer, fingerprint: str) -> dict[str, Any]:
    run = asdict(trainer.run)
    kept = (
        "epochs",
        "batch_size",
        "learning_rate",
        "weight_decay",
        "ema_decay",
        "sizes_px",
        "seed",
        "precision",
    )
    return {
        "kind": "dermaflux-segmenter",
        "version": WEIGHTS_VERSION,
        "network": network_facts(trainer.run.network),
        "training": {name: run[name] for name in kept},
        "data": {"name": "HAM10000 train, whole frames", "fingerprint": fingerprint},
        "history": trainer.history,
        "licence": "CC BY-NC 4.0 (trained on HAM10000); non-commercial, research use only",
    }


def load_frames(dataset: LesionDataset, split: Split, limit: int | None) -> tuple[FrameArrays, str]:
    """Pictures and masks of one split in memory, and the fingerprint of what was read."""
    part = dataset.split(split)
    part = LesionDataset(part.records[:limit], part.source, part.fit) if limit else part
    images, masks = as_uint8(part)
    return FrameArrays(images=images, masks=masks), part.fingerprint()


@program
def main(arguments: list[str] | None = None) -> None:
    """Read the preset, train, export."""
    run = tyro.extras.overridable_config_cli(PRESETS, args=arguments)
    started = time.monotonic()
    dataset = load_ham10000(run.data_dir, fit=lambda _: FrameTransform(size_px=FRAME_SIZE_PX))
    train_set, fingerprint = load_frames(dataset, Split.TRAIN, run.limit)
    val_set, _ = load_frames(dataset, Split.VAL, run.limit)
    seconds = time.monotonic() - started
    log.info("%d train and %d val frames read in %.0f s", len(train_set), len(val_set), seconds)
    trainer = train(run, train_set, val_set)
    export(trainer, fingerprint)
    log.info("done in %.0f s, weights in %s", time.monotonic() - started, run.out_dir)


if __name__ == "__main__":
    sys.exit(main())
