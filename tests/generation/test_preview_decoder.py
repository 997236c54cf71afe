"""A tiny autoencoder (TAEF1's class, random weights) that shows the samples of a pipeline with another VAE."""

import json
import shutil
from itertools import count

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.records import SamplingRequest, StepPreview
from dermaflux.generation import Generator, ModelCatalogue, choose_placement, load_pipeline
from dermaflux.generation import preview_decoder as module
from dermaflux.generation.denoising import DenoisingStep, decode_all, draw_noise, unpack
from dermaflux.generation.latent_rgb import LatentRgbMap
from dermaflux.generation.memory import PREVIEW_PART, WHOLE, Keeps, Plan, Room, _on_gpu, choose_plan
from dermaflux.generation.model_files import locate
from dermaflux.generation.preview_decoder import PreviewDecoder, locate_preview_decoder
from dermaflux.generation.previews import MAX_DECODING_SHARE, Previewer
from dermaflux.generation.weight_sizes import PartSize

WEIGHTS = "diffusion_pytorch_model.safetensors"
GREY = LatentRgbMap(weight=torch.zeros(16, 3), bias=torch.zeros(3))


def tiny(**other):
    blocks = {f"{part}_block_out_channels": (8, 8, 8, 8) for part in ("encoder", "decoder")}
    counts = {f"num_{part}_blocks": (1, 1, 1, 1) for part in ("encoder", "decoder")}
    torch.manual_seed(5)
    return AutoencoderTiny(**(blocks | counts | {"latent_channels": 16} | other)).eval()


@pytest.fixture
def taef1(tmp_path):
    tiny().save_pretrained(tmp_path / "taef1")
    return tmp_path / "taef1"


@pytest.fixture(scope="module")
def flux(catalogue, saved_foreign):
    return load_pipeline(catalogue.model(str(saved_foreign)), choose_placement("cpu"))


def states(pipe, size_px, num_steps, *, num=1):
    for step in range(1, num_steps + 1):
        noise = torch.cat([draw_noise(pipe, 10 * step + index, size_px) for index in range(num)])
        yield DenoisingStep(step=step, num_steps=num_steps, latents=noise, clean=noise)


@pytest.mark.parametrize("scaling", [{}, {"scaling_factor": 0.4, "shift_factor": 0.3}])
def test_it_shows_what_a_pipeline_with_that_vae_would_decode(flux, scaling):
    vae = tiny(**scaling)
    previewer = Previewer(flux, lambda: GREY, PreviewDecoder(vae))
    state = next(states(flux, 64, 1, num=2))
    shown = previewer.pictures(state, 64, 0.1)
    # diffusers' own way with such a VAE: it takes the pipeline's place for it.
    own, flux.vae = flux.vae, vae
    try:
        expected = decode_all(flux, state.clean, 64)
    finally:
        flux.vae = own
    assert len({np.asarray(picture).tobytes() for picture in expected}) == 2
    for picture, wanted in zip(shown, expected, strict=True):
        assert (np.asarray(picture) == np.asarray(wanted)).all()


def test_large_samples_are_decoded_at_256_px_and_no_more(flux):
    vae, asked = tiny(), []
    decode = vae.decode
    vae.decode = lambda latents: (asked.append(tuple(latents.shape)), decode(latents))[1]
    previewer = Previewer(flux, lambda: GREY, PreviewDecoder(vae))
    (picture,) = previewer.pictures(next(states(flux, 512, 1)), 512, 0.1)
    assert picture.size == (256, 256) and asked == [(1, 16, 32, 32)]
    (picture,) = previewer.pictures(next(states(flux, 320, 1)), 320, 0.1)
    assert picture.size == (256, 256) and asked[1:] == [(1, 16, 32, 32)]
    latents = unpack(flux, next(states(flux, 512, 1)).clean, 512)
    halved = latents.unflatten(-1, (32, 2)).unflatten(-3, (32, 2)).mean((-1, -3))
    with torch.no_grad():
        expected = decode(halved).sample
    found = PreviewDecoder(vae).decode(latents, 256)
    assert torch.allclose(found, expected.clamp(-1, 1), atol=1e-5)


@pytest.mark.parametrize(("decoding_s", "shown_at"), [
    (0.0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    (2.9 * MAX_DECODING_SHARE, [1, 2, 5, 8, 10]),  # the first two are for measuring it
    (100.0, [1, 2, 10]),
])  # fmt: skip
def test_it_is_used_at_every_kth_step_and_the_last_as_its_time_allows(flux, decoding_s, shown_at):
    ticks = count()
    previewer = Previewer(flux, lambda: GREY, PreviewDecoder(tiny(), clock=lambda: next(ticks) * decoding_s))
    linear = [
        bool((np.asarray(previewer.pictures(state, 64, 1.0)[0]) == 128).all()) for state in states(flux, 64, 10)
    ]
    assert [step for step, is_linear in enumerate(linear, start=1) if not is_linear] == shown_at


def test_a_generator_shows_with_it_and_draws_the_same_pixels_by_the_same_weights(saved_foreign, saved_nano, taef1):
    request = SamplingRequest(caption="x", model=str(saved_foreign), num_steps=3, size_px=64, seed=2)
    plain = Generator(ModelCatalogue(saved_nano.parent), device="cpu")
    sharper = Generator(ModelCatalogue(saved_nano.parent, preview_vae=str(taef1)), device="cpu")
    *linear, image = plain.stream(request)
    *shown, same = sharper.stream(request)
    assert (np.asarray(image.image) == np.asarray(same.image)).all() and image.identity == same.identity
    assert isinstance(shown[-1], StepPreview)
    assert (np.asarray(shown[-1].image) != np.asarray(linear[-1].image)).any()
    assert sharper._loaded.previewer._decoder._vae.dtype == torch.float32


def test_nano_never_asks_for_it(saved_nano):
    generator = Generator(ModelCatalogue(saved_nano.parent, preview_vae="/nowhere"), device="cpu")
    assert len(list(generator.stream(SamplingRequest(caption="x", num_steps=1)))) == 2


def other_latents(folder):
    shutil.rmtree(folder)
    tiny(latent_channels=4).save_pretrained(folder)


def another_class(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": "AutoencoderKL"}))


def without_a_weight(folder):
    weights = load_file(folder / WEIGHTS)
    weights.pop("decoder.layers.0.weight")
    save_file(weights, folder / WEIGHTS, {"format": "pt"})


DAMAGES = [
    (other_latents, r"decodes latents of 4 channels for 8 px, but the model makes latents of 16 channels for 8 px"),
    (another_class, "is of class AutoencoderKL for 3 colours, not an AutoencoderTiny"),
    (without_a_weight, r"has 1 missing weights, the first decoder\.layers\.0\.weight"),
    (lambda folder: (folder / WEIGHTS).unlink(), r"holds no \.safetensors weights"),
    (lambda folder: (folder / WEIGHTS).write_bytes(b"nothing"), "damaged or not safetensors"),
    (lambda folder: (folder / "config.json").unlink(), r"no config\.json that can be read"),
    (lambda folder: (folder / "config.json").write_text('{"_class_name": 1, "decoder_block_out_channels": 3}'),
     r"no config\.json that can be read"),
    (shutil.rmtree, "neither a folder nor a hub repository"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_what_cannot_show_this_model_is_refused_before_the_model_is_exchanged(
    saved_foreign, saved_nano, taef1, damage, message
):
    damage(taef1)
    generator = Generator(ModelCatalogue(saved_nano.parent, preview_vae=str(taef1)), device="cpu")
    generator.warm_up()
    before = generator._loaded
    with pytest.raises(ModelNotAvailable, match=message):
        list(generator.stream(SamplingRequest(caption="x", model=str(saved_foreign), num_steps=1, size_px=64)))
    assert generator._loaded is before is not None


def test_it_counts_in_what_a_model_takes(catalogue, saved_foreign, taef1):
    import dataclasses

    files = locate(catalogue.model(str(saved_foreign)))
    sizes = files.sizes()
    with_it = dataclasses.replace(files, preview_folder=taef1).sizes()
    num = sum(parameter.numel() for parameter in tiny().parameters())
    assert with_it[PREVIEW_PART] == PartSize(elsewhere=num) and PREVIEW_PART not in sizes
    for keeps in Keeps:
        plan = Plan(keeps=keeps)
        held, more = ({name: size.num_bytes(2) for name, size in some.items()} for some in (sizes, with_it))
        assert _on_gpu(plan, more, with_it, 2) >= _on_gpu(plan, held, sizes, 2) + 2 * num
    room, installed = Room(gpu_bytes=1e9), {WHOLE}
    assert choose_plan(with_it, 2, room, installed=installed).gpu_bytes > (
        choose_plan(sizes, 2, room, installed=installed).gpu_bytes
    )


def test_names_lead_to_a_commit(monkeypatch, tmp_path):
    asked = []

    def downloaded(repository, files, *, revision, endpoint):
        asked.append((repository, files, revision))
        return tmp_path

    monkeypatch.setattr(module, "download_files", downloaded)
    for word in ("taef1", "madebyollin/taef1", "madebyollin/taef1@abc", "else/where"):
        assert locate_preview_decoder(word) == tmp_path
    pinned = asked[0][-1]
    assert len(pinned) == 40 and [(one[0], one[-1]) for one in asked] == [
        ("madebyollin/taef1", pinned), ("madebyollin/taef1", pinned), ("madebyollin/taef1", "abc"), ("else/where", None)
    ]  # fmt: skip
    assert {one[1] for one in asked} == {("config.json", "*.safetensors")}
    for word in ("taef2", "/not/there", "a/b/c"):
        with pytest.raises(ModelNotAvailable, match="neither a folder nor a hub repository"):
            locate_preview_decoder(word)
