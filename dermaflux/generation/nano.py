"""Builds the small FluxPipeline: the classes of FLUX.1, only narrower and shallower.

It makes an untrained pipeline with its own word-piece vocabularies; training and loading are elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from dermaflux.generation.patch_autoencoder import PatchAutoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class NanoConfig:
    """The size of a nano pipeline. `text_tokens` is the T5 length in training and in inference alike."""

    num_double_blocks: int = 3
    num_single_blocks: int = 6
    num_heads: int = 4
    head_dim: int = 64
    t5_width: int = 256
    t5_layers: int = 2
    clip_width: int = 192
    clip_layers: int = 2
    vocabulary: int = 1024
    text_tokens: int = 64


def build_nano_pipeline(config: NanoConfig, corpus: Iterable[str]) -> FluxPipeline:
    """An untrained pipeline whose vocabularies are learned from the captions of `corpus`."""
    captions = list(corpus)
    clip_tokens, t5_tokens = _clip_tokenizer(captions, config), _t5_tokenizer(captions, config)
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_image_seq_len=64, base_shift=0.7),
        vae=PatchAutoencoder(),  # type: ignore[arg-type] - the methods and config fields FluxPipeline uses
        text_encoder=CLIPTextModel(_clip_config(config, clip_tokens)),
        tokenizer=clip_tokens,  # type: ignore[arg-type] - a fast tokenizer, called as CLIPTokenizer is
        text_encoder_2=T5EncoderModel(_t5_config(config, t5_tokens)),
        tokenizer_2=t5_tokens,
        transformer=_transformer(config),
    )


def _transformer(config: NanoConfig) -> FluxTransformer2DModel:
    spatial = (config.head_dim * 3 // 8) // 2 * 2
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=config.num_double_blocks,
        num_single_layers=config.num_single_blocks,
        attention_head_dim=config.head_dim,
        num_attention_heads=config.num_heads,
        joint_attention_dim=config.t5_width,
        pooled_projection_dim=config.clip_width,
        guidance_embeds=False,
        axes_dims_rope=(config.head_dim - 2 * spatial, spatial, spatial),
    )


def _clip_config(config: NanoConfig, tokens: PreTrainedTokenizerFast) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=config.clip_width,
        intermediate_size=4 * config.clip_width,
        projection_dim=config.clip_width,
        num_hidden_layers=config.clip_layers,
        num_attention_heads=config.clip_width // 64,
        max_position_embeddings=77,
        bos_token_id=_id_of(tokens, tokens.bos_token),
        eos_token_id=_id_of(tokens, tokens.eos_token),
        pad_token_id=_id_of(tokens, tokens.pad_token),
    )


def _t5_config(config: NanoConfig, tokens: PreTrainedTokenizerFast) -> T5Config:
    return T5Config(
        vocab_size=len(tokens),
        d_model=config.t5_width,
        d_kv=64,
        d_ff=2 * config.t5_width,
        num_layers=config.t5_layers,
        num_heads=config.t5_width // 64,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        is_encoder_decoder=False,
        use_cache=False,
        pad_token_id=_id_of(tokens, tokens.pad_token),
        eos_token_id=_id_of(tokens, tokens.eos_token),
    )


def _id_of(tokens: PreTrainedTokenizerFast, token: object) -> int:
    return int(tokens.convert_tokens_to_ids(str(token)))  # type: ignore[arg-type] - one token, one id


def _clip_tokenizer(captions: list[str], config: NanoConfig) -> PreTrainedTokenizerFast:
    # The end token has the highest id, as in OpenAI's CLIP: older readers pool at the largest id.
    tokenizer = _byte_pairs(captions, config.vocabulary, ["<|startoftext|>"], "<|endoftext|>")
    first, last = (tokenizer.token_to_id(t) for t in ("<|startoftext|>", "<|endoftext|>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>",
        special_tokens=[("<|startoftext|>", first), ("<|endoftext|>", last)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        model_max_length=77,
    )


def _t5_tokenizer(captions: list[str], config: NanoConfig) -> PreTrainedTokenizerFast:
    tokenizer = _byte_pairs(captions, config.vocabulary, ["<pad>"], "</s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<pad>",
        model_max_length=config.text_tokens,
    )


def _byte_pairs(captions: list[str], size: int, first: list[str], last: str) -> Tokenizer:
    """Byte-level word pieces: the captions' words are whole, and any other text still has a spelling."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])  # type: ignore[assignment]
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=first,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.add_special_tokens([last])
    return tokenizer
