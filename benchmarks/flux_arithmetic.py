"""What FLUX must compute, by arithmetic: floating-point operations of a step, of a training step, and the least time.

A multiplication with its addition counts as two. Norms, rotations and activations are left out: they are below one in a
thousand. The figures of docs/flux_speed.md come from here.
"""

from dataclasses import dataclass
from typing import Any

H200_BF16_FLOPS = 790e12
"""What dense bf16 products reach on an H200 with random data; the peak of the data sheet is not reached by any."""
_PX_A_TOKEN = 16
_FEED_FORWARD = 4  # times the width


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxShape:
    """A Flux transformer in numbers; the defaults are FLUX.1-dev's."""

    num_double: int = 19
    num_single: int = 38
    width: int = 24 * 128
    in_channels: int = 64
    text_width: int = 4096

    @classmethod
    def of(cls, config: Any) -> "FluxShape":
        """The shape of a FluxTransformer2DModel's config."""
        return cls(
            num_double=config.num_layers,
            num_single=config.num_single_layers,
            width=config.num_attention_heads * config.attention_head_dim,
            in_channels=config.in_channels,
            text_width=config.joint_attention_dim,
        )


def step_flops(shape: FluxShape, size_px: int, text_tokens: int) -> float:
    """Operations of one forward pass for one square image under one text."""
    return sum(part(shape, size_px, text_tokens) for part in (_linear, _attention, _ends))


def training_flops(shape: FluxShape, size_px: int, text_tokens: int, *, checkpointed: bool = False) -> float:
    """Operations of a LoRA's training step for one image: the frozen weights need no gradients of their own.

    Linear layers once forward and once backward; attention also recomputes its matrix, 3.5 times. Checkpointing makes
    the forward pass twice. The LoRA's own products are left out.
    """
    linear, attention = _linear(shape, size_px, text_tokens), _attention(shape, size_px, text_tokens)
    again = step_flops(shape, size_px, text_tokens) if checkpointed else 0.0
    return 2 * linear + 3.5 * attention + again


def _tokens(size_px: int, text_tokens: int) -> int:
    return (size_px // _PX_A_TOKEN) ** 2 + text_tokens


def _linear(shape: FluxShape, size_px: int, text_tokens: int) -> float:
    """q, k, v, out and the feed-forward pair: (4 + 2 * 4) d^2 a token, in double blocks and in single ones alike."""
    products = (4 + 2 * _FEED_FORWARD) * shape.width**2
    return 2.0 * products * _tokens(size_px, text_tokens) * (shape.num_double + shape.num_single)


def _attention(shape: FluxShape, size_px: int, text_tokens: int) -> float:
    """Scores and their sum over the values: 2 N^2 d each."""
    return 4.0 * _tokens(size_px, text_tokens) ** 2 * shape.width * (shape.num_double + shape.num_single)


def _ends(shape: FluxShape, size_px: int, text_tokens: int) -> float:
    """Embeddings of image and text, the output, and the modulations (one row a step)."""
    image_tokens, width = _tokens(size_px, 0), shape.width
    modulations = (12 * shape.num_double + 3 * shape.num_single) * width**2
    return 2.0 * (
        2 * image_tokens * shape.in_channels * width + text_tokens * shape.text_width * width + modulations
    )
