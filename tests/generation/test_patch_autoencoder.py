"""The patch basis: exact on what it spans, orthogonal to what it does not, and read by FluxPipeline."""

import pytest
import torch
from diffusers.models.modeling_utils import ModelMixin

from dermaflux.generation.patch_autoencoder import PatchAutoencoder


def smooth_images(count=24, size_px=64):
    noise = torch.randn(count, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.interpolate(noise, (size_px, size_px), mode="bicubic")
    return images.clamp(-2, 2) / 2


@pytest.fixture(scope="module")
def fitted():
    return PatchAutoencoder().fit(smooth_images())


def test_smooth_pictures_come_back(fitted):
    images = smooth_images()
    back = fitted.decode(fitted.encode(images).latent_dist.mode()).sample
    psnr = 10 * torch.log10(4 / (back - images).square().mean())
    assert psnr > 35


def test_latents_are_about_unit_variance_and_strong_components_stay_stronger(fitted):
    sd = fitted.encode(smooth_images()).latent_dist.mode().std(dim=(0, 2, 3))
    assert 0.7 < sd.square().mean().sqrt() < 1.6
    assert sd[0] > sd[-1]


def test_the_mean_patch_is_the_zero_latent(fitted):
    flat = fitted.mean.detach().repeat(1, 2, 2)[None]
    assert fitted.encode(flat).latent_dist.mode().abs().max() < 1e-4


def test_decoding_is_linear_about_the_mean(fitted):
    a, b = torch.randn(2, 1, 16, 4, 4)
    centre = fitted.decode(torch.zeros(1, 16, 4, 4)).sample
    assert torch.allclose(
        fitted.decode(a + b).sample + centre, fitted.decode(a).sample + fitted.decode(b).sample, atol=1e-4
    )


def test_a_saved_autoencoder_is_the_same(fitted, tmp_path):
    fitted.save_pretrained(tmp_path, safe_serialization=True)
    loaded = PatchAutoencoder.from_pretrained(tmp_path)
    assert isinstance(loaded, ModelMixin)
    assert torch.equal(loaded.synthesis, fitted.synthesis)


def test_a_patch_that_disagrees_with_the_stated_scale_is_refused():
    with pytest.raises(ValueError, match="patch_px 16"):
        PatchAutoencoder(patch_px=16)
