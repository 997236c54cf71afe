"""Which kernel computes attention: the fastest that this machine can use, with a word in the log where it cannot.

Asked before a model is loaded, so that the record of an image can be foretold. It knows no pipeline.
"""

import logging
from functools import lru_cache

import torch

log = logging.getLogger(__name__)

NATIVE = "native"
_BACKENDS = {"flash3": "_flash_3_hub", "cudnn": "_native_cudnn", NATIVE: NATIVE}
_BEST_FIRST = ("flash3", "cudnn", NATIVE)
_HOPPER = (9, 0)  # FlashAttention 3 is written for it


@lru_cache
def usable_attention(wanted: str, device: torch.device) -> str:
    """The kernel for a device: `wanted` (flash3, cudnn, native), or auto for the fastest; else the next that works.

    flash3 comes from the Hugging Face hub (package `kernels`) and is fetched here, once.
    """
    names = _BEST_FIRST if wanted == "auto" else _BEST_FIRST[_BEST_FIRST.index(wanted) :]
    for name in names:
        if (why := _obstacle(name, device)) is None:
            return name
        log.log(
            logging.INFO if wanted == "auto" else logging.WARNING,
            "attention by %s cannot be used on %s: %s; trying the next", name, device, why,
        )  # fmt: skip
    return NATIVE


def backend_of(name: str) -> str:
    """What diffusers calls a kernel."""
    return _BACKENDS[name]


def _obstacle(name: str, device: torch.device) -> str | None:
    """Why a kernel cannot be used on a device, None when it can."""
    if name == NATIVE:
        return None
    if device.type != "cuda":
        return "it needs a CUDA device"
    if name == "flash3" and torch.cuda.get_device_capability(device) != _HOPPER:
        return "it is for Hopper (H100, H200)"
    from diffusers.models import attention_dispatch as dispatch

    backend = dispatch.AttentionBackendName(_BACKENDS[name])
    try:
        dispatch._check_attention_backend_requirements(backend)
        dispatch._maybe_download_kernel_for_backend(backend)
    except Exception as error:  # a network, a package, a licence: whatever it is, the next kernel draws too
        return str(error)
    return None
