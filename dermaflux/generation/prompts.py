"""Turns captions into text embeddings and remembers the latest, so that a repeated caption skips the encoders.

One encoder belongs to one pipeline and one text length, so that a caption alone names an embedding: adapters that touch
text encoders are refused (`adapter_files`).
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FluxPipeline
from diffusers.utils.torch_utils import get_module_execution_device
from torch import Tensor

from dermaflux.domain.speed import PROMPTS_REMEMBERED

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEmbedding:
    """One caption for the transformer: tokens (1, N, C), pooled (1, P), position ids (N, 3).

    left_out: the end of the caption that did not fit into N tokens, so that the model never reads it.
    """

    tokens: Tensor
    pooled: Tensor
    ids: Tensor
    left_out: str = ""


class PromptEncoder:
    """The pipeline's two text encoders with a cache of the latest captions. Longer text is cut, never refused.

    The cut is made here: FluxPipeline.encode_prompt makes the same one, but takes the text that it warns of from where
    CLIP's 77 tokens end, so that of a shorter model it names nothing.
    """

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
        embedding = self._embedded(caption)
        self._latest[caption] = embedding
        if len(self._latest) > self._num_remembered:
            self._latest.popitem(last=False)
        return embedding

    def _embedded(self, caption: str) -> PromptEmbedding:
        pipe, device = self._pipe, self._pipe._execution_device
        clip, t5 = pipe.text_encoder, pipe.text_encoder_2
        assert clip is not None and t5 is not None
        clip_ids, _ = _cut(pipe.tokenizer, caption, pipe.tokenizer_max_length)
        t5_ids, left_out = _cut(pipe.tokenizer_2, caption, self.num_tokens)
        if left_out:
            log.warning("The model reads %d tokens of a caption; left out: %r", self.num_tokens, left_out)
        return PromptEmbedding(
            tokens=_encoded(t5, t5_ids)[0].to(device, t5.dtype),
            pooled=_encoded(clip, clip_ids).pooler_output.to(device, clip.dtype),
            ids=torch.zeros(self.num_tokens, 3, device=device, dtype=clip.dtype),
            left_out=left_out,
        )


def _cut(tokenizer: Any, caption: str, num_tokens: int) -> tuple[Tensor, str]:
    """The ids (1, num_tokens) of a caption, padded or cut as FluxPipeline does, and the text behind the cut."""
    rows = tokenizer(
        [caption], padding="max_length", max_length=num_tokens, truncation=True, return_overflowing_tokens=True,
        return_offsets_mapping=True, return_tensors="pt",
    )  # fmt: skip
    behind = [start for start, end in rows.offset_mapping[1:].reshape(-1, 2).tolist() if end > start]
    return rows.input_ids[:1], caption[min(behind) :].strip() if behind else ""


def _encoded(encoder: Any, ids: Tensor) -> Any:
    return encoder(ids.to(get_module_execution_device(encoder)), output_hidden_states=False)
