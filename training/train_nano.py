"""Trains nano, the small FluxPipeline, from scratch on captioned HAM10000 training pictures.

    python -m training.train_nano cpu --data-dir ../shared/data

Rectified flow (t = 1 is noise), or a diffusion to compare it with; EMA weights, caption dropout for guidance. A run
can be stopped at any time and continues where it was; every batch depends on the seed and the step alone. It sees
split=train for learning and split=val for the loss it reports, never test.
"""

import json
import logging
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
import tyro
from diffusers import FluxPipeline
from diffusers.training_utils import EMAModel
from torch import Tensor
from tqdm import tqdm

from dermaflux.domain.records import Split
from dermaflux.generation.catalogue import entry_of_folder
from dermaflux.generation.loading import load_pipeline
from dermaflux.generation.nano import build_nano_pipeline
from dermaflux.generation.placement import choose_placement
from training.checkpoints import load_checkpoint, save_checkpoint
from training.flow_model import FlowModel
from training.nano_config import PRESETS, TrainNanoConfig
from training.nano_data import draw_batch, fixed_captions, load_captioned, to_unit_range
from training.nano_export import export_nano, vocabulary_corpus
from training.objectives import FLOW, EpsilonDiffusion, objective_of
from training.precision import autocast
from training.program import program
from training.run_status import recorded
from training.schedules import cosine_with_warmup
from training.stopping import stop_between_steps

log = logging.getLogger(__name__)
_VAL_TIMES = (0.15, 0.35, 0.55, 0.75, 0.95)


class NanoTrainer:
    """The state of one run: pipeline, optimiser, EMA, step and minutes spent."""

    def __init__(self, config: TrainNanoConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.folder = config.runs_dir / config.name
        self.train = load_captioned(config.data_dir, config.measured, Split.TRAIN, config.size_px)
        self.val = load_captioned(config.data_dir, config.measured, Split.VAL, config.size_px)
        self.pipeline, self.text_tokens = _first_pipeline(config, self.train.images)
        self.pipeline.vae.to(config.device)
        self.model = FlowModel(self.pipeline, self.text_tokens).to(config.device).train().requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay
        )
        self.ema = EMAModel(self.model.parameters(), decay=config.ema_decay, use_ema_warmup=True, power=0.75)
        self.objective = objective_of(config.objective, config.time_shift)
        self.step, self.minutes = 0, 0.0

    @property
    def progress(self) -> float:
        """The share of the run that is done, 0..1, by steps or by minutes."""
        by_time = self.minutes / self.config.max_minutes if self.config.max_minutes else 0.0
        return min(1.0, max(self.step / self.config.num_steps, by_time))

    def resume(self) -> bool:
        """Continue from the run's checkpoint if there is one."""
        state = load_checkpoint(self.folder / "checkpoint.pt")
        if state is None:
            return False
        self.model.load_state_dict(state["model"])
        self.pipeline.vae.load_state_dict(state["vae"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema.load_state_dict(state["ema"])
        self.ema.to(self.config.device)
        self.step, self.minutes = state["step"], state["minutes"]
        log.info("continuing %s at step %d after %.1f minutes", self.folder, self.step, self.minutes)
        return True

    def save(self) -> None:
        """Write the checkpoint: temporary file, then moved."""
        state = {
            "model": self.model.state_dict(),
            "vae": self.pipeline.vae.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict(),
            "step": self.step,
            "minutes": self.minutes,
        }
        save_checkpoint(state, self.folder / "checkpoint.pt")

    def run_step(self) -> float:
        """One optimiser step; the loss of its batch."""
        config = self.config
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        images, captions = draw_batch(self.train, config.batch_size, generator, config.style)
        dropped = torch.rand(len(captions), generator=generator) < config.caption_dropout
        captions = ["" if drop else caption for drop, caption in zip(dropped, captions, strict=True)]
        data = self._latents(images)
        noise = torch.randn(data.shape, generator=generator).to(data.device)
        times = self.objective.times(len(data), generator).to(data.device)
        loss = self._loss(data, noise, times, captions).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip)
        scale = cosine_with_warmup(self.progress, self.step, config.warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * scale
        self.optimizer.step()
        self.ema.step(self.model.parameters())
        self.step += 1
        return loss.item()

    @torch.no_grad()
    def validation_loss(self) -> dict[str, float]:
        """The objective's loss of the EMA weights on val pictures at fixed times with fixed noise."""
        images = to_unit_range(self.val.images[: self.config.num_val])
        captions = fixed_captions(self.val)[: self.config.num_val]
        data = self._latents(images)
        noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(1)).to(data.device)
        self.ema.store(self.model.parameters())
        self.ema.copy_to(self.model.parameters())
        losses = {
            f"t={time_value}": float(
                torch.cat([
                    self._loss(d, n, torch.full((len(d),), time_value, device=d.device), captions[i * 32 :][: len(d)])
                    for i, (d, n) in enumerate(zip(data.split(32), noise.split(32), strict=True))
                ]).mean()
            )
            for time_value in _VAL_TIMES
        }  # fmt: skip
        self.ema.restore(self.model.parameters())
        return losses | {"mean": sum(losses.values()) / len(losses)}

    def _latents(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.pipeline.vae.encode(images.to(self.config.device)).latent_dist.mode()

    def _loss(self, data: Tensor, noise: Tensor, times: Tensor, captions: list[str]) -> Tensor:
        def predict(x_t: Tensor, at: Tensor) -> Tensor:
            with autocast(self.config.precision, data.device):
                return self.model(x_t, at, captions)

        return self.objective.loss(predict, data, noise, times)


def train(config: TrainNanoConfig) -> Path:
    """Run to the end (or continue a stopped run), export the EMA weights; the exported folder.

    On Ctrl-C the step is finished, the checkpoint written, and KeyboardInterrupt goes on to the caller.
    """
    with recorded(config.runs_dir / config.name):
        return _train(NanoTrainer(config))


def _train(trainer: NanoTrainer) -> Path:
    config = trainer.config
    trainer.resume()
    trainer.folder.mkdir(parents=True, exist_ok=True)
    (trainer.folder / "config.json").write_text(json.dumps(asdict(config), indent=2, default=str))
    log.info("%d train and %d val pictures", len(trainer.train), len(trainer.val))
    bar = tqdm(total=config.num_steps, initial=trainer.step, desc="nano", unit="step", mininterval=10)
    clock, running = time.monotonic(), None
    with bar, stop_between_steps() as stop:
        while trainer.progress < 1:
            loss = trainer.run_step()
            now = time.monotonic()
            trainer.minutes, clock = trainer.minutes + (now - clock) / 60, now
            running = loss if running is None else 0.98 * running + 0.02 * loss
            bar.update()
            bar.set_postfix(loss=f"{running:.4f}", done=f"{trainer.progress:.0%}", refresh=False)
            _record(trainer, running)
            if stop():
                trainer.save()
                log.warning("stopped at step %d; the same command continues from there", trainer.step)
                raise KeyboardInterrupt
    trainer.save()
    trainer.ema.copy_to(trainer.model.parameters())
    if config.objective != FLOW:
        trainer.pipeline.register_modules(scheduler=EpsilonDiffusion().sampler(num_steps=20))
    return export_nano(trainer.pipeline, config.out, config.size_px, trainer.text_tokens)


def _first_pipeline(config: TrainNanoConfig, images: Tensor) -> tuple[FluxPipeline, int]:
    """What the run begins with, in float32, and its T5 length: untrained with a fitted patch basis, or a saved nano.

    Raises ModelNotAvailable when `start_from` cannot be loaded whole.
    """
    if config.start_from is not None:
        entry = entry_of_folder(config.start_from, name=config.start_from.name)
        return load_pipeline(entry, choose_placement("cpu", "float32")), entry.text_tokens
    pipeline = build_nano_pipeline(config.model, vocabulary_corpus())
    pipeline.vae.fit(to_unit_range(images[:: max(1, len(images) // 1500)]))
    return pipeline, config.model.text_tokens


def _record(trainer: NanoTrainer, running_loss: float) -> None:
    config, done = trainer.config, trainer.progress >= 1
    if trainer.step % config.save_every == 0:
        trainer.save()
    if trainer.step % config.eval_every == 0 or done:
        line = {"step": trainer.step, "minutes": round(trainer.minutes, 2), "loss": round(running_loss, 5)}
        line |= {f"val_{name}": round(value, 5) for name, value in trainer.validation_loss().items()}
        with (trainer.folder / "history.jsonl").open("a") as handle:
            handle.write(json.dumps(line) + "\n")
        log.info("%s", line)


@program
def main() -> None:
    """The command line: a preset and fields to change."""
    train(tyro.extras.overridable_config_cli(PRESETS))


if __name__ == "__main__":
    sys.exit(main())
