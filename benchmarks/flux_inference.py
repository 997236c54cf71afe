"""What each way of drawing faster makes of FLUX.1-dev, and what it changes. Prints one table.

    python -m benchmarks.flux_inference --out speed.json --minutes 9        # on a GPU; again for the rows that are left
    python -m benchmarks.flux_inference --tiny --out tiny.json              # the same on a CPU, a small architecture

Weights are random and made on the device (benchmarks.random_flux). Images a second are of denoising and decoding with
the caption known. The share is that of the least time which the products of a step allow (benchmarks.flux_arithmetic).
Errors are against the eager pictures of equal seeds, with the LoRA where the way has one; on random weights a step
cache's error and its skipped steps say nothing of trained ones.
"""

import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import tyro
from PIL import Image

from benchmarks.flux_arithmetic import H200_BF16_FLOPS, FluxShape, step_flops
from benchmarks.measured_rows import MeasuredRows, Row, markdown
from benchmarks.random_flux import CORPUS, FLUX_DEV, TINY, RandomFlux
from dermaflux.classification import LesionDescriptor
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.speed import Speed, parse_speed
from dermaflux.generation.denoising import DenoisingStep, decode_all, denoise, draw_noise
from dermaflux.generation.guidance import Guidance
from dermaflux.generation.latent_rgb import fit_on_colour_fields
from dermaflux.generation.placement import choose_placement
from dermaflux.generation.previews import Previewer
from dermaflux.generation.prompts import PromptEncoder
from dermaflux.generation.speed import prepare, recorded
from training.program import program

_LOSSLESS = "compile,attention,channels_last"
WAYS = {
    "eager": "",
    "channels_last": "channels_last",
    "attention": "attention",
    "fuse_qkv": "fuse_qkv",
    "compile": "compile",
    "cuda_graphs": "cuda_graphs",
    "lossless": _LOSSLESS,
    "first_block_cache": "first_block_cache",
    "taylorseer": "taylorseer",
    "fp8": f"fp8,{_LOSSLESS}",
    "everything": f"fp8,first_block_cache,{_LOSSLESS}",
    "lora": "hotswap=64",
    "lora, lossless": f"hotswap=64,{_LOSSLESS}",
    "lora, everything": f"hotswap=64,fp8,first_block_cache,{_LOSSLESS}",
}
"""Name -> the options. A place of rank 64 on all linear layers of the blocks costs what the paper's LoRA costs."""
_LORA_SCALE = 0.02
_WARM_SEEDS, _SEEDS = 900, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceOptions:
    """What is drawn, in which ways, for how long."""

    out: Path = Path("flux_inference.json")
    """Rows are kept here as they come; a second call measures what is missing."""
    tiny: bool = False
    """A small architecture of the same classes, for a CPU; sizes and steps shrink with it."""
    minutes: float = 9.0
    """No measurement begins after so long."""
    ways: tuple[str, ...] = tuple(WAYS)
    batches: tuple[int, ...] = (1, 4, 16)
    size_px: int = 512
    num_steps: int = 20
    text_tokens: int = 512
    rounds: int = 3
    error_images: int = 4
    ceiling_tflops: float | None = None
    """Dense bf16 products of the device; 790 (an H200) where there is a GPU and nothing else is said."""
    device: str = "auto"
    precision: str = "auto"
    models_dir: Path = Path("assets/models")
    """Where the embedded descriptor is, which says how far pictures are apart."""

    def __post_init__(self) -> None:
        """Refuse unknown ways, naming those there are."""
        if unknown := [way for way in self.ways if way not in WAYS]:
            raise InvalidRequest(f"The way {unknown[0]!r} is not known. Choose among {', '.join(WAYS)}.")

    @property
    def settings(self) -> dict[str, Any]:
        """What rows of one file have in common."""
        names = ("tiny", "size_px", "num_steps", "text_tokens", "rounds", "error_images", "device", "precision")
        return {name: asdict(self)[name] for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Pictures of one batch with their latents, and the seconds to the first preview and to the last picture."""

    images: list[Image.Image]
    latents: torch.Tensor
    first_preview: float
    seconds: float


class Bench:
    """The parts that all ways share: text encoders, the embedding of one caption, what judges differences."""

    def __init__(self, options: InferenceOptions) -> None:
        self.options = options
        placement = choose_placement(options.device, options.precision)
        self.device = placement.device
        self._made = RandomFlux(TINY if options.tiny else FLUX_DEV, placement.device, placement.dtype)
        self._encoders = self._made.text_encoders()
        self._descriptor = LesionDescriptor.load(options.models_dir / "descriptor")
        self._references: dict[bool, list[Drawn]] = {}

    def measure(self, speed: Speed, rows: MeasuredRows, add: Callable[[Row], None]) -> None:
        """The figures of a way, one kind after the other."""
        with self._pipeline(speed) as pipe:
            add({"options": recorded(speed, self.device, with_adapters=bool(speed.hotswap)) or "none"})
            add({"cold_s": self._draw(pipe, [_WARM_SEEDS], captions=1).seconds})
            add({"first_preview_s": self._draw(pipe, [_WARM_SEEDS], captions=2).first_preview})
            drawn = self._pictures(pipe)
            for batch in self.options.batches:
                if rows.has_time:
                    add(self._rate(pipe, batch))
        del pipe  # before another is made
        add(self._errors(drawn, speed))

    def _rate(self, pipe: Any, batch: int) -> Row:
        """Images a second, the share of what arithmetic allows, and the memory, of a batch."""
        options = self.options
        seeds = [_SEEDS + index for index in range(batch)]
        try:
            self._draw(pipe, seeds)  # another shape may be compiled anew
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.device)
            seconds = statistics.median(self._draw(pipe, seeds).seconds for _ in range(options.rounds))
        except torch.OutOfMemoryError:
            return {f"images_s_{batch}": "out of memory"}
        row: Row = {f"images_s_{batch}": batch / seconds}
        if self.device.type == "cuda":
            row[f"peak_gb_{batch}"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        if ceiling := options.ceiling_tflops or (H200_BF16_FLOPS / 1e12 if self.device.type == "cuda" else None):
            flops = step_flops(FluxShape.of(pipe.transformer.config), options.size_px, options.text_tokens)
            row[f"share_{batch}"] = batch * options.num_steps * flops / seconds / (ceiling * 1e12)
        return row

    def _errors(self, drawn: list[Drawn], speed: Speed) -> Row:
        """How far all is from eager: PSNR in dB, 1 - cosine of the descriptor's vectors, relative error of latents."""
        with_lora, eager = bool(speed.hotswap), Speed(hotswap=speed.hotswap)
        if speed == eager:
            self._references[with_lora] = drawn
        if with_lora not in self._references:
            with self._pipeline(eager) as pipe:
                self._references[with_lora] = self._pictures(pipe)
        expected = self._references[with_lora]
        images, wanted = ([one.images[0] for one in some] for some in (drawn, expected))
        near = (self._descriptor.embed(images) * self._descriptor.embed(wanted)).sum(axis=1)
        latents, exact = (torch.cat([one.latents.float() for one in some]) for some in (drawn, expected))
        return {
            "psnr_db": statistics.fmean(psnr(a, b) for a, b in zip(images, wanted, strict=True)),
            "feature_distance": float(1 - near.mean()),
            "latent_error": float((latents - exact).norm() / exact.norm()),
        }

    def _pictures(self, pipe: Any) -> list[Drawn]:
        """One by one, so that every way is asked alike."""
        return [self._draw(pipe, [_SEEDS + index]) for index in range(self.options.error_images)]

    @contextmanager
    def _pipeline(self, speed: Speed) -> Iterator[Any]:
        """A pipeline of fresh networks with a way on it. The memory of the one before is given back first."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        pipe = self._made.pipeline(self._encoders)
        try:
            prepare(pipe, speed)
            if speed.hotswap:
                _fill_place(pipe.transformer)
            pipe.previewer = Previewer(pipe, partial(fit_on_colour_fields, pipe.vae, self.device))
            pipe.encoder = PromptEncoder(pipe, self.options.text_tokens)
            noise = draw_noise(pipe, 0, self.options.size_px).to(self.device)
            unfinished = DenoisingStep(step=1, num_steps=1, latents=noise, clean=noise)
            pipe.previewer.pictures(unfinished, self.options.size_px, 0.0)
            yield pipe
        finally:
            torch.compiler.reset()

    def _draw(self, pipe: Any, seeds: list[int], captions: int = 0) -> Drawn:
        """A batch, timed; captions: the number of a caption that is encoded on the way."""
        options = self.options
        began = self._now()
        caption = f"{CORPUS[0]}, number {captions}" if captions else CORPUS[0]
        guidance = Guidance(caption=pipe.encoder.encode(caption), empty=None, scale=3.5)
        noise = torch.cat([draw_noise(pipe, seed, options.size_px) for seed in seeds])
        first_preview, state = 0.0, None
        for state in denoise(pipe, guidance, noise, options.size_px, options.num_steps):
            if state.step == 1:
                pipe.previewer.pictures(replace(state, clean=state.clean[:1]), options.size_px, 0.0)
                first_preview = self._now() - began
        assert state is not None
        images = decode_all(pipe, state.latents, options.size_px)
        return Drawn(images=images, latents=state.latents, first_preview=first_preview, seconds=self._now() - began)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def psnr(image: Image.Image, expected: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB of 8-bit pictures; 99 where they are the same."""
    error = np.square(np.asarray(image, float) - np.asarray(expected, float)).mean()
    return min(99.0, 10 * math.log10(255**2 / error)) if error else 99.0


def _fill_place(transformer: Any) -> None:
    """Random numbers instead of zeros, the same for every way."""
    generator = torch.Generator("cpu").manual_seed(7)
    for name, weight in transformer.named_parameters():
        if ".lora_" in name:
            row = torch.randn(weight.shape[-1], generator=generator) * _LORA_SCALE
            weight.data.copy_(row.to(weight.device, weight.dtype).expand_as(weight))


def run(options: InferenceOptions) -> str:
    """Measure what is missing; the table as Markdown."""
    if options.tiny:
        options = replace(
            options, size_px=min(options.size_px, 64), num_steps=min(options.num_steps, 8), text_tokens=16,
            batches=tuple(batch for batch in options.batches if batch <= 4), rounds=1,
        )  # fmt: skip
    rows = MeasuredRows(options.out, options.settings, options.minutes)
    bench = Bench(options)
    for way in options.ways:
        rows.measure(way, partial(bench.measure, parse_speed(WAYS[way]), rows))
    kinds = {"images_s": "images/s at {}", "share": "share of the ceiling at {}", "peak_gb": "peak GB at {}"}
    columns = {f"{kind}_{batch}": text.format(batch) for kind, text in kinds.items() for batch in options.batches}
    columns |= {"first_preview_s": "first preview s", "cold_s": "first image s", "psnr_db": "PSNR dB"}
    columns |= {"feature_distance": "feature distance", "latent_error": "latents off by", "options": "in effect"}
    return markdown(columns, rows.rows)


@program
def main() -> None:
    """The command line."""
    diffusers.utils.logging.set_verbosity_error()  # captions are cut on purpose
    sys.stdout.write(run(tyro.cli(InferenceOptions, description=__doc__)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
