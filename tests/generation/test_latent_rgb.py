"""The linear map of previews: its fit, where it is kept, and that it is never another VAE's."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation import choose_placement, load_pipeline
from dermaflux.generation import latent_rgb as module
from dermaflux.generation.latent_rgb import (
    LatentRgbMap,
    fit_latent_rgb,
    fit_on_colour_fields,
    load_latent_rgb,
    map_of,
    save_latent_rgb,
)
from dermaflux.generation.model_files import locate

VAE = "vae/diffusion_pytorch_model.safetensors"


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
    assert torch.allclose(found.apply(latents), colours.clamp(-1, 1), atol=1e-4)


def test_a_latent_channel_that_never_varies_does_not_blow_up_the_fit():
    latents = torch.randn(4, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    latents[:, 5] = 0
    found = fit_latent_rgb(latents, torch.rand(4, 3, 64, 64) * 2 - 1)
    assert torch.isfinite(found.weight).all() and found.weight[5].abs().max() < 1e-6


def test_a_shipped_map_round_trips_and_a_damaged_one_is_refused(tmp_path):
    assert load_latent_rgb(tmp_path) is None
    mapping = LatentRgbMap(weight=torch.randn(16, 3), bias=torch.randn(3), vae="a key")
    save_latent_rgb(tmp_path, mapping)
    read = load_latent_rgb(tmp_path)
    assert read is not None and read.vae == "a key"
    assert torch.allclose(read.weight, mapping.weight) and torch.allclose(read.bias, mapping.bias)
    for text in ("{", '{"weight": [[1, 2]], "bias": [0, 0, 0]}', '{"bias": [0, 0, 0]}', "[1]"):
        (tmp_path / "latent_rgb.json").write_text(text)
        with pytest.raises(ModelNotAvailable, match="damaged"):
            load_latent_rgb(tmp_path)


def test_on_a_linear_autoencoder_the_fitted_map_is_nearly_the_decoder(pipe):
    # The oracle is exact here: the mean colour of a patch is linear in its latent.
    mapping = fit_on_colour_fields(pipe.vae, "cpu")
    field = torch.tensor([0.5, -0.25, 0.1])[None, :, None, None].expand(1, 3, 64, 64)
    latents = pipe.vae.encode(field).latent_dist.mode()
    assert torch.allclose(mapping.apply(latents).mean((0, 2, 3)), field.mean((0, 2, 3)), atol=0.1)


@pytest.fixture
def flux(saved_foreign, tmp_path) -> Path:
    """A copy of the foreign pipeline's folder to write into."""
    return Path(shutil.copytree(saved_foreign, tmp_path / "flux"))


@pytest.fixture
def num_fits(monkeypatch):
    """How often colours were fitted, and how many pictures went through the encoder at once."""
    calls, encode = [], module.encode_scaled
    monkeypatch.setattr(module, "encode_scaled", lambda vae, *rest: (calls.append(len(rest[0])), encode(vae, *rest))[1])
    return calls


def test_a_map_is_fitted_in_one_batch_once_for_a_vae_and_anew_for_another(catalogue, flux, tmp_path, num_fits):
    kept = tmp_path / "kept"

    def found():
        entry = catalogue.model(str(flux))
        pipe = load_pipeline(entry, choose_placement("cpu"))
        return map_of(pipe.vae, "cpu", locate(entry), kept)

    first = found()
    assert num_fits == [24]
    assert torch.equal(found().weight, first.weight) and num_fits == [24]  # as at the next start

    (file,) = kept.iterdir()
    file.write_text('{"weight": ')  # killed by something that writes in place
    assert torch.equal(found().weight, first.weight) and num_fits == [24] * 2

    config = json.loads((flux / "vae/config.json").read_text())
    (flux / "vae/config.json").write_text(json.dumps(config | {"scaling_factor": 2 * config["scaling_factor"]}))
    halved = found()
    assert torch.allclose(halved.weight, first.weight / 2, atol=1e-4) and num_fits == [24] * 3

    from safetensors.torch import load_file, save_file

    weights = {name: tensor * 1.5 for name, tensor in load_file(flux / VAE).items()}
    save_file(weights, flux / VAE, {"format": "pt"})
    assert not torch.allclose(found().weight, halved.weight, atol=1e-4) and num_fits == [24] * 4
    assert len(list(kept.iterdir())) == 3


def test_a_map_beside_the_model_that_was_fitted_to_another_vae_is_left_aside(catalogue, flux, num_fits, caplog):
    entry = catalogue.model(str(flux))
    pipe, files = load_pipeline(entry, choose_placement("cpu")), locate(entry)
    mapping = LatentRgbMap(weight=torch.zeros(16, 3), bias=torch.zeros(3))
    save_latent_rgb(flux, mapping)  # an old one, which does not say
    assert not map_of(pipe.vae, "cpu", files, None).weight.any() and num_fits == []
    save_latent_rgb(flux, LatentRgbMap(weight=mapping.weight, bias=mapping.bias, vae="of another"))
    assert map_of(pipe.vae, "cpu", files, None).weight.any() and num_fits == [24]
    assert "fitted to another VAE" in caplog.text
