"""Train the descriptor of lesions: `python -m training.train_descriptor PRESET [--field value ...]`.

Contrastive learning on HAM10000, split train: two views of one lesion (two pictures of it where there are, else one
picture turned, cropped, recoloured and blurred twice) are to be nearest among the lesions of the batch (InfoNCE, as in
SimCLR, Chen 2020, arXiv 2002.05709). Judged, and its threshold set, on pictures of val. It reads no diagnosis.
"""

import json
import logging
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from dermaflux.classification.descriptor import (
    DescriptorConfig,
    DescriptorNet,
    LesionDescriptor,
    save_descriptor,
)
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Split
from dermaflux.evaluation.memorisation import (
    Calibration,
    RealFeatures,
    calibrate,
    calibrate_on_unseen,
)
from training.augmentation import AugmentConfig, random_views
from training.checkpoints import load_checkpoint, save_checkpoint
from training.classifier_data import HAM_NAME
from training.dataset import LesionDataset, load_ham10000
from training.imagenet import start_from_imagenet
from training.lesion_records import without_masks
from training.pictures import centre_square
from training.precision import autocast
from training.program import program
from training.run_status import claim_folder, forget_after, recorded
from training.schedules import cosine_with_warmup
from training.stopping import stop_between_steps

log = logging.getLogger(__name__)
LICENCE = "CC BY-NC 4.0 (trained on HAM10000); non-commercial, research use only"
VIEWS = AugmentConfig(
    min_scale=0.45, squeeze=(0.9, 1.11), rotation_degrees=45, brightness=0.25, contrast=0.25, white_balance=0.1
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorRun:
    """One training run. Whichever of num_steps and max_minutes ends first sets the learning-rate decay."""

    name: str = "cpu"
    data_dir: Path = Path("../shared/data")
    runs_dir: Path = Path("runs/descriptor")
    out: Path = Path("assets/models/descriptor")
    network: DescriptorConfig = field(default_factory=DescriptorConfig)
    pretrained: bool = True
    """Start from ImageNet weights (see `training/imagenet.py`)."""
    num_steps: int = 1500
    max_minutes: float | None = None
    num_lesions: int = 96
    """Lesions in a batch; each gives two views."""
    learning_rate: float = 5e-4
    weight_decay: float = 0.02
    temperature: float = 0.08
    warmup_steps: int = 40
    blur_share: float = 0.3
    """How many batches show one of the two views at half the sharpness: generated pictures are softer."""
    eval_every: int = 100
    limit: int | None = None
    """Use only about this many pictures of each split."""
    seed: int = 0
    device: str = "cpu"
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the field outside its range."""
        if self.num_lesions < 2:
            raise InvalidRequest(f"num_lesions is {self.num_lesions}; telling lesions apart needs at least 2.")
        if not self.temperature > 0:
            raise InvalidRequest(f"temperature is {self.temperature}; it must be above 0.")


PRESETS = {
    "smoke": (
        "seconds: a few steps on a few pictures, to see that everything runs",
        DescriptorRun(
            name="smoke", out=Path("runs/descriptor/smoke/model"), network=DescriptorConfig(size_px=64),
            num_steps=4, num_lesions=8, eval_every=2, limit=80, pretrained=False,
        ),
    ),
    "cpu": ("the embedded descriptor: about 20 minutes on one core", DescriptorRun(max_minutes=20)),
    "h200": (
        "the same for longer with more lesions in a batch, some minutes on one GPU",
        DescriptorRun(name="h200", device="cuda", num_lesions=768, num_steps=4000, learning_rate=1e-3),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Centre squares (N, S, S, 3) uint8 and the lesion of each."""

    pixels: Tensor
    lesion_ids: tuple[str, ...]

    @classmethod
    def read(cls, dataset: LesionDataset, limit: int | None) -> "Pictures":
        """The pictures of a data set in its frame, whole lesions up to about `limit` pictures."""
        records = sorted(dataset.records, key=lambda record: record.lesion_id)[:limit]
        part = LesionDataset([without_masks(record) for record in records], dataset.source, dataset.fit)
        pixels = [np.asarray(image) for image, _, _ in tqdm(part, desc="reading", mininterval=5)]
        return cls(pixels=torch.from_numpy(np.stack(pixels)), lesion_ids=tuple(r.lesion_id for r in records))


class DescriptorTrainer:
    """Network, optimiser and counters of one run; step n draws from (seed, n) alone."""

    def __init__(self, run: DescriptorRun) -> None:
        torch.manual_seed(run.seed)
        self.run, self.folder = run, run.runs_dir / run.name
        data = load_ham10000(run.data_dir, 200, centre_square(run.network.size_px))
        self.train = Pictures.read(data.split(Split.TRAIN), run.limit)
        self.val = Pictures.read(data.split(Split.VAL), run.limit)
        self.fingerprint = data.split(Split.TRAIN).fingerprint()
        self.network = DescriptorNet(run.network)
        if run.pretrained:
            start_from_imagenet(self.network.backbone)
        self.network.to(device=run.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay
        )
        self.members = _members(self.train.lesion_ids)
        self.step, self.minutes = 0, 0.0

    @property
    def progress(self) -> float:
        """The share of the run that is done, 0..1, by steps or by minutes."""
        by_time = self.minutes / self.run.max_minutes if self.run.max_minutes else 0.0
        return min(1.0, max(self.step / self.run.num_steps, by_time))

    def run_step(self) -> float:
        """One optimiser step; the loss of its batch."""
        run, start = self.run, time.monotonic()
        rng = torch.Generator().manual_seed(run.seed * 1_000_003 + self.step)
        first, second = self._pairs(rng)
        self.network.train()
        with autocast(run.precision, run.device):
            vectors = self.network(torch.cat([first, second]))
        mine, partners = vectors.chunk(2)
        loss = info_nce(mine, partners, run.temperature)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = run.learning_rate * cosine_with_warmup(self.progress, self.step, run.warmup_steps)
        self.optimizer.step()
        self.step += 1
        self.minutes += (time.monotonic() - start) / 60
        return float(loss.detach())

    def judge(self) -> dict[str, float]:
        """Same-lesion pairs of val found where 1 % of its pictures are taken for another lesion, and the AUC."""
        found = calibrate(self._vectors(self.val.pixels), self.val.lesion_ids, 0.01)
        return {"same_lesion_found": found.same_lesion_found or 0.0, "same_lesion_auc": found.same_lesion_auc or 0.0}

    def calibration(self) -> Calibration:
        """How near pictures of val come to one of train, and to one another when they show one lesion."""
        unseen = RealFeatures(features=self._vectors(self.val.pixels), lesion_ids=self.val.lesion_ids)
        return calibrate_on_unseen(self._vectors(self.train.pixels), unseen)

    def save(self) -> None:
        """Write the checkpoint: temporary file, then moved."""
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_checkpoint(state | {"step": self.step, "minutes": self.minutes}, self.folder / "checkpoint.pt")

    def resume(self) -> None:
        """Continue from the run's checkpoint if there is one."""
        state = load_checkpoint(self.folder / "checkpoint.pt")
        if state is not None:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.minutes = state["step"], state["minutes"]
            log.info("continuing %s at step %d", self.folder, self.step)

    def export(self) -> Path:
        """Write the folder that the product loads, in float16; its path."""
        found = self.calibration()
        rest = {"licence": LICENCE, "data": HAM_NAME, "data_sha256": self.fingerprint}
        rest |= {"copy_distance": found.threshold, "calibration": asdict(found)}
        rest |= {"start": "ImageNet, EfficientNet-Lite0 (Google, Apache 2.0)" if self.run.pretrained else "random"}
        rest |= {"num_steps": self.step, "minutes": round(self.minutes, 1)}
        save_descriptor(self.run.out, self.network, self.run.network, rest)
        LesionDescriptor.load(self.run.out)  # what was written can be read
        return self.run.out

    def _pairs(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two views of each lesion drawn, (B, 3, S, S) in -1..1."""
        size = self.run.network.size_px
        lesions = torch.randperm(len(self.members), generator=rng)[: self.run.num_lesions].tolist()
        chosen = torch.tensor([_two_of(self.members[lesion], rng) for lesion in lesions])
        first, second = (
            random_views(self.train.pixels[chosen[:, i]].to(self.run.device), size, VIEWS, rng) for i in (0, 1)
        )
        if float(torch.rand((), generator=rng)) < self.run.blur_share:
            second = functional.interpolate(functional.avg_pool2d(second, 2), size=size, mode="bilinear")
        return first * 2 - 1, second * 2 - 1

    @torch.no_grad()
    def _vectors(self, pixels: Tensor) -> np.ndarray:
        return LesionDescriptor(self.network, self.run.network, "", self.run.device).embed_pixels(pixels)


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The cross-entropy of finding each unit vector's partner among all others of both sides; (B, D) each."""
    vectors = torch.cat([first, second])
    logits = vectors @ vectors.T / temperature
    logits = logits.masked_fill(torch.eye(len(vectors), dtype=torch.bool, device=logits.device), -math.inf)
    partner = torch.arange(len(vectors), device=logits.device).roll(len(first))
    return functional.cross_entropy(logits, partner)


def train(run: DescriptorRun) -> Path:
    """Run to the end (or continue a stopped run) and export; the exported folder."""
    settings = {name: value for name, value in asdict(run).items() if name not in ("out", "max_minutes", "num_steps")}
    claim_folder(run.runs_dir / run.name, settings)
    with recorded(run.runs_dir / run.name):
        trainer = DescriptorTrainer(run)
        trainer.resume()
        history = trainer.folder / "history.jsonl"
        forget_after(history, trainer.step)
        with stop_between_steps() as stop, tqdm(total=run.num_steps, initial=trainer.step, mininterval=5) as bar:
            while trainer.progress < 1:
                loss = trainer.run_step()
                bar.update()
                if trainer.step % run.eval_every == 0 or trainer.progress >= 1 or stop():
                    line = {"step": trainer.step, "minutes": round(trainer.minutes, 2), "loss": round(loss, 4)}
                    line |= {name: round(value, 4) for name, value in trainer.judge().items()}
                    with history.open("a", encoding="utf-8") as handle:
                        handle.write(json.dumps(line) + "\n")
                    log.info("%s", line)
                    trainer.save()
                if stop():
                    raise KeyboardInterrupt
        return trainer.export()


def _members(lesion_ids: Sequence[str]) -> list[list[int]]:
    by_lesion: dict[str, list[int]] = {}
    for index, lesion in enumerate(lesion_ids):
        by_lesion.setdefault(lesion, []).append(index)
    return list(by_lesion.values())


def _two_of(pictures: Sequence[int], rng: torch.Generator) -> tuple[int, int]:
    """Two pictures of a lesion: different ones where there are, three times of four."""
    if len(pictures) == 1 or float(torch.rand((), generator=rng)) < 0.25:
        index = pictures[int(torch.randint(len(pictures), (), generator=rng))]
        return index, index
    first, second = torch.randperm(len(pictures), generator=rng)[:2].tolist()
    return pictures[first], pictures[second]


@program
def main() -> None:
    """The command line: a preset and fields to change."""
    train(tyro.extras.overridable_config_cli(PRESETS, prog="python -m training.train_descriptor"))


if __name__ == "__main__":
    sys.exit(main())
