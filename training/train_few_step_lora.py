"""Distils a guided generator into a LoRA that needs a few steps and no guidance.

    python -m training.train_few_step_lora --name fast

The teacher draws whole trajectories with guidance and contrast, once. Time is cut into as many windows as the student
has steps; in each the student learns the straight line from where the teacher enters it to where it leaves it
(piecewise rectified flow, Yan 2024, arXiv 2405.07510). One forward a step takes the place of several for each of the
teacher's steps. Requests are half what train pictures show, half even over the sliders. t = 1 is noise. Killed, the
same command goes on.
"""

import json
import logging
import random
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from dermaflux.domain.caption import GRAMMAR_VERSION, compose
from dermaflux.domain.contrast import contrasts
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Split
from dermaflux.generation.catalogue import ModelCatalogue
from dermaflux.generation.loading import load_pipeline
from dermaflux.generation.placement import choose_placement
from training.checkpoints import load_checkpoint, save_checkpoint
from training.even_requests import draw_specs
from training.flux_velocity import flux_velocity, sampling_times, time_shift
from training.lora_cache import Texts, encode_texts
from training.lora_layers import attach_lora, save_lora
from training.lora_state import LoraState
from training.nano_data import CaptionStyle, caption_of, load_specs
from training.precision import autocast, check_precision
from training.program import program
from training.rollout import Velocity, guided, pushed, trajectory
from training.run_status import claim_folder, forget_after, recorded
from training.schedules import cosine_with_warmup
from training.stopping import stop_between_steps

log = logging.getLogger(__name__)
_SAVE_EVERY = 50
_DRAW_BATCH = 16
_HELD_BACK = 32  # trajectories that only tell how well the student does


@dataclass(frozen=True, slots=True, kw_only=True)
class FewStepRun:
    """Which teacher, how many steps for the student, how long. Raises InvalidRequest naming a bad field."""

    name: str = "fast"
    base: str = "nano"
    """A model's name, or a folder with a FluxPipeline."""
    data_dir: Path = Path("../shared/data")
    measured: Path = Path("runs/measured_ham10000.csv")
    runs_dir: Path = Path("runs/few_step")
    size_px: int = 128
    student_steps: int = 4
    teacher_steps: int = 20
    """A multiple of student_steps: each of the student's steps stands for so many of the teacher's."""
    guidance_scale: float | None = None
    """Of the teacher; the model's own when not given. It is learned, so the student runs without."""
    contrast_scale: float | None = None
    """Of the teacher (`domain.contrast`), learned likewise; the model's own when not given."""
    num_trajectories: int = 768
    rank: int = 32
    alpha: int = 32
    num_steps: int = 600
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup_steps: int = 20
    grad_clip: float = 1.0
    ema_decay: float = 0.99
    precision: str = "auto"
    """auto, fp32 or bf16; auto is bf16 where the device computes it natively."""
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for field in ("student_steps", "teacher_steps", "rank", "num_steps", "batch_size"):
            if getattr(self, field) < 1:
                raise InvalidRequest(f"{field} is {getattr(self, field)}. Give 1 or more.")
        if self.num_trajectories <= _HELD_BACK:
            raise InvalidRequest(
                f"num_trajectories is {self.num_trajectories}. Give more than {_HELD_BACK}."
            )
        if self.teacher_steps % self.student_steps:
            raise InvalidRequest(
                f"teacher_steps is {self.teacher_steps}; it must be a multiple of student_steps, {self.student_steps}."
            )
        check_precision(self.precision)
        if not self.name or Path(self.name).name != self.name:
            raise InvalidRequest(f"name is {self.name!r}; it must be one plain folder name.")

    @property
    def folder(self) -> Path:
        """The folder of this run."""
        return self.runs_dir / self.name


def distil(run: FewStepRun) -> Path:
    """Run to the end (or go on with a stopped run); the finished LoRA, kohya's beside it."""
    claim_folder(run.folder, asdict(run))
    with recorded(run.folder), stop_between_steps() as stop:
        return _Distillation(run, stop).finish()


class _Distillation:
    """One run: the model in memory, the teacher's trajectories, the student's state."""

    def __init__(self, run: FewStepRun, stop: Callable[[], bool]) -> None:
        self.run, self._stop = run, stop
        self._entry = ModelCatalogue().model(run.base)
        self._pipe = load_pipeline(self._entry, choose_placement(run.device, "float32"))
        self._contrast_scale = self._entry.contrast_scale if run.contrast_scale is None else run.contrast_scale
        self._texts = self._encoded()
        side = run.size_px // self._pipe.vae_scale_factor
        self._shape = (self._pipe.transformer.config.in_channels // 4, side, side)
        shift = time_shift(self._pipe.scheduler.config, torch.empty(1, *self._shape))
        self._teacher_times = sampling_times(run.teacher_steps, shift)
        self._times = sampling_times(run.student_steps, shift)

    def finish(self) -> Path:
        """The trajectories, the training, the file."""
        run = self.run
        states = self._trajectories()
        torch.manual_seed(run.seed)
        attach_lora(self._pipe.transformer, run.rank, run.alpha)
        student = LoraState(
            self._pipe.transformer,
            learning_rate=run.learning_rate,
            weight_decay=0.0,
            ema_decay=run.ema_decay,
        )
        checkpoint = run.folder / "checkpoint.pt"
        if kept := load_checkpoint(checkpoint):
            student.load(kept)
        forget_after(run.folder / "history.jsonl", student.step)
        for _ in tqdm(range(student.step, run.num_steps), desc="distilling", mininterval=5):
            line: dict[str, float] = {
                "loss": self._train_step(student, states),
                "step": student.step,
            }
            if student.step % _SAVE_EVERY == 0 or student.step == run.num_steps or self._stop():
                with student.averaged():
                    line["held_back_loss"] = self._held_back_loss(states)
                save_checkpoint(student.state(), checkpoint)
                log.info(
                    "step %d, loss %.4f, held back %.4f",
                    student.step,
                    line["loss"],
                    line["held_back_loss"],
                )
            with (run.folder / "history.jsonl").open("a") as handle:
                handle.write(json.dumps(line) + "\n")
            self._raise_if_stopped()
        student.average.copy_to(student.weights)
        path = run.folder / f"{run.name}.safetensors"
        save_lora(self._pipe.transformer, path, self._facts())
        return path

    def _encoded(self) -> Texts:
        """The captions of all trajectories and of their opposites, the empty one first."""
        run = self.run
        rng = random.Random(run.seed)
        half = run.num_trajectories // 2
        seen = load_specs(run.data_dir, run.measured, Split.TRAIN)
        asked = [(caption_of(spec, CaptionStyle(), rng), spec) for spec in rng.choices(seen, k=half)]
        asked += [(compose(spec, rng), spec) for spec in draw_specs(run.num_trajectories - half, run.seed)]
        rng.shuffle(asked)
        self._captions = [caption for caption, _ in asked]
        self._specs = [spec for _, spec in asked]
        opposites = {compose(c.away_from) for spec in self._specs for c in contrasts(spec, self._contrast_scale)}
        said = {*self._captions, *map(compose, self._specs), *opposites}
        return encode_texts(self._pipe, ["", *sorted(said)], self._entry.text_tokens)

    def _trajectories(self) -> Tensor:
        """The teacher's states at the student's times (N, student_steps + 1, C, h, w), kept as they are drawn."""
        run, path = self.run, self.run.folder / "trajectories.pt"
        kept = load_checkpoint(path)
        states = kept["states"] if kept else torch.empty(0, run.student_steps + 1, *self._shape)
        bar = tqdm(total=run.num_trajectories, initial=len(states), desc="teacher", mininterval=5)
        while len(states) < run.num_trajectories:
            rows = range(len(states), min(len(states) + _DRAW_BATCH, run.num_trajectories))
            generator = torch.Generator().manual_seed(run.seed * 1_000_003 + rows.start)
            noise = torch.randn(len(rows), *self._shape, generator=generator)
            drawn = trajectory(
                self._teacher(rows), noise, self._teacher_times, run.teacher_steps // run.student_steps
            )
            states = torch.cat([states, drawn])
            bar.update(len(rows))
            if (
                len(states) % (8 * _DRAW_BATCH) == 0
                or len(states) == run.num_trajectories
                or self._stop()
            ):
                save_checkpoint({"states": states}, path)
            self._raise_if_stopped()
        return states

    def _train_step(self, student: LoraState, states: Tensor) -> float:
        run = self.run
        generator = torch.Generator().manual_seed(run.seed * 1_000_003 + student.step)
        rows = torch.randint(_HELD_BACK, len(states), (run.batch_size,), generator=generator)
        at = torch.randint(run.student_steps, (run.batch_size,), generator=generator)
        loss = self._loss(states, rows, at)
        loss.backward()
        scale = cosine_with_warmup(student.step / run.num_steps, student.step, run.warmup_steps)
        student.advance(scale, run.grad_clip)
        return float(loss.detach())

    @torch.no_grad()
    def _held_back_loss(self, states: Tensor) -> float:
        rows = torch.arange(_HELD_BACK)
        losses = [
            self._loss(states, rows, torch.full_like(rows, at))
            for at in range(self.run.student_steps)
        ]
        return float(torch.stack(losses).mean())

    def _loss(self, states: Tensor, rows: Tensor, at: Tensor) -> Tensor:
        """Squared error of the student's velocity against the straight line through its window."""
        entered, left = states[rows, at], states[rows, at + 1]
        times, until = self._times[at], self._times[at + 1]
        line = (left - entered) / (until - times).reshape(-1, 1, 1, 1)
        captions = [self._captions[row] for row in rows.tolist()]
        return (self._velocity(captions)(entered, times) - line).square().mean()

    def _teacher(self, rows: range) -> Velocity:
        """The guided velocity for trajectories, pushed away from the opposites of what each asks for."""
        specs = [self._specs[row] for row in rows]
        scale = self._entry.guidance_scale if self.run.guidance_scale is None else self.run.guidance_scale
        towards = self._velocity([self._captions[row] for row in rows])
        teacher = guided(towards, self._velocity([""] * len(rows)), scale)
        away = list(zip(*(contrasts(spec, self._contrast_scale) for spec in specs), strict=True))
        return pushed(
            teacher,
            self._velocity([compose(spec) for spec in specs]),
            [
                (
                    self._velocity([compose(c.away_from) for c in column]),
                    torch.tensor([c.scale for c in column]).reshape(-1, 1, 1, 1),
                )
                for column in away
            ],
        )

    def _velocity(self, captions: list[str]) -> Velocity:
        rows = torch.tensor([self._texts.rows[caption] for caption in captions])
        tokens, pooled = self._texts.tokens[rows].float(), self._texts.pooled[rows].float()

        def velocity(x_t: Tensor, times: Tensor) -> Tensor:
            with autocast(self.run.precision, x_t.device):
                return flux_velocity(self._pipe.transformer, x_t, times, tokens, pooled).float()

        return velocity

    def _raise_if_stopped(self) -> None:
        if self._stop():
            log.warning("stopped; the same command goes on")
            raise KeyboardInterrupt

    def _facts(self) -> dict[str, Any]:
        run = self.run
        return {
            "base": self._entry.name,
            "rank": run.rank,
            "alpha": run.alpha,
            "classes": "all",
            "caption_grammar": GRAMMAR_VERSION,
            "steps": run.num_steps,
            "sampling_steps": run.student_steps,
            "guidance_scale": 1.0,
            "contrast_scale": 0.0,
            "licence": f"base: {self._entry.licence}",
        }


@program
def main() -> None:
    """The command line."""
    path = distil(tyro.cli(FewStepRun, description=__doc__))
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    sys.exit(main())
