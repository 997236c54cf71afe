"""With how many threads a model computes on a CPU. It knows no model by name, only how large it is.

A small transformer works on matrices so small that threads spend more time waiting for one another than computing: nano
is a third faster on one thread than on two, and leaves the other core to the page.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

# Between nano (9 M weights) and FLUX.1 (12,000 M) there is no model here that says where exactly.
ONE_THREAD_BELOW = 50_000_000


@contextmanager
def fitting_threads(transformer: nn.Module) -> Iterator[None]:
    """One thread for a small transformer on a CPU, every thread else; afterwards as it was."""
    before = torch.get_num_threads()
    if _is_small(transformer):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_small(transformer: nn.Module) -> bool:
    weights = list(transformer.parameters())
    on_cpu = all(weight.device.type == "cpu" for weight in weights)
    return on_cpu and sum(weight.numel() for weight in weights) < ONE_THREAD_BELOW
