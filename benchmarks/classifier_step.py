"""What a step of training a classifier costs, and judging a picture, with freed memory kept or given back. One table.

    python -m benchmarks.classifier_step [--rounds 3]

`lite0_vit` with random weights on one thread, 32 pictures a step; both ways alternate, each in a fresh process, so that
a busy moment hits both alike. Seconds of the clock: the pages of memory are fetched by the machine, not by the program.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

WAYS = {"given back": False, "kept": True}
_STEPS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.way:
        sys.stdout.write(json.dumps(_measure(keep=WAYS[chosen.way])))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(chosen.rounds):
        for way, rounds in found.items():
            rounds.append(_fresh(way))
    sys.stdout.write("| seconds | given back | kept | ratio |\n|---|---|---|---|\n")
    for what in found["kept"][0]:
        before, now = (statistics.median(each[what] for each in rounds) for rounds in found.values())
        sys.stdout.write(f"| {what} | {before:.3f} | {now:.3f} | {now / before:.2f} |\n")


def _fresh(way: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.classifier_step", "--way", way]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _measure(*, keep: bool) -> dict[str, float]:
    import torch

    from dermaflux.classification.architecture import Architecture
    from training.memory_reuse import keep_freed_memory

    if keep:
        keep_freed_memory()
    torch.set_num_threads(1)
    network = Architecture(name="lite0_vit", size_px=128, num_classes=7).build().to(memory_format=torch.channels_last)
    pictures = {side: torch.randn(32, 3, side, side).to(memory_format=torch.channels_last) for side in (96, 128)}

    def step(side: int) -> None:
        network.train().zero_grad()
        network(pictures[side]).sum().backward()

    @torch.inference_mode()
    def judge() -> None:
        network.eval()(pictures[128])

    found = {f"a step of 32 at {side} px": _timed(lambda side=side: step(side)) for side in pictures}
    return found | {"judging a picture at 128 px": _timed(judge) / 32}


def _timed(work: Callable[[], None]) -> float:
    work()
    began = time.perf_counter()
    for _ in range(_STEPS):
        work()
    return (time.perf_counter() - began) / _STEPS


if __name__ == "__main__":
    main()
