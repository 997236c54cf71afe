"""FluxPipelines with random weights, made on the device they run on: FLUX.1-dev in full without its 34 GB of files.

They cost what trained ones cost and show nothing. What a cache of steps skips on them is not what it would skip on
trained weights. Tokenizers are small ones of our own; lengths are what counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from dermaflux.generation.nano import NanoConfig, build_nano_pipeline

_CONTRAST = 0.5  # standard deviation of pixels in -1..1
CORPUS = ["a dermoscopic image of a melanoma, asymmetric in one axis, with dark brown, red and black colours"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxConfig:
    """The published settings of the four networks."""

    transformer: Mapping[str, Any]
    t5: Mapping[str, Any]
    clip: Mapping[str, Any]
    vae: Mapping[str, Any] = field(default_factory=dict)


# black-forest-labs/FLUX.1-dev: config.json of each part.
FLUX_DEV = FluxConfig(
    transformer={
        "num_layers": 19, "num_single_layers": 38, "num_attention_heads": 24, "attention_head_dim": 128,
        "in_channels": 64, "joint_attention_dim": 4096, "pooled_projection_dim": 768, "axes_dims_rope": (16, 56, 56),
    },
    t5={"vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64},
    clip={"vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "projection_dim": 768,
          "num_hidden_layers": 12, "num_attention_heads": 12},
    vae={"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "norm_num_groups": 32},
)  # fmt: skip
# The same classes in the same proportions, for a CPU.
TINY = FluxConfig(
    transformer={
        "num_layers": 2, "num_single_layers": 4, "num_attention_heads": 2, "attention_head_dim": 32,
        "in_channels": 64, "joint_attention_dim": 64, "pooled_projection_dim": 64, "axes_dims_rope": (8, 12, 12),
    },
    t5={"vocab_size": 512, "d_model": 64, "d_kv": 32, "d_ff": 128, "num_layers": 1, "num_heads": 2},
    clip={"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "projection_dim": 64,
          "num_hidden_layers": 1, "num_attention_heads": 2},
    vae={"block_out_channels": (8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 4},
)  # fmt: skip


class RandomFlux:
    """Makes the parts of one architecture on a device; the same seed gives the same weights there."""

    def __init__(self, config: FluxConfig, device: torch.device, dtype: torch.dtype) -> None:
        self.config, self.device, self.dtype = config, device, dtype
        words = build_nano_pipeline(NanoConfig(num_double_blocks=1, num_single_blocks=1, vocabulary=300), CORPUS)
        self._tokenizers = {"tokenizer": words.tokenizer, "tokenizer_2": words.tokenizer_2}

    def text_encoders(self) -> dict[str, Any]:
        """CLIP and T5 with their tokenizers, by their names in a pipeline."""
        clip, t5 = (self._tokenizers[name] for name in ("tokenizer", "tokenizer_2"))
        ids = {f"{name}_token_id": clip.convert_tokens_to_ids(getattr(clip, f"{name}_token"))
               for name in ("bos", "eos", "pad")}  # fmt: skip
        t5_ids = {"pad_token_id": t5.convert_tokens_to_ids(t5.pad_token), "eos_token_id": t5.eos_token_id}
        clip_config = CLIPTextConfig(**self.config.clip, max_position_embeddings=77, **ids)
        t5_config = T5Config(
            **self.config.t5, **t5_ids, feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False
        )
        encoders = {
            "text_encoder": self._made(1, lambda: CLIPTextModel(clip_config)),
            "text_encoder_2": self._made(2, lambda: T5EncoderModel(t5_config)),
        }
        return encoders | self._tokenizers

    def transformer(self) -> FluxTransformer2DModel:
        """The denoiser, guidance-distilled as FLUX.1-dev is."""
        return self._made(3, lambda: FluxTransformer2DModel(**self.config.transformer, guidance_embeds=True))

    def vae(self) -> AutoencoderKL:
        """The decoder of 16 channels, its contrast that of pictures: on grey ones no error would be seen."""
        blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
        plain = {"latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False}
        scale = {"scaling_factor": 0.3611, "shift_factor": 0.1159}
        config: Mapping[str, Any] = {**self.config.vae, **blocks, **plain, **scale}
        vae = self._made(4, lambda: AutoencoderKL(**config))
        with torch.no_grad():
            decoded = vae.decode(torch.randn(1, 16, 8, 8, device=self.device, dtype=self.dtype)).sample
            vae.decoder.conv_out.weight.mul_(_CONTRAST / decoded.std())
        return vae

    def scheduler(self) -> FlowMatchEulerDiscreteScheduler:
        """FLUX.1-dev's schedule."""
        return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0)

    def pipeline(self, encoders: Mapping[str, Any]) -> FluxPipeline:
        """A pipeline of a fresh transformer and VAE with text encoders that are there already."""
        pipe = FluxPipeline(
            scheduler=self.scheduler(), transformer=self.transformer(), vae=self.vae(), **encoders  # type: ignore[arg-type]
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _made(self, seed: int, make: Any) -> Any:
        """A network made there and in that format from the start: in float32 elsewhere it would not fit twice."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            torch.manual_seed(seed)
            with self.device:
                network = make()
        finally:
            torch.set_default_dtype(before)
        return torch.nn.Module.to(network, self.device, self.dtype).eval().requires_grad_(False)
