import time

import numpy as np
import pytest
import torch

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.records import SamplingRequest, StepPreview
from dermaflux.generation import Generator, choose_placement, load_pipeline
from dermaflux.generation.denoising import draw_noise
from dermaflux.generation.previews import (
    LatentRgbMap,
    Previewer,
    fit_latent_rgb,
    fit_on_colour_fields,
    load_latent_rgb,
    save_latent_rgb,
)


def test_the_fit_finds_the_map_that_made_the_colours():
    generator = torch.Generator().manual_seed(0)
    true = LatentRgbMap(
        weight=torch.randn(16, 3, generator=generator) * 0.05, bias=torch.tensor([0.1, -0.2, 0.3])
    )
    latents = torch.randn(6, 16, 8, 8, generator=generator)
    colours = torch.einsum("bchw,ck->bkhw", latents, true.weight) + true.bias[:, None, None]
    images = colours.repeat_interleave(8, -1).repeat_interleave(8, -2)
    found = fit_latent_rgb(latents, images)
    assert torch.allclose(found.weight, true.weight, atol=1e-5)
    assert torch.allclose(found.bias, true.bias, atol=1e-5)
    assert torch.allclose(found.apply(latents[:1]), colours[:1].clamp(-1, 1), atol=1e-4)


def test_a_latent_channel_that_never_varies_does_not_blow_up_the_fit():
    latents = torch.randn(4, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    latents[:, 5] = 0
    found = fit_latent_rgb(latents, torch.rand(4, 3, 64, 64) * 2 - 1)
    assert torch.isfinite(found.weight).all() and found.weight[5].abs().max() < 1e-6


def test_a_shipped_map_round_trips_and_a_damaged_one_is_refused(tmp_path):
    assert load_latent_rgb(tmp_path) is None
    mapping = LatentRgbMap(weight=torch.randn(16, 3), bias=torch.randn(3))
    save_latent_rgb(tmp_path, mapping)
    read = load_latent_rgb(tmp_path)
    assert read is not None
    assert torch.allclose(read.weight, mapping.weight) and torch.allclose(read.bias, mapping.bias)
    for text in ("{", '{"weight": [[1, 2]], "bias": [0, 0, 0]}', '{"bias": [0, 0, 0]}'):
        (tmp_path / "latent_rgb.json").write_text(text)
        with pytest.raises(ModelNotAvailable, match="damaged"):
            load_latent_rgb(tmp_path)


def test_on_a_linear_autoencoder_the_fitted_map_is_nearly_the_decoder(pipe):
    # The oracle is exact here: the mean colour of a patch is linear in its latent.
    mapping = fit_on_colour_fields(pipe)
    field = torch.tensor([0.5, -0.25, 0.1])[None, :, None, None].expand(1, 3, 64, 64)
    latents = pipe.vae.encode(field).latent_dist.mode()
    assert torch.allclose(mapping.apply(latents).mean((0, 2, 3)), field.mean((0, 2, 3)), atol=0.1)


def test_a_pipeline_with_a_real_vae_previews_through_the_map(catalogue, saved_foreign):
    pipe = load_pipeline(catalogue.model(str(saved_foreign)), choose_placement("cpu"))
    picture = Previewer(pipe).picture(draw_noise(pipe, 0, 64), 64)
    assert picture.size == (64, 64) and picture.mode == "RGB"
    flat = LatentRgbMap(weight=torch.zeros(16, 3), bias=torch.tensor([1.0, 0.0, -1.0]))
    shown = np.asarray(Previewer(pipe, flat).picture(draw_noise(pipe, 0, 64), 64))
    assert (shown == [255, 128, 0]).all()


def test_a_map_beside_the_model_is_used(catalogue, saved_foreign, tmp_path):
    import shutil

    folder = shutil.copytree(saved_foreign, tmp_path / "flux")
    save_latent_rgb(
        folder, LatentRgbMap(weight=torch.zeros(16, 3), bias=torch.tensor([-1.0, 1.0, -1.0]))
    )
    generator = Generator(catalogue, device="cpu")
    request = SamplingRequest(caption="x", model=str(folder), num_steps=1, size_px=64)
    preview = next(generator.stream(request))
    assert isinstance(preview, StepPreview)
    assert (np.asarray(preview.image) == [0, 255, 0]).all()


def test_previews_are_cheap_next_to_a_step(pipe):
    previewer, clean = Previewer(pipe), draw_noise(pipe, 0, 128)
    previewer.picture(clean, 128)
    began = time.perf_counter()
    for _ in range(5):
        previewer.picture(clean, 128)
    assert (
        time.perf_counter() - began
    ) / 5 < 0.5  # milliseconds in fact; the benchmark has the figure
