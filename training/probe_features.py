"""What ImageNet's convolutions see in a picture: one row of numbers a view, computed once and remembered on disk.

The convolutions are EfficientNet-Lite0's up to stride 16, as they come from ImageNet: no skin picture has changed
them. It runs on the CPU and knows no label and no split.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dermaflux.classification.backbone import first_stages
from dermaflux.domain.errors import Cancelled
from training.imagenet import LITE0, MEAN, STD, start_from_imagenet

_STRIDES = (8, 16)
_KIND = "-".join((LITE0, *map(str, _STRIDES), "means-last-maxima"))
"""What `_seen` gives: the folder in the folder, so that what another network or pooling saw is never taken for it."""

Draw = Callable[[Tensor, torch.Generator], Tensor]
"""A uint8 frame (H, W, 3) to its views (V, 3, S, S), 0..1; all chance comes from the generator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """How views are drawn from a picture; `name` tells apart what is drawn differently."""

    name: str
    draw: Draw


class ProbeFeatures:
    """The frozen convolutions, and a folder that remembers what they made of each picture's views."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / _KIND
        self.folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def _network(self) -> nn.Module:
        """Built when a picture is first looked at: most cells of a study find all of theirs remembered."""
        network, _ = first_stages(LITE0, _STRIDES)
        start_from_imagenet(network)
        return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def of(self, frames: Iterable[Tensor], views: Views, should_stop: Callable[[], bool]) -> np.ndarray:
        """Features (N, V, F) float32 of the views of uint8 frames (H, W, 3).

        A picture's views are the same in every study that shares the folder, whatever pictures it comes with. Raises
        Cancelled between two pictures, ModelNotAvailable when one must be looked at and ImageNet's weights are missing.
        """
        rows = []
        for frame in frames:
            if should_stop():
                raise Cancelled("Stopped while looking at pictures. What was seen is kept; the same command goes on.")
            rows.append(self._remembered(frame, views))
        return np.stack(rows)

    def _remembered(self, frame: Tensor, views: Views) -> np.ndarray:
        digest = hashlib.sha256(views.name.encode() + str(tuple(frame.shape)).encode() + frame.numpy().tobytes())
        path = self.folder / f"{digest.hexdigest()[:32]}.npy"
        if path.is_file():
            return np.load(path)
        rng = torch.Generator().manual_seed(int.from_bytes(digest.digest()[:7]))
        seen = self._seen(views.draw(frame, rng))
        # Workers on several machines may look at one picture at a time, so even the partial file is nobody else's.
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", suffix=".partial", delete=False) as handle:
            np.save(handle, seen)
        os.replace(handle.name, path)
        return seen

    @torch.inference_mode()
    def _seen(self, x_BCHW: Tensor) -> np.ndarray:
        """The mean of each map, and the maximum of the last stage's too: a small structure may decide."""
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        shown = ((x_BCHW - mean) / std).contiguous(memory_format=torch.channels_last)
        maps = self._network(shown)
        pooled = [features.mean((2, 3)) for features in maps] + [maps[-1].amax((2, 3))]
        return torch.cat(pooled, dim=1).numpy()
