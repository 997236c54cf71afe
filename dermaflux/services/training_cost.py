"""How long a training run will take, from what runs here took, and how much memory there is for it.

Honest where it does not know: without a run like it there is no time. What a run needs of memory is reckoned in
`training_memory`.
"""

import functools
import os
import subprocess
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from dermaflux.services.training_records import LORA

GPU, RAM = "GPU memory", "memory"
_GB = 1e9


def measured_seconds_a_step(history: list[Mapping[str, Any]]) -> float | None:
    """The mean time of a step over a history, evaluation included; None where two lines of one start are missing."""
    spans, steps = 0.0, 0
    for before, after in pairwise(history):
        if "seconds" in before and "seconds" in after and after["seconds"] > before["seconds"]:
            spans += after["seconds"] - before["seconds"]
            steps += after["step"] - before["step"]
    return spans / steps if steps else None


def work_of(kind: str, values: Mapping[str, Any]) -> tuple[float, tuple[Any, ...]]:
    """How much a step is, and between which runs steps may be compared: same network, size and device."""
    if kind == LORA:
        same = (values["base"], values["size_px"], values["base_format"], values["device"])
        return values["batch_size"] * values["accumulate_steps"], same
    return values["optim.batch_size"], (values["model"], values["size_px"], values["device"])


@functools.lru_cache(maxsize=2)
def installed_gb(place: str) -> float:
    """How much memory the machine has, or its largest GPU; 0 without a GPU."""
    if place == RAM:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GB
    try:
        found = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        return max((float(line) * 1024**2 / _GB for line in found.stdout.split()), default=0.0)
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0.0
