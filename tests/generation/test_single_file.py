"""One checkpoint in Black Forest Labs' names, with the other parts from a pipeline beside it."""

import json
import shutil

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers
from safetensors.torch import load_file, save_file

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, SamplingRequest
from dermaflux.generation import Generator, ModelCatalogue, choose_placement, load_pipeline
from dermaflux.generation.bfl_names import (
    DOUBLE_LAYERS,
    DOUBLE_NORMS,
    OUTSIDE_LAYERS,
    SINGLE_LAYERS,
    SINGLE_NORMS,
)
from dermaflux.generation.model_files import locate
from dermaflux.generation.single_file import load_single_file, place_of

COMFY = "model.diffusion_model."


def bfl_names(*, guided: bool):
    """Every tensor that a checkpoint with one double and one single block holds."""
    kinds = (
        ("double_blocks.0.", DOUBLE_LAYERS, DOUBLE_NORMS),
        ("single_blocks.0.", SINGLE_LAYERS, SINGLE_NORMS),
        ("", {name: to for name, to in OUTSIDE_LAYERS.items() if guided or "guidance" not in name}, {}),
    )
    for beginning, layers, norms in kinds:
        yield from (f"{beginning}{layer}.{tensor}" for layer in layers for tensor in ("weight", "bias"))
        yield from (f"{beginning}{norm}.scale" for norm in norms)


def in_bfl_names(state, *, guided: bool):
    """A transformer's weights as BFL would have written them: fused, with shift before scale."""
    fused = {}
    for name in bfl_names(guided=guided):
        place = place_of(name)
        tensor = torch.cat([state[target] for target in place.targets])
        fused[name] = torch.cat(tensor.chunk(2)[::-1]) if place.swapped else tensor
    return fused


@pytest.fixture
def checkpoint(saved_foreign, tmp_path):
    """A guided transformer as one file beside a copy of its pipeline, which holds no transformer but its settings."""
    shutil.copytree(saved_foreign, tmp_path / "parts")
    weights = tmp_path / "parts" / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = in_bfl_names(load_file(weights), guided=True)
    weights.unlink()
    path = tmp_path / "tuned.safetensors"
    save_file(tensors, path)
    (tmp_path / "tuned.json").write_text(json.dumps({"pipeline": "parts", "licence": "test only"}))
    return path


def velocity(transformer):
    config = transformer.config
    torch.manual_seed(0)
    with torch.no_grad():
        return transformer(
            hidden_states=torch.randn(1, 16, config.in_channels),
            encoder_hidden_states=torch.randn(1, 8, config.joint_attention_dim),
            pooled_projections=torch.randn(1, config.pooled_projection_dim),
            timestep=torch.tensor([0.3]),
            guidance=torch.tensor([3.5]),
            img_ids=torch.zeros(16, 3),
            txt_ids=torch.zeros(8, 3),
            return_dict=False,
        )[0]


def rewritten(path, change):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


@pytest.mark.parametrize("prefix", ["", COMFY])
def test_a_checkpoint_gives_the_velocity_of_the_pipeline_it_was_made_of(checkpoint, saved_foreign, prefix):
    save_file({f"{prefix}{name}": tensor for name, tensor in load_file(checkpoint).items()}, checkpoint)
    entry = ModelCatalogue(checkpoint.parent).model("tuned")
    pipe = load_pipeline(entry, choose_placement("cpu"))
    whole = load_pipeline(ModelCatalogue().model(str(saved_foreign)), choose_placement("cpu"))
    assert (velocity(pipe.transformer) - velocity(whole.transformer)).abs().max() < 1e-5
    assert not pipe.transformer.training and not any(p.requires_grad for p in pipe.transformer.parameters())
    assert pipe.transformer.config.guidance_embeds


def test_the_names_lead_where_diffusers_own_converter_leads_them():
    """Diffusers converts checkpoints as wide as FLUX.1 alone, so: as wide, and of one column."""
    rows, inner = {"qkv": 3, "linear1": 7, "mlp.0": 4, "lin": 6, "modulation.lin": 3, "adaLN_modulation.1": 2}, 3072
    generator = torch.Generator().manual_seed(0)
    checkpoint = {}
    for name in bfl_names(guided=True):
        layer = name.rsplit(".", 1)[0]
        num_rows = inner * next((times for end, times in reversed(rows.items()) if layer.endswith(end)), 1)
        shape = (num_rows, 1) if name.endswith("weight") else (num_rows,)
        checkpoint[name] = torch.randn(shape, generator=generator)
    converted = {}
    for name, tensor in checkpoint.items():
        place = place_of(name)
        swapped = torch.cat(tensor.chunk(2)[::-1]) if place.swapped else tensor
        fourfold = [4 * inner if ".proj_mlp." in target else 0 for target in place.targets]
        sizes = [size or (len(swapped) - sum(fourfold)) // fourfold.count(0) for size in fourfold]
        converted |= dict(zip(place.targets, swapped.split(sizes), strict=True))
    expected = convert_flux_transformer_checkpoint_to_diffusers(dict(checkpoint))
    assert converted.keys() == expected.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in expected.items())


def test_a_checkpoint_is_drawn_with_and_named_by_its_own_weights(checkpoint, saved_foreign):
    catalogue = ModelCatalogue(checkpoint.parent)
    assert [entry.name for entry in catalogue.models()][-2:] == ["parts", "tuned"]
    request = SamplingRequest(caption="a mole", model="tuned", num_steps=1, size_px=64)
    generator = Generator(catalogue, device="cpu")
    made = next(event for event in generator.stream(request) if isinstance(event, GeneratedImage))
    assert made.identity == generator.identity(request)
    assert (made.identity.model, made.identity.licence) == ("tuned", "test only")
    before = locate(catalogue.model("tuned")).sha256()
    rewritten(checkpoint, lambda tensors: tensors["img_in.weight"].mul_(2))
    assert locate(catalogue.model("tuned")).sha256() != before


def test_how_a_checkpoint_is_named(checkpoint, saved_foreign):
    catalogue = ModelCatalogue(checkpoint.parent)
    entry = catalogue.model(str(checkpoint))
    assert (entry.source, entry.transformer_file) == (str(checkpoint.parent / "parts"), str(checkpoint))
    assert (entry.distilled_guidance, entry.guidance_scale, entry.num_steps) == (True, 3.5, 20)
    inside = checkpoint.rename(checkpoint.parent / "parts" / "flux1-dev.safetensors")
    entry = catalogue.model(str(inside))
    assert entry.source == str(checkpoint.parent / "parts") and "not stated" in entry.licence
    outside = inside.rename(checkpoint.parent / "alone.safetensors")
    with pytest.raises(ModelNotAvailable, match=r'transformer alone.*alone\.json, as \{"pipeline": "flux-dev"\}'):
        catalogue.model("alone")
    (checkpoint.parent / "alone.json").write_text('{"pipeline": "flux-dev"}')
    entry = catalogue.model("alone")
    assert entry.is_hub and entry.source == "black-forest-labs/FLUX.1-dev" and entry.revision
    (checkpoint.parent / "alone.json").write_text('{"pipeline": "alone"}')
    with pytest.raises(ModelNotAvailable, match="'alone' is not known"):
        catalogue.model(str(outside))
    assert "alone" not in [entry.name for entry in catalogue.models()]
    (checkpoint.parent / "alone.json").write_text('{"pipelin": "flux-dev"}')
    with pytest.raises(ModelNotAvailable, match="'pipelin' is unknown"):
        catalogue.model("alone")


def test_a_checkpoint_that_is_not_whole_is_refused_by_its_names(checkpoint):
    config = checkpoint.parent / "parts" / "transformer" / "config.json"
    whole = load_file(checkpoint)

    def refusal():
        with pytest.raises(ModelNotAvailable) as caught:
            load_single_file(checkpoint, config, torch.float32)
        return str(caught.value)

    rewritten(checkpoint, lambda tensors: tensors.pop("double_blocks.0.txt_attn.qkv.bias"))
    assert "3 weights are missing, the first transformer_blocks.0.attn.add_q_proj.bias" in refusal()
    save_file(whole | {"single_blocks.0.linear3.weight": torch.ones(2)}, checkpoint)
    assert "1 weights are left over, the first single_blocks.0.linear3.weight" in refusal()
    save_file(whole | {name.replace("blocks.0", "blocks.1"): t.clone() for name, t in whole.items()}, checkpoint)
    assert "are left over, the first double_blocks.1." in refusal()
    save_file(whole | {"img_in.weight": torch.ones(whole["img_in.weight"].shape[0], 3)}, checkpoint)
    assert "of another size, the first img_in.weight is (64, 3)" in refusal()
    save_file(whole, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    assert "damaged" in refusal()


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8])
def test_number_formats_that_are_not_read_are_refused_in_words(checkpoint, dtype):
    rewritten(checkpoint, lambda tensors: tensors.update({"txt_in.weight": tensors["txt_in.weight"].to(dtype)}))
    kind = {torch.float8_e4m3fn: "F8_E4M3", torch.int8: "I8"}[dtype]
    with pytest.raises(ModelNotAvailable, match=rf"txt_in\.weight in {kind}, which is not read.*in bf16"):
        ModelCatalogue(checkpoint.parent).model("tuned")


def test_a_file_of_other_names_is_no_checkpoint(checkpoint):
    save_file({"lora_unet_x.weight": torch.ones(2)}, checkpoint)
    with pytest.raises(ModelNotAvailable, match="holds no Flux transformer"):
        ModelCatalogue(checkpoint.parent).model("tuned")
    checkpoint.write_bytes(b"not safetensors")
    with pytest.raises(ModelNotAvailable, match="damaged or not safetensors"):
        ModelCatalogue(checkpoint.parent).model("tuned")
