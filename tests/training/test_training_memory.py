"""The memory prediction against small real networks, counted, and published figures; and that each preset fits."""

from dataclasses import asdict, replace

import pytest
import torch
from diffusers import FluxTransformer2DModel
from transformers import T5Config, T5EncoderModel

from dermaflux.domain.records import Split
from dermaflux.generation import choose_placement, load_pipeline
from dermaflux.generation.catalogue import entry_of_folder
from dermaflux.generation.weight_sizes import PartSize, is_layer
from dermaflux.services import training_memory
from dermaflux.services.training_memory import (
    FLUX,
    KEPT_BYTES,
    base_size,
    encoded_gb,
    host_gb,
    kept_gb,
    lora_parts,
)
from training import lora_cache
from training.lora_config import GPU_GB, PRESETS
from training.lora_layers import attach_lora, trainable
from training.lora_state import LoraState
from training.nano_data import load_captioned

IMAGE, TEXT, CHANNELS = 768, 256, 256


def kept(num_double, num_single, dtype, checkpointing=False):
    """Bytes that a forward pass of a small Flux transformer with a LoRA on keeps for the backward one."""
    torch.manual_seed(0)
    model = FluxTransformer2DModel(
        num_layers=num_double, num_single_layers=num_single, num_attention_heads=CHANNELS // 128, in_channels=64,
        attention_head_dim=128, joint_attention_dim=64, pooled_projection_dim=64, guidance_embeds=True,
    ).to(dtype)  # fmt: skip
    attach_lora(model, 4, 4)
    if checkpointing:
        model.enable_gradient_checkpointing()
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    held: dict[int, torch.UntypedStorage] = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage
        return tensor

    inputs = {"hidden_states": (1, IMAGE, 64), "encoder_hidden_states": (1, TEXT, 64), "pooled_projections": (1, 64)}
    bf16 = torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), bf16:
        model(
            **{name: torch.randn(shape, dtype=dtype) for name, shape in inputs.items()}, timestep=torch.ones(1),
            guidance=torch.ones(1), img_ids=torch.zeros(IMAGE, 3), txt_ids=torch.zeros(TEXT, 3),
        )  # fmt: skip
    return sum(storage.nbytes() for storage in held.values())


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "width"), [(torch.bfloat16, 2), (torch.float32, 4)])
def test_what_blocks_keep_is_what_is_counted_on_a_small_transformer(dtype, width):
    one, per = kept(1, 1, dtype), (IMAGE + TEXT) * CHANNELS
    counted = ((kept(2, 1, dtype) - one) / per, (kept(1, 2, dtype) - one) / per)
    assert counted == pytest.approx(KEPT_BYTES[width], rel=0.03)
    one = kept(1, 1, dtype, checkpointing=True)
    assert (kept(2, 1, dtype, checkpointing=True) - one) / per == pytest.approx(width, rel=0.01)
    assert (kept(1, 2, dtype, checkpointing=True) - one) / per == pytest.approx(width, rel=0.01)


@pytest.mark.parametrize(("preset", "card_gb"), GPU_GB.items())
def test_each_preset_fits_its_gpu_with_an_eighth_to_spare(preset, card_gb):
    values = asdict(PRESETS[preset][1])
    need = sum(lora_parts(FLUX, values, on_gpu=True).values())
    assert card_gb / 2.5 < need < card_gb * 7 / 8
    assert host_gb(FLUX, values, 500) < 32  # a clinic's own set, on a desktop


def test_published_peaks_of_flux_dev_are_met():
    """An RTX 4090: 512 x 768, rank 4, one picture, 77 tokens, checkpointing, AdamW in 8 bits, texts made before."""
    run = replace(PRESETS["16gb"][1], rank=4, alpha=4, size_px=624, text_tokens=77)  # 624 px: as many tokens
    for base_format, published_gb in (("nf4", 9), ("whole", 26)):
        values = asdict(replace(run, base_format=base_format))
        parts = (training_memory.base_gb(FLUX, values, 2), kept_gb(FLUX, values, 2), FLUX.lora_a_rank * 4 * 16 / 1e9)
        assert sum(parts) + 1 == pytest.approx(published_gb, rel=0.1)


def test_what_learns_takes_twenty_bytes_a_weight_with_adamw():
    model = FluxTransformer2DModel(
        num_layers=1, num_single_layers=1, num_attention_heads=1, attention_head_dim=128, in_channels=64,
        joint_attention_dim=64, pooled_projection_dim=64,
    )  # fmt: skip
    attach_lora(model, 4, 4)
    lora = LoraState(model, learning_rate=1e-3, weight_decay=0, ema_decay=0.9)
    for weight in lora.weights:
        weight.grad = torch.ones_like(weight)
    lora.optimizer.step()
    moments = [v for state in lora.optimizer.state.values() for v in state.values() if v.numel() > 1]
    everything = [*lora.weights, *(w.grad for w in lora.weights), *lora.average.shadow_params, *moments]
    assert sum(t.nbytes for t in everything) == 20 * sum(w.numel() for w in trainable(model))


def test_t5_is_counted_as_it_is_built():
    with torch.device("meta"):
        t5 = T5EncoderModel(T5Config(
            d_model=4096, d_ff=10240, d_kv=64, num_heads=64, num_layers=24, feed_forward_proj="gated-gelu",
            vocab_size=32128,
        ))  # fmt: skip
    sizes = {name: tuple(weight.shape) for name, weight in t5.named_parameters()}
    inside = {n: s for n, s in sizes.items() if ".block." in n and is_layer(n.partition(".layer.")[2], s)}
    in_layers = sum(a * b for a, b in inside.values())
    total = sum(weight.numel() for weight in t5.parameters())
    assert FLUX.t5 == PartSize(in_layers=in_layers, elsewhere=total - in_layers)


def test_what_is_encoded_lies_in_memory_as_reckoned(drawn_ham, tiny_models):
    entry = entry_of_folder(tiny_models / "nano", name="tiny")
    pipeline = load_pipeline(entry, choose_placement("cpu", "float32"))
    pictures = load_captioned(drawn_ham, drawn_ham / "measured.csv", Split.TRAIN, 64)
    made = lora_cache.encode_examples(pipeline, pictures, 32, num_wordings=2, seed=0)
    held = pictures.images.nbytes + made.mean.nbytes + made.texts.tokens.nbytes
    values = asdict(replace(PRESETS["smoke"][1], size_px=64, num_wordings=2, text_tokens=32))
    reckoned = encoded_gb(base_size(tiny_models / "nano", 64), values, len(pictures), on_gpu=False) * 1e9
    assert 0.7 * reckoned < held < 1.1 * reckoned  # captions may be the same; there is the empty one too


def test_pictures_pass_the_vae_as_many_at_once_as_is_reckoned():
    assert training_memory.ENCODED_PX == lora_cache.ENCODED_PX
