"""In which number format a training run computes: float32, or bfloat16 by autocast where the machine is fast in it.

It knows no model. Inference has its own rule (`generation/loading.py`).
"""

import torch

from dermaflux.domain.errors import InvalidRequest

PRECISIONS = ("auto", "fp32", "bf16")


def check_precision(precision: str) -> None:
    """Raise InvalidRequest for a word that is not one of PRECISIONS."""
    if precision not in PRECISIONS:
        raise InvalidRequest(f"precision is {precision!r}. Choose {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}.")


def autocast(precision: str, device: torch.device | str) -> torch.autocast:
    """The context a forward pass runs in: bfloat16 for bf16, and for auto where the device computes it natively."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=is_bf16(precision, device))


def is_bf16(precision: str, device: torch.device | str) -> bool:
    """Whether a run of that precision computes in bfloat16 there."""
    return precision == "bf16" or (precision == "auto" and _is_native(torch.device(device).type))


def _is_native(kind: str) -> bool:
    # A CPU without such instructions emulates them: 0.3 instead of 70 GFLOPS were measured on one core.
    return torch.cuda.is_bf16_supported() if kind == "cuda" else torch.cpu._is_avx512_bf16_supported()
