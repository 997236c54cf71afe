"""How long one image takes to be measured, classified and explained, as the app does it. Prints one table.

    python -m benchmarks.assess_speed [images] [threads]

The images are made by nano first, at several requests; medians and 95th percentiles over images after one to warm up.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from PIL import Image

from dermaflux.domain.records import GeneratedImage, SamplingRequest
from dermaflux.services import Services
from dermaflux.settings import Settings
from training.lora_probe import probe_specs

BUDGET_MS, EXPLAIN_BUDGET_MS = 150.0, 1000.0


def main() -> None:
    """Measure and print."""
    import torch

    num_images = int(sys.argv[1]) if len(sys.argv) > 1 else 28
    with Services(Settings.load()) as services:
        images = sampled(services, num_images)
        if len(sys.argv) > 2:
            torch.set_num_threads(int(sys.argv[2]))
        threads, load = torch.get_num_threads(), os.getloadavg()[0]
        print(f"{len(images)} images of nano, {threads} threads, load average {load:.1f}\n")
        print("| what | median | p95 | budget |\n|---|---|---|---|")
        row("measure, segmentation included", times_ms(services.measure, images))
        row("classify", times_ms(services.classify, images))
        row("measure and classify", times_ms(services.assess, images), f"{BUDGET_MS:g} ms")
        row("explain: saliency with its scores", times_ms(services.explain, images), f"{EXPLAIN_BUDGET_MS:g} ms")


def sampled(services: Services, num_images: int) -> list[Image.Image]:
    """Images of the probes' requests in turn, one seed each."""
    specs = probe_specs()
    found = []
    for seed in range(num_images):
        spec = specs[seed % len(specs)]
        request = SamplingRequest(caption=services.compose_caption(spec), spec=spec, seed=seed)
        events = services.generate(services.resolve(request))
        found += [event.image for event in events if isinstance(event, GeneratedImage)]
    return found


def times_ms(call: Callable[[Image.Image], object], images: Sequence[Image.Image]) -> list[float]:
    """Milliseconds of a call for each image, after one that is not counted."""
    call(images[0])
    found = []
    for image in images:
        began = time.perf_counter()
        call(image)
        found.append((time.perf_counter() - began) * 1e3)
    return found


def row(what: str, times: Sequence[float], budget: str = "") -> None:
    """One line of the table."""
    p95 = statistics.quantiles(times, n=20)[-1]
    print(f"| {what} | {statistics.median(times):.0f} ms | {p95:.0f} ms | {budget} |")


if __name__ == "__main__":
    main()
