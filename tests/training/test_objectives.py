"""The two objectives by hand: what is hidden in what, what is learned, and that a perfect answer costs nothing."""

import pytest
import torch

from dermaflux.domain.errors import InvalidRequest
from training.objectives import EPSILON, FLOW, EpsilonDiffusion, RectifiedFlow, objective_of


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 2, 4, 4, generator=generator), torch.randn(3, 2, 4, 4, generator=generator)


@pytest.mark.parametrize(("name", "answer"), [(FLOW, lambda data, noise: noise - data), (EPSILON, lambda _, n: n)])
def test_the_right_answer_costs_nothing_and_a_wrong_one_its_square(pair, name, answer):
    data, noise = pair
    objective = objective_of(name)
    times = objective.times(3, torch.Generator().manual_seed(1))
    exact = objective.loss(lambda x, t: answer(data, noise), data, noise, times)
    assert exact == pytest.approx(torch.zeros(3), abs=1e-10)
    off = objective.loss(lambda x, t: answer(data, noise) + 0.5, data, noise, times)
    assert off == pytest.approx(torch.full((3,), 0.25), abs=1e-5)


def test_the_network_sees_what_the_time_says(pair):
    data, noise = pair
    seen = {}

    def look(x_t, times):
        seen["x_t"], seen["times"] = x_t, times
        return noise

    times = torch.tensor([0.0, 0.5, 0.999])
    EpsilonDiffusion().loss(look, data, noise, times)
    # Stable Diffusion's betas: linear in their roots from .00085 to .012.
    kept = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)[[0, 500, 999]].view(3, 1, 1, 1)
    assert torch.allclose(seen["x_t"], kept.sqrt() * data + (1 - kept).sqrt() * noise, atol=1e-5)
    assert torch.equal(seen["times"], times)


def test_times_cover_what_each_objective_says():
    generator = torch.Generator().manual_seed(0)
    uniform = EpsilonDiffusion().times(20_000, generator)
    assert uniform.min() == 0
    assert uniform.max() == pytest.approx(0.999)
    assert uniform.mean() == pytest.approx(0.5, abs=0.01)
    centred, moved = (RectifiedFlow(time_shift=s).times(20_000, generator) for s in (1.0, 3.0))
    assert centred.median() == pytest.approx(0.5, abs=0.01)
    assert moved.median() == pytest.approx(0.75, abs=0.01)  # 3 * .5 / (1 + 2 * .5)


def test_the_solver_finds_data_that_the_noise_points_away_from(pair):
    data, noise = pair
    objective = EpsilonDiffusion()
    solver, x_t = objective.sampler(20), noise.clone()
    for time in solver.timesteps:
        kept = objective.schedule.alphas_cumprod[time]
        x_t = solver.step((x_t - kept.sqrt() * data) / (1 - kept).sqrt(), time, x_t).prev_sample
    assert torch.allclose(x_t, data, atol=0.05)


def test_an_unknown_objective_is_refused():
    with pytest.raises(InvalidRequest, match="flow or epsilon"):
        objective_of("score")
