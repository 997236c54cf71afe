"""Trajectories, guidance and pushes against answers known by hand. t = 1 is noise."""

import pytest
import torch

from training.rollout import guided, pushed, trajectory


def constant(value):
    return lambda latents, times: torch.full_like(latents, value)


def test_the_true_velocity_leads_to_the_data_and_every_state_lies_on_the_line():
    data, noise = torch.randn(2, 3, 4, 4, 4)
    times = torch.linspace(1, 0, 9)
    states = trajectory(lambda x, t: noise - data, noise, times, 4)
    assert states.shape == (3, 3, 4, 4, 4)
    assert torch.equal(states[:, 0], noise)
    assert torch.allclose(states[:, 1], (noise + data) / 2, atol=1e-5)
    assert torch.allclose(states[:, 2], data, atol=1e-5)


def test_steps_that_cannot_be_cut_into_windows_are_refused():
    with pytest.raises(ValueError, match="7 steps cannot be divided by 4"):
        trajectory(constant(0.0), torch.zeros(1, 1, 2, 2), torch.linspace(1, 0, 8), 4)


def test_guidance_and_pushes_are_sums_of_differences():
    x, t = torch.zeros(2, 1, 2, 2), torch.ones(2)
    velocity = guided(constant(3.0), constant(1.0), 2.0)
    assert torch.equal(velocity(x, t), torch.full_like(x, 5.0))
    assert guided(velocity, constant(9.0), 1.0) is velocity
    away = [(constant(1.0), 4.0), (constant(2.5), 0.8)]
    assert torch.allclose(pushed(velocity, constant(3.0), away)(x, t), torch.full_like(x, 5 + 4 * 2 + 0.8 * 0.5))
    scales = torch.tensor([1.0, 3.0]).reshape(-1, 1, 1, 1)  # each picture of the batch its own
    found = pushed(velocity, constant(3.0), [(constant(1.0), scales)])(x, t)
    assert torch.equal(found[:, 0, 0, 0], torch.tensor([7.0, 11.0]))
    assert pushed(velocity, constant(3.0), []) is velocity
