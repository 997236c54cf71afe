"""The optimisation of a LoRA: one step, the validation loss, the checkpoint. t = 1 is noise.

Every batch depends on the seed, the step and the process alone, so a run that was killed goes on as if it had not
been. accelerate spreads it over processes. It knows no files but its checkpoint.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import FluxPipeline
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.training_utils import EMAModel, compute_loss_weighting_for_sd3
from torch import Tensor

from training.checkpoints import load_checkpoint, save_checkpoint
from training.lora_cache import Batch, Examples
from training.lora_config import LoraRun
from training.lora_layers import trainable
from training.rectified_flow import (
    interpolate,
    logit_normal_times,
    pack,
    shifted,
    unpack,
    velocity_loss,
)
from training.schedules import cosine_with_warmup

VAL_TIMES = (0.15, 0.35, 0.55, 0.75, 0.95)
_TRAIN_GUIDANCE = 1.0  # what FLUX.1-dev's distilled embedding means without guidance


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The transformer with its LoRA on, what it learns from and what it is judged on."""

    transformer: Any
    scheduler_config: Any
    train: Examples
    val: Examples


class LoraTrainer:
    """The state of one run: adapter, optimiser, average of the weights, step."""

    def __init__(self, run: LoraRun, material: Material, accelerator: Accelerator) -> None:
        self.run, self.material, self.accelerator = run, material, accelerator
        self.weights = trainable(material.transformer)
        self.average = EMAModel(self.weights, decay=run.ema_decay, use_ema_warmup=True, power=0.75)
        optimizer = torch.optim.AdamW(
            self.weights, lr=run.learning_rate, betas=(0.9, 0.99), weight_decay=run.weight_decay
        )
        if run.gradient_checkpointing:
            material.transformer.enable_gradient_checkpointing()
        self.transformer, self.optimizer = accelerator.prepare(material.transformer, optimizer)
        self.step = 0

    def train_step(self) -> float:
        """One optimiser step over `accumulate_steps` batches; their mean loss on this process."""
        run, total = self.run, 0.0
        for micro in range(run.accumulate_steps):
            generator = self._generator(micro)
            with self.accelerator.accumulate(self.transformer):
                loss = self._training_loss(generator)
                self.accelerator.backward(loss)
                total += float(loss.detach()) / run.accumulate_steps
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.weights, run.grad_clip)
                    scale = cosine_with_warmup(self.step / run.num_steps, self.step, run.warmup_steps)
                    for group in self.optimizer.param_groups:
                        group["lr"] = run.learning_rate * scale
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        self.average.step(self.weights)
        self.step += 1
        return total

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """For a while the adapter holds the averaged weights."""
        self.average.store(self.weights)
        self.average.copy_to(self.weights)
        try:
            yield
        finally:
            self.average.restore(self.weights)

    @torch.no_grad()
    def validation_loss(self) -> dict[str, float]:
        """Velocity loss of the averaged weights on val pictures, at fixed times with fixed noise."""
        batch = self.material.val.first(self.run.num_val)
        noise = torch.randn(batch.data.shape, generator=torch.Generator().manual_seed(1))
        with self.averaged():
            losses = {
                f"t={time}": float(self._loss(batch, noise, torch.full((len(noise),), time)).mean())
                for time in VAL_TIMES
            }
        return losses | {"mean": sum(losses.values()) / len(losses)}

    def save(self) -> None:
        """Write the checkpoint; of several processes the first one does."""
        if self.accelerator.is_main_process:
            state = {
                "weights": [weight.detach().cpu() for weight in self.weights],
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
            }
            save_checkpoint(state, self.run.folder / "checkpoint.pt")

    def resume(self) -> bool:
        """Go on from the run's checkpoint if there is one."""
        state = load_checkpoint(self.run.folder / "checkpoint.pt")
        if state is None:
            return False
        for weight, kept in zip(self.weights, state["weights"], strict=True):
            weight.data.copy_(kept)
        self.average.load_state_dict(state["average"])
        self.average.to(self.accelerator.device)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        return True

    def _generator(self, micro: int) -> torch.Generator:
        place = (self.step * self.run.accumulate_steps + micro) * self.accelerator.num_processes
        return torch.Generator().manual_seed(self.run.seed * 1_000_003 + place + self.accelerator.process_index)

    def _training_loss(self, generator: torch.Generator) -> Tensor:
        batch = self.material.train.draw(self.run.batch_size, self.run.caption_dropout, generator)
        noise = torch.randn(batch.data.shape, generator=generator)
        times = shifted(logit_normal_times(len(noise), generator), resolution_shift(batch, self.material))
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
        rows, columns = x_t.shape[-2:]
        dtype, device = self.material.transformer.dtype, x_t.device
        guided = self.material.transformer.config.guidance_embeds
        tokens = self.transformer(
            hidden_states=pack(x_t).to(dtype),
            timestep=times.to(dtype),
            guidance=torch.full((len(x_t),), _TRAIN_GUIDANCE, device=device, dtype=dtype) if guided else None,
            pooled_projections=batch.pooled.to(dtype),
            encoder_hidden_states=batch.tokens.to(dtype),
            txt_ids=torch.zeros(batch.tokens.shape[1], 3, device=device, dtype=dtype),
            img_ids=FluxPipeline._prepare_latent_image_ids(len(x_t), rows // 2, columns // 2, device, dtype),
            return_dict=False,
        )[0]
        return unpack(tokens, rows, columns)


def resolution_shift(batch: Batch, material: Material) -> float:
    """How far times move towards noise: larger pictures are harder to hide (as the pipeline's sampler shifts them)."""
    config = material.scheduler_config
    num_tokens = batch.data.shape[-2] * batch.data.shape[-1] // 4
    mu = calculate_shift(
        num_tokens,
        config.get("base_image_seq_len", 256),
        config.get("max_image_seq_len", 4096),
        config.get("base_shift", 0.5),
        config.get("max_shift", 1.15),
    )
    return math.exp(mu)
