import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dermaflux.domain.errors import AdapterNotApplied, InvalidRequest, ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, SamplingRequest
from dermaflux.generation import Generator, choose_placement, load_pipeline
from dermaflux.generation.adapters import Adapter, layer_sizes, wear, worn
from dermaflux.generation.denoising import denoise, draw_noise
from dermaflux.generation.guidance import Guidance
from dermaflux.generation.prompts import PromptEncoder

CAPTION = "a dermoscopic image of a melanoma with dark brown and red colours"
RANK = 4
LAYERS = (
    "transformer_blocks.0.attn.to_q",
    "transformer_blocks.0.ff.net.0.proj",
    "single_transformer_blocks.0.attn.to_v",
    "single_transformer_blocks.0.proj_mlp",
    "single_transformer_blocks.0.proj_out",
)


def diffusers_file(sizes, layers=LAYERS, prefix="transformer."):
    """A random LoRA as diffusers writes it, loud enough to change pixels."""
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for name in layers:
        rows, columns = sizes[name]
        tensors[f"{prefix}{name}.lora_A.weight"] = (
            torch.randn(RANK, columns, generator=generator) * 0.2
        )
        tensors[f"{prefix}{name}.lora_B.weight"] = (
            torch.randn(rows, RANK, generator=generator) * 0.2
        )
    return tensors


def write(path, tensors, metadata=None):
    save_file(
        {key: tensor.contiguous() for key, tensor in tensors.items()},
        path,
        metadata or {"format": "pt"},
    )
    return path


def fresh(catalogue):
    return load_pipeline(catalogue.model("nano"), choose_placement("cpu"))


def sample(pipe) -> torch.Tensor:
    guidance = Guidance(caption=PromptEncoder(pipe, 24).encode(CAPTION), empty=None, scale=1.0)
    return list(denoise(pipe, guidance, draw_noise(pipe, 1, 64), 64, 2))[-1].latents


def merge(pipe, updates):
    """The same by hand: W + scale * B A."""
    with torch.no_grad():
        for name, update in updates.items():
            pipe.transformer.get_submodule(name).weight.add_(update)
    return pipe


def is_clean(pipe) -> bool:
    return not any("lora" in name for name, _ in pipe.transformer.named_parameters())


def apply_adapter(pipe, path, weight=1.0):
    return wear(pipe, [Adapter.of_file(path, weight)])


@pytest.fixture(scope="session")
def sizes(pipe):
    return layer_sizes(pipe.transformer)


@pytest.mark.parametrize("prefix", ["transformer.", "base_model.model.", ""])
def test_a_diffusers_or_peft_file_equals_merging_by_hand(catalogue, sizes, tmp_path, prefix):
    tensors = diffusers_file(sizes, prefix=prefix)
    pipe = fresh(catalogue)
    base = sample(pipe)
    assert apply_adapter(pipe, write(tmp_path / "a.safetensors", tensors), weight=0.7) == 2 * len(
        LAYERS
    )
    updates = {
        name: 0.7
        * tensors[f"{prefix}{name}.lora_B.weight"]
        @ tensors[f"{prefix}{name}.lora_A.weight"]
        for name in LAYERS
    }
    adapted = sample(pipe)
    assert torch.allclose(adapted, sample(merge(fresh(catalogue), updates)), atol=1e-5)
    assert (adapted - base).abs().max() > 1e-2


def kohya_file(sizes):
    """Every kind of kohya module of one double and one single block, and the fused layers behind them."""
    generator = torch.Generator().manual_seed(4)
    double, single = "transformer_blocks.0.", "single_transformer_blocks.0."
    fused = {
        "lora_unet_double_blocks_0_img_attn_qkv": [double + f"attn.to_{x}" for x in "qkv"],
        "lora_unet_double_blocks_0_txt_attn_qkv": [double + f"attn.add_{x}_proj" for x in "qkv"],
        "lora_unet_double_blocks_0_img_attn_proj": [double + "attn.to_out.0"],
        "lora_unet_double_blocks_0_txt_attn_proj": [double + "attn.to_add_out"],
        "lora_unet_double_blocks_0_img_mlp_0": [double + "ff.net.0.proj"],
        "lora_unet_double_blocks_0_img_mlp_2": [double + "ff.net.2"],
        "lora_unet_double_blocks_0_txt_mlp_0": [double + "ff_context.net.0.proj"],
        "lora_unet_double_blocks_0_txt_mlp_2": [double + "ff_context.net.2"],
        "lora_unet_double_blocks_0_img_mod_lin": [double + "norm1.linear"],
        "lora_unet_double_blocks_0_txt_mod_lin": [double + "norm1_context.linear"],
        "lora_unet_single_blocks_0_linear1": [single + f"attn.to_{x}" for x in "qkv"]
        + [single + "proj_mlp"],
        "lora_unet_single_blocks_0_linear2": [single + "proj_out"],
        "lora_unet_single_blocks_0_modulation_lin": [single + "norm.linear"],
        "lora_unet_img_in": ["x_embedder"],
        "lora_unet_final_layer_linear": ["proj_out"],
        "lora_unet_final_layer_adaLN_modulation_1": ["norm_out.linear"],
    }
    tensors, updates = {}, {}
    for number, (module, layers) in enumerate(fused.items()):
        rows = [sizes[layer][0] for layer in layers]
        down = torch.randn(RANK, sizes[layers[0]][1], generator=generator) * 0.1
        up = torch.randn(sum(rows), RANK, generator=generator) * 0.1
        tensors |= {f"{module}.lora_down.weight": down, f"{module}.lora_up.weight": up}
        scale = 1.0  # every other module states its alpha, the rest mean alpha = rank
        if number % 2:
            tensors[f"{module}.alpha"] = torch.tensor(2.0)
            scale = 2.0 / RANK
        pieces = (scale * up @ down).split(rows)
        updates |= dict(zip(layers, pieces, strict=True))
    shift, scale = updates["norm_out.linear"].chunk(2)
    updates["norm_out.linear"] = torch.cat((scale, shift))
    return tensors, updates


def test_a_kohya_file_equals_merging_by_hand(catalogue, sizes, tmp_path):
    tensors, updates = kohya_file(sizes)
    pipe = fresh(catalogue)
    assert apply_adapter(pipe, write(tmp_path / "k.safetensors", tensors)) == 2 * len(updates)
    assert torch.allclose(sample(pipe), sample(merge(fresh(catalogue), updates)), atol=1e-5)


def test_alpha_is_found_beside_the_tensors_in_the_metadata_or_in_the_peft_config(
    catalogue, sizes, tmp_path
):
    plain = diffusers_file(sizes)
    scaled = {k: v * 2 if "lora_B" in k else v for k, v in plain.items()}
    expected = fresh(catalogue)
    apply_adapter(expected, write(tmp_path / "expected.safetensors", scaled))
    alphas = {f"transformer.{name}.alpha": torch.tensor(8.0) for name in LAYERS}
    metadata = {
        "lora_adapter_metadata": json.dumps({"transformer.r": RANK, "transformer.lora_alpha": 8})
    }
    (tmp_path / "peft").mkdir()
    (tmp_path / "peft" / "adapter_config.json").write_text(json.dumps({"r": RANK, "lora_alpha": 8}))
    files = [
        write(tmp_path / "alphas.safetensors", plain | alphas),
        write(tmp_path / "metadata.safetensors", plain, metadata),
        write(tmp_path / "peft" / "adapter_model.safetensors", plain),
    ]
    for file in files:
        pipe = fresh(catalogue)
        apply_adapter(pipe, file)
        assert torch.equal(sample(pipe), sample(expected)), file.name


def test_a_file_that_diffusers_itself_saved_applies(catalogue, tmp_path):
    from diffusers import FluxPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    trained = fresh(catalogue)
    trained.transformer.add_adapter(LoraConfig(r=2, lora_alpha=6, target_modules=["to_q", "to_k"]))
    with torch.no_grad():
        for name, parameter in trained.transformer.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(1)).mul_(0.3)
    FluxPipeline.save_lora_weights(
        tmp_path,
        transformer_lora_layers=get_peft_model_state_dict(trained.transformer),
        transformer_lora_adapter_metadata={"r": 2, "lora_alpha": 6},
    )
    pipe = fresh(catalogue)
    assert apply_adapter(pipe, tmp_path / "pytorch_lora_weights.safetensors") == 2 * 4
    assert torch.allclose(sample(pipe), sample(trained), atol=1e-5)


def test_a_wrong_prefix_is_refused_by_name(pipe, sizes, tmp_path):
    file = write(tmp_path / "a.safetensors", diffusers_file(sizes, prefix="unet."))
    with pytest.raises(
        AdapterNotApplied, match=r"5 of its parts.*first: unet\.single_transformer_blocks"
    ):
        apply_adapter(pipe, file)
    assert is_clean(pipe)


def test_half_of_the_keys_unknown_is_refused_not_half_applied(pipe, sizes, tmp_path):
    known, unknown = diffusers_file(sizes), diffusers_file(sizes, LAYERS[:3])
    other = {key.replace("blocks.0.", "blocks.7."): tensor for key, tensor in unknown.items()}
    file = write(tmp_path / "a.safetensors", known | other)
    with pytest.raises(
        AdapterNotApplied, match=r"3 of its parts.*blocks\.7\.attn\.to_q \(no such layer"
    ):
        apply_adapter(pipe, file)
    assert is_clean(pipe)


def test_a_missing_half_of_a_pair_is_refused(pipe, sizes, tmp_path):
    tensors = diffusers_file(sizes)
    del tensors[f"transformer.{LAYERS[1]}.lora_B.weight"]
    with pytest.raises(AdapterNotApplied, match=r"ff\.net\.0\.proj \(its up half is missing"):
        apply_adapter(pipe, write(tmp_path / "a.safetensors", tensors))
    assert is_clean(pipe)


def test_ranks_that_differ_within_a_pair_are_refused(pipe, sizes, tmp_path):
    tensors = diffusers_file(sizes)
    tensors[f"transformer.{LAYERS[0]}.lora_A.weight"] = torch.zeros(RANK + 1, sizes[LAYERS[0]][1])
    with pytest.raises(AdapterNotApplied, match="ranks differ"):
        apply_adapter(pipe, write(tmp_path / "a.safetensors", tensors))
    assert is_clean(pipe)


def test_an_adapter_of_a_larger_base_is_refused_and_does_not_widen_the_model(pipe, sizes, tmp_path):
    # diffusers would silently expand the layers to fit a "control" LoRA.
    wider = {name: (2 * rows, 2 * columns) for name, (rows, columns) in sizes.items()}
    file = write(tmp_path / "a.safetensors", diffusers_file(wider))
    with pytest.raises(
        AdapterNotApplied, match=r"made for a layer of \(128, 128\), this one is \(64, 64\)"
    ):
        apply_adapter(pipe, file)
    assert is_clean(pipe) and layer_sizes(pipe.transformer) == sizes


def test_files_that_hold_no_lora_are_refused(pipe, tmp_path):
    with pytest.raises(AdapterNotApplied, match="not a LoRA tensor"):
        apply_adapter(pipe, write(tmp_path / "a.safetensors", {"weight": torch.zeros(2)}))
    with pytest.raises(AdapterNotApplied, match="holds no LoRA tensors"):
        apply_adapter(pipe, write(tmp_path / "b.safetensors", {}))
    (tmp_path / "c.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ModelNotAvailable, match="cannot be read"):
        apply_adapter(pipe, tmp_path / "c.safetensors")


def test_weight_zero_and_removal_give_the_base_back(catalogue, sizes, tmp_path):
    pipe = fresh(catalogue)
    base = sample(pipe)
    apply_adapter(pipe, write(tmp_path / "a.safetensors", diffusers_file(sizes)))
    assert not torch.equal(sample(pipe), base)
    apply_adapter(pipe, tmp_path / "a.safetensors", weight=0.0)
    assert torch.allclose(sample(pipe), base, atol=1e-6)
    assert wear(pipe, []) == 0
    assert torch.equal(sample(pipe), base) and is_clean(pipe)
    assert not worn(pipe.transformer)


def test_a_second_adapter_takes_the_place_of_the_first(catalogue, sizes, tmp_path):
    first = write(tmp_path / "a.safetensors", diffusers_file(sizes))
    second = write(tmp_path / "b.safetensors", diffusers_file(sizes, LAYERS[2:4]))
    alone, after = fresh(catalogue), fresh(catalogue)
    apply_adapter(alone, second)
    apply_adapter(after, first)
    apply_adapter(after, second)
    assert torch.equal(sample(after), sample(alone))


def test_several_adapters_add_up_each_at_its_weight(catalogue, sizes, tmp_path):
    first = diffusers_file(sizes)
    second = {key: tensor.flip(0) for key, tensor in diffusers_file(sizes, LAYERS[2:4]).items()}
    files = [write(tmp_path / "a.safetensors", first), write(tmp_path / "b.safetensors", second)]
    pipe = fresh(catalogue)
    wear(pipe, [Adapter.of_file(files[0], 0.5), Adapter.of_file(files[1], -0.3)])
    updates = {name: torch.zeros(sizes[name]) for name in LAYERS}
    for tensors, weight in ((first, 0.5), (second, -0.3)):
        for name in LAYERS:
            if (key := f"transformer.{name}.lora_B.weight") in tensors:
                updates[name] += weight * tensors[key] @ tensors[key.replace("lora_B", "lora_A")]
    assert torch.allclose(sample(pipe), sample(merge(fresh(catalogue), updates)), atol=1e-5)


@pytest.mark.slow
def test_only_what_differs_is_loaded_or_taken_off(catalogue, sizes, tmp_path, monkeypatch):
    one, two = (
        Adapter.of_file(write(tmp_path / f"{name}.safetensors", diffusers_file(sizes, layers)))
        for name, layers in (("a", LAYERS), ("b", LAYERS[2:4]))
    )
    alone = fresh(catalogue)
    wear(alone, [two])
    pipe = fresh(catalogue)
    wear(pipe, [one, two])
    monkeypatch.setattr(pipe.transformer, "load_lora_adapter", None)  # nothing may be loaded from here on
    wear(pipe, [two])
    assert worn(pipe.transformer) == [two.slot]
    assert torch.equal(sample(pipe), sample(alone))
    wear(pipe, [replace(two, weight=0.0)])
    assert torch.allclose(sample(pipe), sample(fresh(catalogue)), atol=1e-6)


def test_a_broken_file_among_good_ones_leaves_the_pipeline_bare(catalogue, sizes, tmp_path):
    pipe = fresh(catalogue)
    base = sample(pipe)
    good = write(tmp_path / "a.safetensors", diffusers_file(sizes))
    wrong = write(tmp_path / "b.safetensors", diffusers_file(sizes, prefix="unet."))
    with pytest.raises(AdapterNotApplied, match=r"b\.safetensors"):
        wear(pipe, [Adapter.of_file(good), Adapter.of_file(wrong)])
    assert is_clean(pipe)
    assert torch.equal(sample(pipe), base)


def test_requests_change_the_adapter_and_record_it(catalogue, sizes, tmp_path):
    from dermaflux.generation.weights import sha256_of_file

    generator = Generator.load("nano", catalogue=catalogue, device="cpu")
    file = write(tmp_path / "rare.safetensors", diffusers_file(sizes))

    def run(**change) -> GeneratedImage:
        request = replace(SamplingRequest(caption=CAPTION, num_steps=2, seed=1), **change)
        return list(generator.stream(request))[-1]  # type: ignore[return-value]

    plain, adapted, half = run(), run(adapter=str(file)), run(adapter=str(file), adapter_weight=0.5)
    pixels = [np.asarray(made.image) for made in (plain, adapted, half)]
    assert not any(np.array_equal(pixels[a], pixels[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert np.array_equal(np.asarray(run(adapter=str(file)).image), pixels[1])
    assert adapted.identity.adapter == str(
        file
    ) and adapted.identity.adapter_sha256 == sha256_of_file(file)
    broken = write(tmp_path / "broken.safetensors", diffusers_file(sizes, prefix="unet."))
    with pytest.raises(AdapterNotApplied):
        run(adapter=str(broken))
    after = run()
    assert (
        np.array_equal(np.asarray(after.image), pixels[0]) and after.identity.adapter_sha256 is None
    )


def test_a_request_names_several_adapters_and_the_record_all_of_them(catalogue, sizes, tmp_path):
    from dermaflux.generation.weights import sha256_of_file

    generator = Generator.load("nano", catalogue=catalogue, device="cpu")
    files = [
        write(tmp_path / "a.safetensors", diffusers_file(sizes)),
        write(tmp_path / "b.safetensors", diffusers_file(sizes, LAYERS[2:4])),
    ]
    blend = f"{files[0]}:0.5,{files[1]}"
    request = SamplingRequest(caption=CAPTION, num_steps=2, seed=1, adapter=blend)
    made = list(generator.stream(request))[-1]
    one = list(generator.stream(replace(request, adapter=f"{files[0]}:0.5")))[-1]
    assert isinstance(made, GeneratedImage) and isinstance(one, GeneratedImage)
    assert made.identity.adapter == blend
    assert made.identity.adapter_sha256 == ",".join(map(sha256_of_file, files))
    assert not np.array_equal(np.asarray(made.image), np.asarray(one.image))
    copy = write(tmp_path / "copy.safetensors", diffusers_file(sizes))
    with pytest.raises(InvalidRequest, match="already under another name"):
        list(generator.stream(replace(request, adapter=f"{files[0]},{copy}")))
