"""Which parts of a picture speak for a side of the classifier's answer, laid on the picture's own frame.

ViTs: how strongly the side's log-odds move with each patch token the last attention reads (the length of its gradient),
where the token speaks for the side at all (Grad-CAM above 0); class and register tokens are left out. A length alone is
the same for both sides. Other networks: Grad-CAM (arXiv 1610.02391). Figures: docs/classifier.md. It knows no file and
no diagnosis names.
"""

import threading
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from dermaflux.classification.preprocessing import to_rgb, unturned
from dermaflux.domain.errors import InvalidRequest

NUM_TURNS = 8
OVERLAY_OPACITY = 0.55
# Five points of a perceptually even map, dark to bright (viridis).
_COLOURS = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], dtype=np.float32)


class Probe:
    """Reads maps out of one network. Recording is a thread's own, so predictions may run meanwhile."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._local = threading.local()
        blocks = getattr(network, "blocks", None)
        norm = getattr(blocks[-1], "norm1", None) if isinstance(blocks, nn.Sequential | nn.ModuleList) else None
        self._reads_tokens = isinstance(norm, nn.Module) and hasattr(network, "num_prefix_tokens")
        if isinstance(norm, nn.Module):
            norm.register_forward_hook(self._record)

    def maps(self, x_BCHW: Tensor, side: Tensor) -> np.ndarray:
        """Maps (B, h, w), 0 and above, of what speaks for a side: the classes (C,) of it against all others."""
        with torch.enable_grad():
            return self._token_map(x_BCHW, side) if self._reads_tokens else self._grad_cam(x_BCHW, side)

    def _token_map(self, x_BCHW: Tensor, side: Tensor) -> np.ndarray:
        self._local.recorded = recorded = []
        try:
            target = _log_odds(self.network(x_BCHW), side)
        finally:
            self._local.recorded = None
        (gradient,) = torch.autograd.grad(target, recorded)
        prefix = int(self.network.num_prefix_tokens)  # type: ignore[arg-type]
        gradient, tokens = gradient[:, prefix:], recorded[0].detach()[:, prefix:]
        speaks_for = (gradient.mean(dim=1, keepdim=True) * tokens).sum(dim=-1) > 0
        strength = gradient.norm(dim=-1) * speaks_for
        height, width = self._grid(strength.shape[1])
        return strength.reshape(len(x_BCHW), height, width).cpu().numpy()

    def _grad_cam(self, x_BCHW: Tensor, side: Tensor) -> np.ndarray:
        x_BCHW = x_BCHW.detach().requires_grad_()
        features = self.network.forward_features(x_BCHW)  # type: ignore[operator]
        if features.ndim != 4:
            raise InvalidRequest("This network gives no map of features, so it has no saliency.")
        target = _log_odds(self.network.forward_head(features), side)  # type: ignore[operator]
        (gradient,) = torch.autograd.grad(target, features)
        channels = 1 if features.shape[1] == self.network.num_features else 3
        space = (2, 3) if channels == 1 else (1, 2)
        cam = (gradient.mean(dim=space, keepdim=True) * features).sum(dim=channels).clamp(min=0)
        return cam.detach().cpu().numpy()

    def _grid(self, num_tokens: int) -> tuple[int, int]:
        grid = getattr(self.network.patch_embed, "grid_size", None)
        side = round(num_tokens**0.5)
        return tuple(grid) if grid is not None else (side, side)

    def _record(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        """While this thread draws a map: keep the tokens, and let gradients begin at them."""
        recorded = getattr(self._local, "recorded", None)
        if recorded is None:
            return None
        recorded.append(output.detach().requires_grad_())
        return recorded[-1]


def merge_turns(maps: np.ndarray, num_views: int, num_turns: int = NUM_TURNS) -> list[np.ndarray]:
    """Maps (V * T, h, w) of turned views as one upright mean map a view; each turn weighs alike."""
    stacked = maps.reshape(num_views, num_turns, *maps.shape[1:])
    stacked = stacked / stacked.max(axis=(2, 3), keepdims=True).clip(1e-12)
    return [np.mean([unturned(turn, i) for i, turn in enumerate(view)], axis=0) for view in stacked]


def on_frame(
    maps: Sequence[np.ndarray], boxes: Sequence[tuple[int, int, int, int]], size: tuple[int, int]
) -> np.ndarray:
    """Square maps laid on their boxes (left, top, right, bottom) of a frame (width, height).

    Returns float32 (H, W) in 0..1; where views overlap their mean, where none looked 0.
    """
    total = np.zeros((size[1], size[0]), dtype=np.float32)
    seen = np.zeros_like(total)
    for values, (left, top, right, bottom) in zip(maps, boxes, strict=True):
        small = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
        full = np.asarray(small.resize((right - left, bottom - top), Image.Resampling.BICUBIC)).clip(0)
        total[top:bottom, left:right] += full
        seen[top:bottom, left:right] += 1
    mean = total / seen.clip(1)
    low, high = float(mean[seen > 0].min()), float(mean.max())
    return np.where(seen > 0, (mean - low) / max(high - low, 1e-12), 0).astype(np.float32)


def overlay(image: Image.Image, saliency: np.ndarray) -> Image.Image:
    """The picture in RGB with the map (H, W) in 0..1 laid over it, stronger where it is higher.

    Raises InvalidRequest when the map has another size than the picture.
    """
    if saliency.shape != (image.height, image.width):
        raise InvalidRequest(
            f"The map is {saliency.shape}, the picture {(image.height, image.width)}. Make them agree."
        )
    values = np.asarray(saliency, dtype=np.float32).clip(0, 1)
    points = np.linspace(0, 1, len(_COLOURS))
    colours = np.stack([np.interp(values, points, _COLOURS[:, c]) for c in range(3)], axis=-1)
    share = (OVERLAY_OPACITY * values)[..., None]
    mixed = np.asarray(to_rgb(image), dtype=np.float32) * (1 - share) + colours * share
    return Image.fromarray(mixed.round().astype(np.uint8))


def _log_odds(logits: Tensor, side: Tensor) -> Tensor:
    """The sum over pictures of the log-odds of a side."""
    return (logits[:, side].logsumexp(1) - logits[:, ~side].logsumexp(1)).sum()
