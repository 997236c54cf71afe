"""How fast a LoRA learns on FLUX.1-dev, by preset of training/lora_config.py, and in how much memory. Prints one table.

    python -m benchmarks.flux_lora_training --out training.json --minutes 9     # on a GPU; again for what is left
    python -m benchmarks.flux_lora_training --tiny --out tiny.json              # on a CPU, a small architecture

The trainer itself takes the steps, on a base of random weights made on the device and on random latents and texts that
lie in memory, as encoded ones do. MFU: what arithmetic says a step needs (benchmarks.flux_arithmetic) as a share of the
device's dense bf16 products; with checkpointing the second forward pass is not counted as work.
"""

import gc
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro
from accelerate import Accelerator
from diffusers import FluxTransformer2DModel

from benchmarks.flux_arithmetic import H200_BF16_FLOPS, FluxShape, training_flops
from benchmarks.measured_rows import MeasuredRows, Row, markdown
from benchmarks.random_flux import FLUX_DEV, TINY, RandomFlux
from dermaflux.domain.errors import InvalidRequest
from dermaflux.generation.catalogue import FLUX_DEV as FLUX_ENTRY
from dermaflux.generation.placement import choose_placement
from training.aspect_buckets import Buckets
from training.lora_cache import Examples, Texts
from training.lora_config import PRESETS, LoraRun
from training.lora_layers import attach_lora, trainable
from training.lora_loop import LoraTrainer, Material
from training.precision import is_bf16
from training.program import program
from training.quantized_base import to_nf4

ON_FLUX = tuple(name for name, (_, run) in PRESETS.items() if run.base == FLUX_ENTRY.name)
_NUM_PICTURES, _LATENT_CHANNELS, _LATENT_PX = 8, 16, 8
_WARM_STEPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """Which presets, for how long."""

    out: Path = Path("flux_lora_training.json")
    """Rows are kept here as they come; a second call measures what is missing."""
    tiny: bool = False
    """A small architecture of the same classes, for a CPU; rank, size and batch shrink with it."""
    minutes: float = 9.0
    """No measurement begins after so long."""
    presets: tuple[str, ...] = ON_FLUX
    text_tokens: tuple[int, ...] = (512, 128)
    steps: int = 8
    """Timed ones of each row, after two to warm up."""
    ceiling_tflops: float | None = None
    """Dense bf16 products of the device; 790 (an H200) where there is a GPU and nothing else is said."""
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse unknown presets, naming those there are."""
        if unknown := [name for name in self.presets if name not in ON_FLUX]:
            raise InvalidRequest(f"The preset {unknown[0]!r} is not one of {', '.join(ON_FLUX)}.")


class Bench:
    """Trains a few steps of a run and says what they took."""

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options
        self.device = choose_placement(options.device).device

    def run_of(self, preset: str, text_tokens: int) -> LoraRun:
        """The preset as it is measured: its own batch, rank, format and checkpointing."""
        _, run = PRESETS[preset]
        run = replace(run, device=self.options.device, text_tokens=text_tokens, probe_every=0)
        small: dict[str, Any] = {"size_px": 64, "rank": 4, "alpha": 4, "batch_size": min(run.batch_size, 2)}
        return replace(run, **small, text_tokens=16, optimizer="adamw") if self.options.tiny else run

    def measure(self, run: LoraRun, add: Callable[[Row], None]) -> None:
        """The figures of a run."""
        self._release()
        began = time.perf_counter()
        trainer = self._trainer(run)
        weights = trainable(trainer.material.transformer)
        add({"modules": _modules(trainer), "learn_m": sum(weight.numel() for weight in weights) / 1e6})
        add({"batch": run.batch_size * run.accumulate_steps, "made_s": time.perf_counter() - began})
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        for _ in range(_WARM_STEPS):
            trainer.train_step()
        seconds = statistics.median(self._timed(trainer) for _ in range(self.options.steps))
        add(self._figures(run, trainer.material.transformer.config, seconds))

    def _figures(self, run: LoraRun, config: Any, seconds: float) -> Row:
        num_images = run.batch_size * run.accumulate_steps
        row: Row = {"images_s": num_images / seconds, "step_s": seconds}
        if self.device.type == "cuda":
            row["peak_gb"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        ceiling = self.options.ceiling_tflops or (H200_BF16_FLOPS / 1e12 if self.device.type == "cuda" else None)
        if ceiling:
            needed = num_images * training_flops(FluxShape.of(config), run.size_px, run.text_tokens or 0)
            row["mfu"] = needed / seconds / (ceiling * 1e12)
        return row

    def _timed(self, trainer: LoraTrainer) -> float:
        began = time.perf_counter()
        trainer.train_step()  # it reads the loss, so that the device is done
        return time.perf_counter() - began

    def _trainer(self, run: LoraRun) -> LoraTrainer:
        bf16 = is_bf16(run.precision, self.device)
        accelerator = Accelerator(
            gradient_accumulation_steps=run.accumulate_steps,
            mixed_precision="bf16" if bf16 else "no",
            cpu=self.device.type == "cpu",
        )
        made = RandomFlux(
            TINY if self.options.tiny else FLUX_DEV, self.device, torch.bfloat16 if bf16 else torch.float32
        )
        transformer: FluxTransformer2DModel = made.transformer()
        if run.base_format == "nf4":
            to_nf4(transformer, self.device)
        attach_lora(transformer, run.rank, run.alpha)
        examples = Buckets((random_examples(run, transformer.config),))
        scheduler_config = made.scheduler().config
        material = Material(
            transformer=transformer, scheduler_config=scheduler_config, train=examples, val=examples
        )
        return LoraTrainer(run, material, accelerator)

    def _release(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def random_examples(run: LoraRun, config: Any) -> Examples:
    """Noise in the shapes of encoded pictures and captions."""
    generator = torch.Generator().manual_seed(0)
    side = run.size_px // _LATENT_PX

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float32).bfloat16()

    captions = ("", *(f"caption {index}" for index in range(_NUM_PICTURES)))
    texts = Texts(
        tokens=noise(len(captions), run.text_tokens or 0, config.joint_attention_dim),
        pooled=noise(len(captions), config.pooled_projection_dim),
        rows={caption: row for row, caption in enumerate(captions)},
    )
    latents = (_NUM_PICTURES, 1, _LATENT_CHANNELS, side, side)
    return Examples(
        mean=noise(*latents), sd=noise(*latents).abs(), captions=tuple((caption,) for caption in captions[1:]),
        weights=torch.ones(_NUM_PICTURES), texts=texts,
    )  # fmt: skip


def _modules(trainer: LoraTrainer) -> int:
    """How many linear layers the LoRA is on: 494 of FLUX.1-dev, which kohya's tools count as 304 modules."""
    return sum(hasattr(module, "lora_A") for module in trainer.material.transformer.modules())


def run(options: TrainingOptions) -> str:
    """Measure what is missing; the table as Markdown."""
    settings = {name: asdict(options)[name] for name in ("tiny", "steps", "device")}
    rows = MeasuredRows(options.out, settings, options.minutes)
    bench = Bench(options)
    for preset in options.presets:
        for text_tokens in options.text_tokens[:1] if options.tiny else options.text_tokens:
            wanted = bench.run_of(preset, text_tokens)
            rows.measure(f"{preset}, {wanted.text_tokens} text tokens", partial(bench.measure, wanted))
    columns = {"images_s": "images/s", "mfu": "MFU", "peak_gb": "peak GB", "batch": "global batch", "step_s": "step s"}
    return markdown(columns | {"modules": "layers", "learn_m": "M weights learn"}, rows.rows)


@program
def main() -> None:
    """The command line."""
    sys.stdout.write(run(tyro.cli(TrainingOptions, description=__doc__)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
