"""Turns captions into text embeddings and remembers the latest, so that a repeated caption skips the encoders.

One encoder belongs to one pipeline and one text length, so that a caption alone names an embedding: adapters that touch
text encoders are refused (`adapter_files`).
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from diffusers import FluxPipeline
from torch import Tensor

from dermaflux.domain.speed import PROMPTS_REMEMBERED


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEmbedding:
    """One caption for the transformer: tokens (1, N, C), pooled (1, P), position ids (N, 3)."""

    tokens: Tensor
    pooled: Tensor
    ids: Tensor


class PromptEncoder:
    """The pipeline's two text encoders with a cache of the latest captions. Longer text is cut, never refused."""

    def __init__(self, pipe: FluxPipeline, num_tokens: int, num_remembered: int = PROMPTS_REMEMBERED) -> None:
        self.num_tokens = num_tokens
        self._pipe = pipe
        self._num_remembered = num_remembered
        self._latest: OrderedDict[str, PromptEmbedding] = OrderedDict()

    @torch.no_grad()
    def encode(self, caption: str) -> PromptEmbedding:
        """The embedding of a caption; the empty caption is the unconditional one."""
        if caption in self._latest:
            self._latest.move_to_end(caption)
            return self._latest[caption]
        tokens, pooled, ids = self._pipe.encode_prompt(
            caption, None, max_sequence_length=self.num_tokens
        )
        assert tokens is not None and pooled is not None  # a caption was given
        embedding = PromptEmbedding(tokens=tokens, pooled=pooled, ids=ids)
        self._latest[caption] = embedding
        if len(self._latest) > self._num_remembered:
            self._latest.popitem(last=False)
        return embedding
