import time

import numpy as np
import torch

from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview
from dermaflux.generation import Generator, choose_placement, load_pipeline
from dermaflux.generation.denoising import DenoisingStep, draw_noise
from dermaflux.generation.latent_rgb import LatentRgbMap, save_latent_rgb
from dermaflux.generation.previews import Previewer

FLAT = LatentRgbMap(weight=torch.zeros(16, 3), bias=torch.tensor([1.0, 0.0, -1.0]))


def step_of(pipe, size_px=64, *, num=1):
    noise = torch.cat([draw_noise(pipe, seed, size_px) for seed in range(num)])
    return DenoisingStep(step=1, num_steps=2, latents=noise, clean=noise)


def test_a_pipeline_with_a_real_vae_previews_through_the_map_which_is_asked_for_once(catalogue, saved_foreign):
    pipe, asked = load_pipeline(catalogue.model(str(saved_foreign)), choose_placement("cpu")), []
    previewer = Previewer(pipe, lambda: (asked.append(1), FLAT)[1])
    for _ in range(2):
        pictures = previewer.pictures(step_of(pipe, num=3), 64, 0.1)
        assert [picture.size for picture in pictures] == [(64, 64)] * 3
        assert all((np.asarray(picture) == [255, 128, 0]).all() for picture in pictures)
    assert len(asked) == 1
    assert previewer.pictures(step_of(pipe, 512), 512, 0.1)[0].size == (256, 256)


def test_a_map_beside_the_model_is_used(catalogue, saved_foreign, tmp_path):
    import shutil

    folder = shutil.copytree(saved_foreign, tmp_path / "flux")
    save_latent_rgb(
        folder, LatentRgbMap(weight=torch.zeros(16, 3), bias=torch.tensor([-1.0, 1.0, -1.0]))
    )
    generator = Generator(catalogue, device="cpu", exports_dir=tmp_path / "kept")
    request = SamplingRequest(caption="x", model=str(folder), num_steps=1, size_px=64)
    preview = next(generator.stream(request))
    assert isinstance(preview, StepPreview)
    assert (np.asarray(preview.image) == [0, 255, 0]).all()
    assert not (tmp_path / "kept").exists()


def test_a_linear_autoencoder_previews_exactly_what_it_will_decode(generator):
    *previews, image = generator.stream(SamplingRequest(caption="x", seed=3))
    assert isinstance(image, GeneratedImage) and len(previews) == 5
    # The last estimate of clean latents is where the last step goes, but for rounding.
    off = np.asarray(previews[-1].image, int) - np.asarray(image.image, int)
    assert abs(off).max() <= 1


def test_previews_are_cheap_next_to_a_step(pipe):
    previewer, state = Previewer(pipe, lambda: FLAT), step_of(pipe, 128)
    previewer.pictures(state, 128, 0.1)
    began = time.perf_counter()
    for _ in range(5):
        previewer.pictures(state, 128, 0.1)
    assert (
        time.perf_counter() - began
    ) / 5 < 0.5  # milliseconds in fact; the benchmark has the figure
