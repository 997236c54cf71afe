"""The three networks of a FluxPipeline that learn together, called as the pipeline calls them.

Text in, velocity out. It knows the pipeline's classes and the flow's time, no data and no optimiser.
"""

import torch
from diffusers import FluxPipeline
from torch import Tensor, nn

from training.flux_velocity import flux_velocity


class FlowModel(nn.Module):
    """Transformer and text encoders of a pipeline as one trainable module. t = 1 is noise."""

    def __init__(self, pipeline: FluxPipeline, text_tokens: int) -> None:
        super().__init__()
        self.transformer = pipeline.transformer
        self.text_encoder = pipeline.text_encoder
        self.text_encoder_2 = pipeline.text_encoder_2
        self._tokenizers = (pipeline.tokenizer, pipeline.tokenizer_2)
        self._lengths = (pipeline.tokenizer_max_length, text_tokens)

    def forward(self, x_t: Tensor, times: Tensor, captions: list[str]) -> Tensor:
        """Velocity (B, C, h, w) at latents x_t (B, C, h, w) and times (B,) in 0..1 under captions."""
        text, pooled = self.encode(captions, x_t.device)
        return flux_velocity(self.transformer, x_t, times, text, pooled)

    def encode(self, captions: list[str], device: torch.device) -> tuple[Tensor, Tensor]:
        """The captions as the transformer reads them: of T5 (B, text_tokens, D), of CLIP (B, P)."""
        clip_ids, t5_ids = self.tokens(captions, device)
        return self.text_encoder_2(t5_ids)[0], self.text_encoder(clip_ids).pooler_output

    def tokens(self, captions: list[str], device: torch.device) -> tuple[Tensor, Tensor]:
        """Padded ids for CLIP (B, 77) and T5 (B, text_tokens), as FluxPipeline makes them."""
        clip_ids, t5_ids = (
            tokenizer(
                captions,
                padding="max_length",
                max_length=length,
                truncation=True,
                return_tensors="pt",
            ).input_ids.to(device)
            for tokenizer, length in zip(self._tokenizers, self._lengths, strict=True)
        )
        return clip_ids, t5_ids
