"""A Flux transformer that onnxruntime computes on a CPU, in the place of diffusers' own in a pipeline.

How much faster that is: docs/benchmarks.md. The blocks are exported
once for each blend of adapters and kept in a folder under a hash of everything that made them, so that a file is never
stale; only the latest are kept. It knows no requests and no schedule.
"""

import copy
import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxPipeline
from torch import Tensor

from dermaflux.domain.errors import StorageNotWritable
from dermaflux.generation.adapters import Adapter
from dermaflux.generation.modulations import Modulations
from dermaflux.generation.onnx_export import FORMAT, export_blocks, merged

log = logging.getLogger(__name__)

_NUM_KEPT = 8  # of nano each is 17 to 34 MB
_MAX_THREADS = 2  # a third one gains little on such small matrices, and the page wants a core


class OnnxTransformer:
    """Answers the call of a FluxTransformer2DModel without gradients. Not an nn.Module: a pipeline does not move it."""

    def __init__(self, path: Path, modulations: Modulations, config: Any) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(_MAX_THREADS, os.cpu_count() or 1)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others compute here too
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._modulations = modulations
        self.config = config
        self.dtype = torch.float32

    def __call__(  # noqa: PLR0913 - the call of FluxTransformer2DModel
        self, *, hidden_states: Tensor, timestep: Tensor, guidance: Tensor | None, pooled_projections: Tensor,
        encoder_hidden_states: Tensor, txt_ids: Tensor, img_ids: Tensor, return_dict: bool = False,
    ) -> tuple[Tensor]:  # fmt: skip
        """The velocity (B, N, C) as a tuple of one, as FluxTransformer2DModel.forward gives it."""
        assert not return_dict
        feed = {
            "latents": hidden_states,
            "text": encoder_hidden_states,
            "modulations": self._modulations.of(timestep, pooled_projections, guidance),
            "image_ids": img_ids,
            "text_ids": txt_ids,
        }
        found = self._session.run(None, {name: value.contiguous().numpy() for name, value in feed.items()})
        return (torch.from_numpy(found[0]),)

    def cache_context(self, _: str) -> AbstractContextManager[None]:
        """Nothing: step caches are for the large models."""
        return nullcontext()


def with_onnx(
    pipe: FluxPipeline, model_sha256: str, adapters: Sequence[Adapter], folder: Path, *, int8: bool
) -> FluxPipeline:
    """The same pipeline with its transformer, and the adapters on it now, computed by onnxruntime.

    The first time for a blend the export takes about a minute on two cores. Raises StorageNotWritable when the folder
    cannot be written.
    """
    plain = merged(pipe.transformer)
    modulations = Modulations(plain)  # before the export takes the network apart
    path = folder / f"{export_name(model_sha256, adapters, int8=int8)}.onnx"
    if not path.is_file():
        _export(plain, path, int8=int8)
    path.touch()  # the latest used
    fast = copy.copy(pipe)
    fast.__dict__["transformer"] = OnnxTransformer(path, modulations, pipe.transformer.config)
    return fast


def export_name(model_sha256: str, adapters: Sequence[Adapter], *, int8: bool) -> str:
    """The file name of an export: a hash of the weights, of the adapters with their strengths, and of the format."""
    made_of = [model_sha256, *(f"{adapter.sha256}*{adapter.weight}" for adapter in adapters)]
    kind = "int8" if int8 else "fp32"
    return f"{hashlib.sha256(' '.join(made_of).encode()).hexdigest()[:32]}-{kind}-{FORMAT}"


def _export(plain: Any, path: Path, *, int8: bool) -> None:
    log.info("exporting the transformer to %s (once, about a minute)", path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        export_blocks(plain, path, int8=int8)
        kept = sorted(path.parent.glob("*.onnx"), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in kept[_NUM_KEPT:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise StorageNotWritable(
            f"The exported transformer cannot be written to {path.parent}: {error}. Make room there, or choose "
            "DERMAFLUX_PRECISION=auto."
        ) from error
