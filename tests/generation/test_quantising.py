"""Weights in few bits and pipelines that come to the device in parts, with the real libraries on a CPU."""

import sys
import types
from dataclasses import replace

import pytest
import torch
from torch import nn

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation import choose_placement, load_pipeline
from dermaflux.generation.adapters import Adapter, layer_sizes, wear
from dermaflux.generation.denoising import decode, denoise, draw_noise
from dermaflux.generation.guidance import Guidance
from dermaflux.generation.memory import FP8, INT8, NF4, Keeps, Plan, part_bytes
from dermaflux.generation.model_files import ModelFiles
from dermaflux.generation.prompts import PromptEncoder
from dermaflux.generation.quantising import quantise
from dermaflux.generation.sampler import Generator
from tests.generation.test_adapters import diffusers_file, write

CPU = torch.device("cpu")


def loaded(catalogue, **plan):
    heard = []
    pipe = load_pipeline(
        catalogue.model("nano"), choose_placement("cpu"), on_load=lambda *news: heard.append(news[0]), plan=Plan(**plan)
    )
    return pipe, heard


def sample(pipe):
    guidance = Guidance(caption=PromptEncoder(pipe, 24).encode("a mole"), empty=None, scale=1.0)
    latents = list(denoise(pipe, guidance, draw_noise(pipe, 1, 64), 64, 2))[-1].latents
    decode(pipe, latents, 64)
    return latents


def distance(found, expected):
    return float((found - expected).norm() / expected.norm())


def held_bytes(network):
    return sum(weight.nbytes for weight in network.parameters())


@pytest.fixture(scope="module")
def exact(pipe):
    return sample(pipe)


@pytest.mark.parametrize("keeps", [Keeps.ALL, Keeps.ALL_BUT_T5, Keeps.ONE_PART])
def test_a_pipeline_in_nf4_samples_near_the_whole_one_at_the_size_that_was_predicted(
    catalogue, pipe, exact, saved_nano, keeps
):
    four_bits, heard = loaded(catalogue, preset="16gb", transformer=NF4, t5=NF4, keeps=keeps)
    assert type(four_bits.transformer.transformer_blocks[0].attn.to_q).__name__ == "Linear4bit"
    assert type(four_bits.transformer.proj_out) is nn.Linear
    t5_block = four_bits.text_encoder_2.encoder.block[0]
    assert type(t5_block.layer[0].SelfAttention.q).__name__ == "Linear4bit"
    assert type(t5_block.layer[1].DenseReluDense.wo) is nn.Linear
    sizes = ModelFiles(folder=saved_nano).sizes()
    for part in ("transformer", "text_encoder_2"):
        network = getattr(four_bits, part)
        # Scales lie outside the parameters: 0.016 bytes and a little for each weight.
        assert held_bytes(network) == pytest.approx(part_bytes(sizes[part], NF4, 4), rel=0.03)
        assert held_bytes(network) < 0.6 * held_bytes(getattr(pipe, part))
    assert 1e-4 < distance(sample(four_bits), exact) < 0.3
    assert heard[0].startswith("the image transformer") and heard[0].endswith("in nf4") and "in nf4" in heard[3]


def test_int8_is_nearer_than_nf4(catalogue, exact):
    pipe, _ = loaded(catalogue, preset="24gb", transformer=INT8)
    assert type(pipe.transformer.single_transformer_blocks[0].proj_mlp).__name__ == "Linear8bitLt"
    assert 1e-6 < distance(sample(pipe), exact) < 0.05


@pytest.mark.parametrize("keeps", [Keeps.ALL_BUT_T5, Keeps.ONE_PART, Keeps.BLOCKS])
def test_whatever_stays_on_the_device_the_pixels_are_the_same(catalogue, exact, keeps):
    pipe, _ = loaded(catalogue, preset="x", keeps=keeps)
    assert torch.equal(sample(pipe), exact)
    assert torch.equal(sample(pipe), exact)


@pytest.mark.parametrize(
    ("format", "keeps"), [(NF4, Keeps.ALL), (NF4, Keeps.ONE_PART), (INT8, Keeps.ALL), ("whole", Keeps.BLOCKS)]
)
def test_a_lora_acts_on_weights_in_few_bits_and_comes_off_again(catalogue, pipe, tmp_path, format, keeps):
    tensors = diffusers_file(layer_sizes(pipe.transformer))
    path = write(tmp_path / "a.safetensors", tensors)
    few, _ = loaded(catalogue, preset="x", transformer=format, keeps=keeps)
    bare = sample(few)
    assert wear(few, [Adapter.of_file(path)]) == len(tensors)
    adapted = sample(few)
    whole, _ = loaded(catalogue)
    wear(whole, [Adapter.of_file(path)])
    expected = sample(whole)
    assert distance(adapted, bare) > 3 * distance(adapted, expected)
    wear(few, [])
    assert torch.allclose(sample(few), bare, atol=1e-6)


def test_fp8_takes_a_config_object_for_the_layers_of_the_blocks_alone(catalogue, monkeypatch):
    """torchao is not installed: a stand-in hears what it would be told. Its names as text are gone."""
    told = []

    class Float8WeightOnlyConfig:
        pass

    def quantize_(block, config, filter_fn, device):
        told.append((config, [name for name, layer in block.named_modules() if filter_fn(layer, name)], device))

    library = types.ModuleType("torchao.quantization")
    library.Float8WeightOnlyConfig, library.quantize_ = Float8WeightOnlyConfig, quantize_
    monkeypatch.setitem(sys.modules, "torchao", types.ModuleType("torchao"))
    monkeypatch.setitem(sys.modules, "torchao.quantization", library)
    transformer = loaded(catalogue)[0].transformer
    num_blocks = len(transformer.transformer_blocks) + len(transformer.single_transformer_blocks)
    assert quantise(transformer, FP8, CPU) == sum(len(names) for _, names, _ in told) == 20
    assert len(told) == num_blocks
    assert all(type(config) is Float8WeightOnlyConfig and device == CPU for config, _, device in told)


@pytest.mark.parametrize(("format", "library"), [(FP8, "torchao"), (NF4, "bitsandbytes"), (INT8, "bitsandbytes")])
def test_a_library_that_is_not_installed_is_named(pipe, monkeypatch, format, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ModelNotAvailable, match=f"need {library}, which is not installed: pip install {library}"):
        quantise(pipe.transformer, format, CPU)


def test_on_a_cpu_presets_play_no_part_and_it_is_said(catalogue, caplog):
    caplog.set_level("INFO")
    generator = Generator(catalogue, device="cpu", memory="12gb")
    generator.warm_up("nano")
    assert "memory presets are for CUDA GPUs" in caplog.text
    assert generator._loaded.precision == ""


def test_the_record_of_an_image_names_the_format(catalogue, saved_nano, monkeypatch):
    from dermaflux.domain.records import GeneratedImage, SamplingRequest
    from dermaflux.generation import sampler

    plan = Plan(preset="24gb", transformer=INT8, t5=NF4)
    monkeypatch.setattr(sampler, "plan_for", lambda *_: replace(plan))  # as a GPU of 24 GB would have it
    generator, heard = Generator(catalogue, device="cpu"), []
    request = SamplingRequest(caption="a mole", num_steps=1, size_px=64)
    expected = generator.identity(request)
    stream = generator.stream(request, on_load=lambda *news: heard.append(news[0]))
    made = next(event for event in stream if isinstance(event, GeneratedImage))
    assert made.identity.precision == "int8, T5 nf4" and made.identity == expected == generator.identity(request)
    assert any("memory preset 24gb" in doing for doing in heard)
