"""The optimisation of a LoRA: one step, the validation loss, the checkpoint. t = 1 is noise.

Every batch depends on the seed, the step and the process alone, so a run that was killed goes on as if it had not
been. accelerate spreads it over processes. It knows no files but its checkpoint.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import compute_loss_weighting_for_sd3
from torch import Tensor

from training.aspect_buckets import Buckets
from training.checkpoints import load_checkpoint, save_checkpoint
from training.flux_velocity import flux_velocity, time_shift
from training.lora_cache import Batch
from training.lora_config import LoraRun
from training.lora_state import LoraState
from training.rectified_flow import interpolate, logit_normal_times, shifted, velocity_loss
from training.schedules import cosine_with_warmup

VAL_TIMES = (0.15, 0.35, 0.55, 0.75, 0.95)
_NUM_SEEN = 16  # training pictures whose loss is held against that of unseen ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The transformer with its LoRA on, what it learns from and what it is judged on."""

    transformer: Any
    scheduler_config: Any
    train: Buckets
    val: Buckets


class LoraTrainer:
    """One run: its LoRA, what it learns from, the processes that share the work."""

    def __init__(self, run: LoraRun, material: Material, accelerator: Accelerator) -> None:
        self.run, self.material, self.accelerator = run, material, accelerator
        self.lora = LoraState(
            material.transformer,
            learning_rate=run.learning_rate,
            weight_decay=run.weight_decay,
            ema_decay=run.ema_decay,
            eight_bits=run.optimizer == "adamw8bit",
        )
        if run.gradient_checkpointing:
            material.transformer.enable_gradient_checkpointing()
        self.transformer, self.optimizer = accelerator.prepare(
            material.transformer, self.lora.optimizer
        )

    @property
    def step(self) -> int:
        """How many steps it has made."""
        return self.lora.step

    def train_step(self) -> float:
        """One optimiser step over `accumulate_steps` batches of every process; their mean loss, the same on all."""
        run, total = self.run, 0.0
        for micro in range(run.accumulate_steps):
            generator = self._generator(micro)
            with self.accelerator.accumulate(self.transformer):
                loss = self._training_loss(generator)
                self.accelerator.backward(loss)
                total += float(loss.detach()) / run.accumulate_steps
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.lora.weights, run.grad_clip)
                    scale = cosine_with_warmup(
                        self.step / run.num_steps, self.step, run.warmup_steps
                    )
                    for group in self.optimizer.param_groups:
                        group["lr"] = run.learning_rate * scale
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        self.lora.stepped()
        return self._mean_of_processes(total)

    def any_process(self, here: bool) -> bool:
        """Whether something is so on any of the processes; they must leave a run at the same step, or one waits."""
        return self._mean_of_processes(float(here)) > 0

    def averaged(self) -> AbstractContextManager[None]:
        """For a while the adapter holds the averaged weights."""
        return self.lora.averaged()

    def validation_loss(self) -> dict[str, float]:
        """Velocity loss of the averaged weights on val pictures, at fixed times with fixed noise."""
        return self._fixed_loss(self.material.val.first(self.run.num_val))

    def seen_loss(self) -> float:
        """The mean of the same on a fixed handful of training pictures: falls it alone, the adapter learns by heart."""
        return self._fixed_loss(self.material.train.first(_NUM_SEEN))["mean"]

    @torch.no_grad()
    def _fixed_loss(self, batches: list[Batch]) -> dict[str, float]:
        generator = torch.Generator().manual_seed(1)
        noises = [torch.randn(batch.data.shape, generator=generator) for batch in batches]
        with self.averaged():
            losses = {f"t={time}": self._mean_loss(batches, noises, time) for time in VAL_TIMES}
        return losses | {"mean": sum(losses.values()) / len(losses)}

    def save(self) -> None:
        """Write the checkpoint; of several processes the first one does."""
        if self.accelerator.is_main_process:
            save_checkpoint(self.lora.state(), self.run.folder / "checkpoint.pt")

    def resume(self) -> bool:
        """Go on from the run's checkpoint if there is one."""
        state = load_checkpoint(self.run.folder / "checkpoint.pt")
        if state is not None:
            self.lora.load(state)
        return state is not None

    def _mean_of_processes(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        found: Any = self.accelerator.reduce(torch.tensor(value, device=self.accelerator.device), reduction="mean")
        return float(found)

    def _mean_loss(self, batches: list[Batch], noises: list[Tensor], time: float) -> float:
        losses = [
            self._loss(batch, noise, torch.full((len(noise),), time)).cpu()
            for batch, noise in zip(batches, noises, strict=True)
        ]
        return float(torch.cat(losses).mean())

    def _generator(self, micro: int) -> torch.Generator:
        place = (self.step * self.run.accumulate_steps + micro) * self.accelerator.num_processes
        return torch.Generator().manual_seed(
            self.run.seed * 1_000_003 + place + self.accelerator.process_index
        )

    def _training_loss(self, generator: torch.Generator) -> Tensor:
        batch = self.material.train.draw(self.run.batch_size, self.run.caption_dropout, generator)
        noise = torch.randn(batch.data.shape, generator=generator)
        times = shifted(
            logit_normal_times(len(noise), generator),
            time_shift(self.material.scheduler_config, batch.data),
        )
        weighting = compute_loss_weighting_for_sd3(self.run.loss_weighting, times)
        return (weighting.to(self.accelerator.device) * self._loss(batch, noise, times)).mean()

    def _loss(self, batch: Batch, noise: Tensor, times: Tensor) -> Tensor:
        device = self.accelerator.device
        batch, noise, times = batch.to(device), noise.to(device), times.to(device)
        x_t = interpolate(batch.data, noise, times)
        with self.accelerator.autocast():
            predicted = self._velocity(x_t, times, batch)
        return velocity_loss(predicted, batch.data, noise)

    def _velocity(self, x_t: Tensor, times: Tensor, batch: Batch) -> Tensor:
        return flux_velocity(
            self.transformer,
            x_t,
            times,
            batch.tokens,
            batch.pooled,
            model=self.material.transformer,
        )
