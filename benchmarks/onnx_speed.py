"""Prints what onnxruntime makes of nano on a CPU: seconds an image and the distance from torch, in one run.

    python -m benchmarks.onnx_speed [--images 5]

Images of the three ways alternate, so that a busy moment hits all alike. The distance is that of final latents.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import Diagnosis, LesionSpec, typical_colours
from dermaflux.domain.records import SamplingRequest
from dermaflux.generation.catalogue import NANO, ModelCatalogue, ModelEntry
from dermaflux.generation.denoising import decode, denoise, draw_noise
from dermaflux.generation.loading import load_pipeline
from dermaflux.generation.model_files import locate
from dermaflux.generation.onnx_transformer import with_onnx
from dermaflux.generation.placement import choose_placement
from dermaflux.generation.prompts import PromptEncoder
from dermaflux.generation.steering import guidance_of
from dermaflux.generation.threads import fitting_threads


def main(arguments: Sequence[str] | None = None) -> None:
    """Export twice, draw the same images three ways, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5)
    chosen = parser.parse_args(arguments)
    catalogue = ModelCatalogue()
    entry = catalogue.model(NANO)
    pipe = load_pipeline(entry, choose_placement("cpu"))
    spec = LesionSpec(asymmetry=1.5, border=6, colours=typical_colours(4, Diagnosis.MEL), diagnosis=Diagnosis.MEL)
    request = catalogue.resolve(SamplingRequest(caption=compose(spec), spec=spec, model=NANO))
    with tempfile.TemporaryDirectory() as name:
        ways: dict[str, Any] = {"torch fp32": pipe}
        for kind in ("fp32", "int8"):
            began = time.perf_counter()
            ways[f"onnxruntime {kind}"] = with_onnx(
                pipe, locate(entry).sha256(), (), Path(name), int8=kind == "int8"
            )
            print(f"export {kind}: {time.perf_counter() - began:.1f} s")
        _compare(ways, request, entry, chosen.images)


def _compare(ways: dict[str, Any], request: SamplingRequest, entry: ModelEntry, number: int) -> None:
    encoder = PromptEncoder(ways["torch fp32"], entry.text_tokens)
    guidance = guidance_of(request, encoder, distilled=entry.distilled_guidance)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    errors: dict[str, list[float]] = {way: [] for way in ways}
    size_px, num_steps = request.size_px or entry.size_px, request.num_steps or entry.num_steps
    for seed in range(number + 1):
        exact = torch.zeros(0)
        for way, pipe in ways.items():
            began = time.perf_counter()
            with fitting_threads(ways["torch fp32"].transformer):
                noise = draw_noise(pipe, seed, size_px)
                *_, last = denoise(pipe, guidance, noise, size_px, num_steps)
                decode(pipe, last.latents, size_px)
            exact = last.latents if way == "torch fp32" else exact
            if seed:  # the first one warms up
                seconds[way].append(time.perf_counter() - began)
                errors[way].append(float((last.latents - exact).norm() / exact.norm()))
    base = statistics.median(seconds["torch fp32"])
    for way, found in seconds.items():
        median = statistics.median(found)
        print(f"{way:18} {median:.2f} s an image, {base / median:.2f} x torch, latents off by {max(errors[way]):.2g}")


if __name__ == "__main__":
    sys.exit(main())
