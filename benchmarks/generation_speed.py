"""How fast the generator is on this machine: loading, first image, first preview, step and image. Prints one table.

    OMP_WAIT_POLICY=passive python -m benchmarks.generation_speed [model] [images]

model is nano (the default), a folder or another name of the catalogue. Every image has a new seed; captions repeat as
they do in one job of several images. Medians; the CPU time of an image tells even while other programs run; the text
encoders' own time is in the first preview of a new caption.
"""

import itertools
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview

BUDGET_PREVIEW_S = 0.5
BUDGET_IMAGE_S = 3.0
BUDGET_MEMORY_MB = 2500
CAPTION = "A dermoscopic image of a melanoma, asymmetric in one axis, with dark brown, red and black colours, number {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of one image: from the call to its first preview, between steps, to the image; and its CPU time."""

    first_preview: float
    steps: tuple[float, ...]
    image: float
    cpu: float


def main() -> None:
    """Measure and print."""
    model = sys.argv[1] if len(sys.argv) > 1 else "nano"
    num_images = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    began = time.perf_counter()
    from dermaflux.generation import Generator  # counted: this is where torch and diffusers come in

    imported = time.perf_counter()
    try:
        generator = Generator.load(model)
    except DermaFluxError as error:
        raise SystemExit(f"generation_speed: {error}") from error
    loaded = time.perf_counter()
    request = SamplingRequest(caption=CAPTION.format(0), model=model)
    resolved = generator.catalogue.resolve(request)
    first = timed(generator.stream(request))
    new_captions = [
        timed(generator.stream(replace(request, caption=CAPTION.format(number), seed=number)))
        for number in range(1, num_images + 1)
    ]
    same_caption = [
        timed(generator.stream(replace(request, seed=number))) for number in range(num_images)
    ]
    steps = [step for timing in same_caption for step in timing.steps]
    print(
        f"{model}: {resolved.size_px} px, {resolved.num_steps} steps, guidance {resolved.guidance_scale:g}"
    )
    print(f"{place()}\n")
    print("| what | figure | budget |\n|---|---|---|")
    print(f"| import torch and diffusers | {imported - began:.2f} s | |")
    print(f"| load the weights | {loaded - imported:.2f} s | |")
    print(f"| first image, cold | {first.image:.2f} s | |")
    row(
        "click to first preview, new caption",
        median(t.first_preview for t in new_captions),
        BUDGET_PREVIEW_S,
    )
    row(
        "click to first preview, same caption",
        median(t.first_preview for t in same_caption),
        BUDGET_PREVIEW_S,
    )
    print(f"| a step with its preview | {median(steps) * 1e3:.1f} ms | |")
    row("an image, default steps", median(t.image for t in same_caption), BUDGET_IMAGE_S)
    print(f"| CPU time of an image | {median(t.cpu for t in same_caption):.2f} s | |")
    print(f"| memory of the process | {memory_mb():.0f} MB | {BUDGET_MEMORY_MB} MB with the app |")


def timed(events: Iterator[StepPreview | GeneratedImage]) -> Timing:
    """The times of a stream of one image."""
    cpu_began, moments = time.process_time(), [time.perf_counter()]
    moments += [time.perf_counter() for _ in events]
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    return Timing(
        first_preview=gaps[0],
        steps=tuple(gaps[1:-1]),
        image=moments[-1] - moments[0],
        cpu=time.process_time() - cpu_began,
    )


def row(what: str, seconds: float, budget_s: float) -> None:
    """One line of the table with its budget."""
    print(f"| {what} | {seconds:.2f} s | {budget_s:g} s |")


def median(values: Iterator[float] | list[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def place() -> str:
    """What the figures were measured on."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    load = os.getloadavg()[0]
    return f"{torch.get_num_threads()} threads, {gpu}, torch {torch.__version__}, load average {load:.1f}"


def memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
