"""The adaLN modulations of a Flux transformer, apart from its blocks.

They are a quarter of the weights and depend on time, guidance and the pooled text alone, not on the picture: for one
schedule and one caption they are the same in every image, so they are computed once and remembered. Time runs from
t = 1, noise, to 0, data. It knows no sampling and no other runtime.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_NUM_REMEMBERED = 256  # (time, text) pairs, some 60 kB each for nano: three texts over a schedule of 80 steps


class Given(nn.Module):
    """Stands in for the linear layer of a norm: gives what it was handed, whatever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.value: Tensor | None = None

    def forward(self, _: Tensor) -> Tensor:
        """The value that was handed in."""
        assert self.value is not None
        return self.value


def adaptive_norms(transformer: Any) -> Iterator[Any]:
    """The norms of a FluxTransformer2DModel that are modulated, in the order of the network: each has a `linear`."""
    for block in transformer.transformer_blocks:
        yield block.norm1
        yield block.norm1_context
    for block in transformer.single_transformer_blocks:
        yield block.norm
    yield transformer.norm_out


class Modulations:
    """All modulations of a transformer side by side, (B, width) for B texts at their times."""

    def __init__(self, transformer: Any) -> None:
        self._embed = transformer.time_text_embed
        self._norms = [(norm.silu, norm.linear) for norm in adaptive_norms(transformer)]
        self._remembered: OrderedDict[tuple[bytes, bytes, bytes], Tensor] = OrderedDict()

    @torch.no_grad()
    def of(self, time: Tensor, pooled: Tensor, guidance: Tensor | None = None) -> Tensor:
        """The modulations (B, width) of texts pooled (B, P) at times (B,) in 0..1; computed at most once a row."""
        rows = [(time[i : i + 1], pooled[i : i + 1], None if guidance is None else guidance[i : i + 1])
                for i in range(len(time))]  # fmt: skip
        return torch.cat([self._row(*row) for row in rows])

    def _row(self, time: Tensor, pooled: Tensor, guidance: Tensor | None) -> Tensor:
        key = (_bytes(time), _bytes(pooled), b"" if guidance is None else _bytes(guidance))
        if key not in self._remembered:
            self._remembered[key] = self._compute(time, pooled, guidance)
            if len(self._remembered) > _NUM_REMEMBERED:
                self._remembered.popitem(last=False)
        self._remembered.move_to_end(key)
        return self._remembered[key]

    def _compute(self, time: Tensor, pooled: Tensor, guidance: Tensor | None) -> Tensor:
        # FluxTransformer2DModel.forward counts time and guidance in thousandths.
        args = (time * 1000, pooled) if guidance is None else (time * 1000, guidance * 1000, pooled)
        embedded = self._embed(*args)
        return torch.cat([linear(silu(embedded)) for silu, linear in self._norms], dim=1)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().numpy().tobytes()
