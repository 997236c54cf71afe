"""The ways of drawing faster draw the same, or say what they change; and each trap on the way is kept out of."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers.hooks import HookRegistry
from PIL import Image
from safetensors.torch import save_file

from dermaflux.domain.errors import AdapterNotApplied, ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview
from dermaflux.domain.speed import NO_SPEED, Speed, parse_speed
from dermaflux.generation import Generator, choose_placement, load_pipeline
from dermaflux.generation.adapters import Adapter, keep_a_place_for_adapters, layer_sizes, wear
from dermaflux.generation.attention import usable_attention
from dermaflux.generation.denoising import denoise, draw_noise
from dermaflux.generation.guidance import Guidance, Push
from dermaflux.generation.memory import Keeps, Plan
from dermaflux.generation.prompts import PromptEncoder
from dermaflux.generation.speed import check_together, is_quantised, prepare, recorded, replay, suit
from dermaflux.provenance import expected_of, from_generated

CAPTION = "a dermoscopic image of a melanoma with dark brown and red colours"
REQUEST = SamplingRequest(caption=CAPTION, num_steps=3, seed=5, guidance_scale=1.0)
Q, K = "transformer_blocks.0.attn.to_q", "single_transformer_blocks.0.attn.to_k"


@pytest.fixture(autouse=True)
def _nothing_compiled_is_left():
    yield
    torch._dynamo.reset()


@pytest.fixture
def fresh(catalogue):
    return load_pipeline(catalogue.model("nano"), choose_placement("cpu"))


@pytest.fixture(scope="session")
def sizes(pipe):
    return layer_sizes(pipe.transformer)


@pytest.fixture(scope="session")
def lora(sizes, tmp_path_factory):
    """Writes a loud random LoRA on some layers: `lora(name, layers, rank)` is its file."""

    def write(name, layers=(Q, K), rank=4, seed=3, **facts):
        generator, tensors = torch.Generator().manual_seed(seed), {}
        for layer in layers:
            rows, columns = sizes[layer]
            tensors[f"transformer.{layer}.lora_A.weight"] = torch.randn(rank, columns, generator=generator) * 0.5
            tensors[f"transformer.{layer}.lora_B.weight"] = torch.randn(rows, rank, generator=generator) * 0.5
        path = tmp_path_factory.mktemp("loras") / f"{name}.safetensors"
        save_file(tensors, path, {f"dermaflux.{key}": str(value) for key, value in facts.items()} | {"format": "pt"})
        return path

    return write


def sample(pipe, num_steps=2, seed=1, guidance=None, size_px=64):
    guidance = guidance or Guidance(caption=PromptEncoder(pipe, 24).encode(CAPTION), empty=None, scale=1.0)
    return list(denoise(pipe, guidance, draw_noise(pipe, seed, size_px), size_px, num_steps))[-1].latents


def images(generator, request):
    return [event for event in generator.stream(request) if isinstance(event, GeneratedImage)]


def pixels(generator, request):
    return np.asarray(images(generator, request)[0].image, dtype=float)


def calls_of(module):
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_a_lora_acts_in_full_where_projections_are_fused(catalogue, generator, lora):
    fused = Generator(catalogue, device="cpu", speed=Speed(fuse_qkv=True))
    adapted = replace(REQUEST, adapter=str(lora("q-and-k")))
    bare, expected = pixels(generator, REQUEST), pixels(generator, adapted)
    assert np.abs(pixels(fused, REQUEST) - bare).max() <= 1
    assert fused._loaded.pipe.transformer.transformer_blocks[0].attn.fused_projections
    assert np.array_equal(pixels(fused, adapted), expected) and np.abs(expected - bare).max() > 5
    assert fused.identity(REQUEST).speed == "fuse_qkv" and fused.identity(adapted).speed == ""
    assert np.abs(pixels(fused, REQUEST) - bare).max() <= 1, "and it is fused again without it"


def test_fusing_beside_a_lora_would_silence_it_so_it_is_refused(fresh, lora):
    base, file = sample(fresh), Adapter.of_file(lora("q"))
    wear(fresh, [file])
    assert (sample(fresh) - base).abs().max() > 0.01
    fresh.transformer.fuse_qkv_projections()  # the trap: diffusers says nothing
    assert torch.allclose(sample(fresh), base, atol=1e-4)
    with pytest.raises(AdapterNotApplied, match="fused"):
        wear(fresh, [file])


@pytest.mark.parametrize(("cache", "most"), [({"first_block_cache": 1.0}, 3), ({"taylorseer": 3}, 6)])
def test_a_cache_of_steps_skips_blocks_and_forgets_the_sample_before(fresh, cache, most):
    guidance = Guidance(caption=PromptEncoder(fresh, 24).encode(CAPTION), empty=None, scale=1.0)
    exact = sample(fresh, 8, guidance=guidance)
    prepare(fresh, Speed(**cache))
    for block in fresh.transformer.transformer_blocks:  # however much changes, so that what is left over is taken up
        if hook := HookRegistry.check_if_exists_or_initialize(block).get_hook("fbc_leader_block_hook"):
            hook.threshold = 1e9
    other = replace(guidance, caption=PromptEncoder(fresh, 24).encode("a benign nevus of light brown colour"))
    stopped = denoise(fresh, other, draw_noise(fresh, 2, 64), 64, 8)
    for _ in range(3):
        next(stopped)
    stopped.close()
    calls = calls_of(fresh.transformer.single_transformer_blocks[0].attn.to_q)
    after_another = sample(fresh, 8, guidance=guidance)
    assert 1 <= len(calls) <= most < 8
    fresh.transformer._reset_stateful_cache()
    assert torch.equal(sample(fresh, 8, guidance=guidance), after_another)
    assert not torch.equal(after_another, exact)


def test_a_cache_answers_each_text_from_its_own_steps(fresh):
    encode = PromptEncoder(fresh, 24).encode
    texts = ("a benign nevus", "black and white", "on the back of a woman")
    pushes = tuple(Push(away_from=encode(text), scale=1.0) for text in texts)
    guidance = Guidance(caption=encode(CAPTION), empty=None, scale=1.0, pushes=pushes)
    prepare(fresh, Speed(first_block_cache=1.0))
    calls = calls_of(fresh.transformer.single_transformer_blocks[0].attn.to_q)
    sample(fresh, 6, guidance=guidance)
    assert len(calls) == 3, "one whole step for each of three texts"


@pytest.mark.slow
def test_caches_break_whole_graphs_so_blocks_are_compiled_in_parts(fresh, catalogue):
    cached = Speed(first_block_cache=0.3)
    prepare(fresh, cached)
    expected = sample(fresh, 4)
    whole = load_pipeline(catalogue.model("nano"), choose_placement("cpu"))
    prepare(whole, cached)
    whole.transformer.compile_repeated_blocks(fullgraph=True, backend="eager")
    with pytest.raises(torch._dynamo.exc.TorchDynamoException):
        sample(whole, 4)
    torch._dynamo.reset()
    parts = load_pipeline(catalogue.model("nano"), choose_placement("cpu"))
    prepare(parts, replace(cached, compile=True), backend="eager")
    assert torch.allclose(sample(parts, 4), expected, atol=1e-5)


def test_in_img2img_the_caches_raise_which_is_why_it_is_not_offered_with_them(saved_foreign, catalogue):
    from diffusers import FluxImg2ImgPipeline

    pipe = load_pipeline(catalogue.model(str(saved_foreign)), choose_placement("cpu"))
    prepare(pipe, Speed(first_block_cache=0.1))
    other = FluxImg2ImgPipeline(**pipe.components)
    other.set_progress_bar_config(disable=True)
    with pytest.raises(ValueError, match="No cache context is set"):
        other(CAPTION, image=Image.new("RGB", (64, 64)), height=64, width=64, strength=0.9, num_inference_steps=2)


def counting(graphs):
    def backend(graph, _inputs):
        graphs.append(graph)
        return graph.forward

    return backend


@pytest.mark.slow
def test_adapters_are_exchanged_without_compiling_anything_again(fresh, catalogue, lora):
    one, two = (Adapter.of_file(lora(name, layers, rank, rank)) for name, layers, rank in
                (("a", (Q, K), 4), ("b", (K, "transformer_blocks.0.ff.net.2"), 3)))  # fmt: skip
    graphs = []
    prepare(fresh, Speed(compile=True, hotswap=8), backend=counting(graphs))
    plain = load_pipeline(catalogue.model("nano"), choose_placement("cpu"))
    assert torch.allclose(sample(fresh), sample(plain), atol=1e-5)
    compiled = len(graphs)
    assert compiled
    for blend in ([one], [two], [replace(one, weight=0.4), replace(two, weight=-1.5)], [], [two]):
        assert wear(fresh, blend) == wear(plain, blend)
        suit(fresh, Speed(compile=True, hotswap=8), with_adapters=bool(blend), exchanged=True)
        assert torch.allclose(sample(fresh), sample(plain), atol=1e-4), blend
    assert len(graphs) == compiled


def test_the_place_is_kept_before_the_first_adapter_or_not_at_all(fresh, lora):
    wear(fresh, [Adapter.of_file(lora("a"))])
    with pytest.raises(RuntimeError, match="before loading the first adapter"):
        keep_a_place_for_adapters(fresh.transformer, 8)


def test_what_does_not_fit_the_place_is_refused_and_leaves_it_empty(fresh, lora, pipe):
    prepare(fresh, Speed(hotswap=4))
    base, good = sample(fresh), Adapter.of_file(lora("a"))
    wear(fresh, [good])
    assert (sample(fresh) - base).abs().max() > 0.01
    with pytest.raises(AdapterNotApplied, match=r"have rank 8 on .*hotswap=8"):
        wear(fresh, [good, Adapter.of_file(lora("b", seed=4))])
    assert torch.equal(sample(fresh), base)
    with pytest.raises(AdapterNotApplied, match="x_embedder, but hotswap keeps places in the blocks"):
        wear(fresh, [Adapter.of_file(lora("c", ("x_embedder",)))])


@pytest.mark.slow
def test_without_a_place_many_adapters_still_compile(fresh, lora):
    speed, layers = Speed(compile=True), ((Q,), (K,), (Q, K), ("transformer_blocks.0.ff.net.2",))
    files = [Adapter.of_file(lora(f"a{number}", some)) for number, some in enumerate(layers)]
    prepare(fresh, speed, backend="eager")
    with torch._dynamo.config.patch(recompile_limit=2):
        for weight in (0.1, 0.2, 0.3, 0.4):
            wear(fresh, [replace(files[0], weight=weight)])
            sample(fresh, 1)
        for file in files:
            wear(fresh, [file])
            suit(fresh, speed, with_adapters=True, exchanged=True)
            sample(fresh, 1)


@pytest.mark.slow
def test_a_replayed_graph_gives_what_the_network_gives_and_keeps_it(fresh):
    expected = sample(fresh, 3)
    replay(fresh.transformer, backend="eager")
    assert torch.allclose(sample(fresh, 3), expected, atol=1e-6)
    with pytest.raises(ModelNotAvailable, match="cuda_graphs needs a CUDA device"):
        prepare(fresh, Speed(cuda_graphs=True))


@pytest.mark.long
@pytest.mark.slow
def test_compiled_for_real_the_pictures_are_the_same(catalogue, generator):
    compiled = Generator(catalogue, device="cpu", speed=Speed(compile=True, channels_last=True))
    made = images(compiled, REQUEST)[0]
    assert np.abs(np.asarray(made.image, dtype=float) - pixels(generator, REQUEST)).max() <= 1
    assert made.identity.speed == "channels_last,compile" == compiled.identity(REQUEST).speed
    larger = replace(REQUEST, size_px=96)
    assert np.abs(pixels(compiled, larger) - pixels(generator, larger)).max() <= 1


@pytest.mark.slow
def test_a_vae_with_channels_last_decodes_the_same(saved_foreign, catalogue):
    request = replace(REQUEST, model=str(saved_foreign), size_px=64)
    plain, fast = (Generator(catalogue, device="cpu", speed=speed) for speed in (NO_SPEED, Speed(channels_last=True)))
    assert np.abs(pixels(fast, request) - pixels(plain, request)).max() <= 1
    weight = fast._loaded.pipe.vae.decoder.conv_in.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_attention_falls_back_with_a_word(caplog):
    usable_attention.cache_clear()
    with caplog.at_level(logging.WARNING, "dermaflux.generation.attention"):
        assert usable_attention("flash3", torch.device("cpu")) == "native"
    assert "flash3 cannot be used on cpu: it needs a CUDA device" in caplog.text
    assert recorded(Speed(attention="auto", compile=True), torch.device("cpu"), with_adapters=False) == "compile"


def test_fp8_without_torchao_is_refused_in_words_before_anything_changes(fresh):
    with pytest.raises(ModelNotAvailable, match="pip install torchao"):
        prepare(fresh, Speed(fp8=True))
    names = {name.split(".", 2)[2] for name, layer in fresh.transformer.named_modules() if is_quantised(layer, name)}
    assert {"attn.to_q", "attn.to_add_out", "ff.net.0.proj", "ff_context.net.2", "proj_mlp", "proj_out"} <= names
    assert not any("norm" in name for name in names)


def test_images_drawn_together_are_those_drawn_alone_and_say_so(catalogue, generator):
    together = Generator(catalogue, device="cpu", speed=Speed(batch=2))
    request = replace(REQUEST, num_images=3, guidance_scale=2.0)
    events = list(together.stream(request))
    places = [(e.image_index, e.step) for e in events if isinstance(e, StepPreview)]
    assert places == [(i, s) for s in (1, 2, 3) for i in (0, 1)] + [(2, 1), (2, 2), (2, 3)]
    made, alone = [[e for e in some if isinstance(e, GeneratedImage)] for some in (events, generator.stream(request))]
    for one, other in zip(made, alone, strict=True):
        assert (one.image_index, one.seed) == (other.image_index, other.seed)
        assert np.abs(np.asarray(one.image, dtype=float) - np.asarray(other.image)).max() <= 1
    assert [from_generated(one).batch for one in made] == [2, 2, None]
    assert [from_generated(one).batch for one in alone] == [None] * 3


def test_what_was_done_is_foretold_and_keeps_records_apart(catalogue, generator):
    cached = Generator(catalogue, device="cpu", speed=Speed(first_block_cache=0.1))
    request = catalogue.resolve(REQUEST)
    (made,) = images(cached, request)
    assert made.identity == cached.identity(request) != generator.identity(request)
    assert from_generated(made).speed == "first_block_cache=0.1"
    foretold = expected_of(request, cached.identity(request), request.seed)
    assert foretold.drawing_sha256 == from_generated(made).drawing_sha256
    assert foretold.drawing_sha256 != expected_of(request, generator.identity(request), request.seed).drawing_sha256


def test_a_lora_is_read_with_the_text_length_it_learned_with(catalogue, lora):
    one = Generator(catalogue, device="cpu")
    stated, silent = (replace(REQUEST, adapter=str(lora("a", **facts))) for facts in ({"text_tokens": 6}, {}))
    short = pixels(one, stated)
    assert one._loaded.encoder.num_tokens == 6
    assert one._loaded.encoder.encode(CAPTION).tokens.shape[1] == 6
    usual = pixels(one, silent)
    assert one._loaded.encoder.num_tokens == catalogue.model("nano").text_tokens == 24
    assert not np.array_equal(short, usual)


def test_captions_are_remembered_as_many_as_wanted(catalogue):
    one = Generator.load("nano", catalogue=catalogue, device="cpu", speed=Speed(prompt_cache=1))
    calls = calls_of(one._loaded.pipe.text_encoder_2)
    for caption in (CAPTION, CAPTION, "a nevus", CAPTION):
        pixels(one, replace(REQUEST, caption=caption, num_steps=1))
    assert len(calls) == 3


def test_a_lora_on_a_text_encoder_is_refused_so_that_a_caption_names_its_embedding(fresh, tmp_path):
    key = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
    halves = {f"{key}.lora_A.weight": torch.ones(1, 64), f"{key}.lora_B.weight": torch.ones(64, 1)}
    save_file(halves, tmp_path / "text.safetensors", {"format": "pt"})
    with pytest.raises(AdapterNotApplied, match="no such layer"):
        wear(fresh, [Adapter.of_file(tmp_path / "text.safetensors")])


@pytest.mark.parametrize(
    ("option", "plan"),
    [
        ("fp8", Plan(preset="24gb", transformer="nf4", t5="nf4")),
        ("fuse_qkv", Plan(preset="24gb", transformer="int8", t5="nf4")),
        ("hotswap", Plan(preset="8gb", keeps=Keeps.BLOCKS)),
        ("compile", Plan(preset="8gb", keeps=Keeps.BLOCKS)),
        ("cuda_graphs", Plan(preset="12gb", keeps=Keeps.ONE_PART)),
    ],
)
def test_what_a_memory_preset_rules_out_is_refused_before_loading(option, plan):
    check_together(Plan(preset="80gb"), parse_speed(option))
    check_together(plan, parse_speed("attention,channels_last,batch=2"))
    with pytest.raises(ModelNotAvailable, match=f"{option} does not go with the memory preset {plan.preset}"):
        check_together(plan, parse_speed(option))
