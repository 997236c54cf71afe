"""The trainers' call of the transformer and their times are the pipeline's own."""

import numpy as np
import pytest
import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

from dermaflux.generation import choose_placement, load_pipeline
from dermaflux.generation.catalogue import entry_of_folder
from dermaflux.generation.denoising import denoise
from dermaflux.generation.guidance import Guidance
from dermaflux.generation.prompts import PromptEncoder
from training.flux_velocity import flux_velocity, sampling_times, time_shift
from training.rectified_flow import pack
from training.rollout import trajectory


@pytest.fixture(scope="module")
def pipe(tiny_models):
    entry = entry_of_folder(tiny_models / "nano", name="tiny")
    return load_pipeline(entry, choose_placement("cpu", "float32"))


@pytest.mark.parametrize("num_steps", [1, 4, 20])
def test_the_times_are_those_of_the_pipelines_scheduler(pipe, num_steps):
    latents = torch.zeros(1, 16, 8, 8)
    config = pipe.scheduler.config
    mu = calculate_shift(16, config.base_image_seq_len, config.max_image_seq_len, config.base_shift, config.max_shift)
    pipe.scheduler.set_timesteps(sigmas=np.linspace(1, 1 / num_steps, num_steps), mu=mu)
    assert torch.allclose(sampling_times(num_steps, time_shift(config, latents)), pipe.scheduler.sigmas, atol=1e-6)


def test_a_trajectory_of_the_trainer_is_the_samplers(pipe):
    text = PromptEncoder(pipe, 24).encode("a mole")
    noise = torch.randn(1, pipe.transformer.config.in_channels // 4, 8, 8, generator=torch.Generator().manual_seed(3))
    times = sampling_times(4, time_shift(pipe.scheduler.config, noise))
    ours = trajectory(
        lambda x, t: flux_velocity(pipe.transformer, x, t, text.tokens, text.pooled), noise, times, 4
    )[:, -1]
    size_px = 8 * pipe.vae_scale_factor
    *_, last = denoise(pipe, Guidance(caption=text, empty=None, scale=1.0), pack(noise), size_px, 4)
    assert torch.allclose(pack(ours), last.latents, atol=1e-4)
