"""The flow's arithmetic against answers known by hand. t = 1 is noise."""

import torch

from training.rectified_flow import (
    data_estimate,
    interpolate,
    logit_normal_times,
    pack,
    shifted,
    unpack,
    velocity,
    velocity_loss,
)


def test_the_path_starts_at_data_and_ends_at_noise():
    data, noise = torch.randn(2, 3, 16, 4, 4)
    assert torch.equal(interpolate(data, noise, torch.zeros(3)), data)
    assert torch.equal(interpolate(data, noise, torch.ones(3)), noise)


def test_the_true_velocity_leads_back_to_the_data_from_any_time():
    data, noise = torch.randn(2, 5, 16, 4, 4)
    times = torch.linspace(0.1, 0.9, 5)
    x_t = interpolate(data, noise, times)
    assert torch.allclose(data_estimate(x_t, velocity(data, noise), times), data, atol=1e-5)
    assert torch.equal(velocity_loss(velocity(data, noise), data, noise), torch.zeros(5))


def test_one_euler_step_along_the_true_velocity_is_exact():
    data, noise = torch.randn(2, 1, 16, 4, 4)
    assert torch.allclose(noise - 1.0 * velocity(data, noise), data, atol=1e-6)


def test_the_loss_is_the_mean_square_of_each_sample():
    data, noise = torch.zeros(2, 1, 2, 2), torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
    assert torch.equal(velocity_loss(torch.zeros(2, 1, 2, 2), data, noise), torch.tensor([1.0, 9.0]))


def test_shift_keeps_the_ends_and_moves_the_middle_towards_noise():
    times = torch.tensor([0.0, 0.5, 1.0])
    assert torch.allclose(shifted(times, 3.0), torch.tensor([0.0, 0.75, 1.0]))
    assert torch.equal(shifted(times, 1.0), times)


def test_logit_normal_times_have_the_median_of_their_mean():
    times = logit_normal_times(20_000, torch.Generator().manual_seed(0), mean=1.0)
    assert abs(times.median() - torch.sigmoid(torch.tensor(1.0))) < 0.01
    assert times.min() > 0
    assert times.max() < 1


def test_packing_is_what_flux_does_and_is_undone():
    from diffusers import FluxPipeline

    latents = torch.randn(2, 16, 8, 12)
    assert torch.equal(pack(latents), FluxPipeline._pack_latents(latents, 2, 16, 8, 12))
    assert torch.equal(unpack(pack(latents), 8, 12), latents)
