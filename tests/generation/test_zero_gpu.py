"""Sampling on a lent GPU, with a stand-in for `spaces` of its shape and the real generator behind it."""

import sys

import pytest

from dermaflux.domain.errors import Cancelled, ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview
from dermaflux.generation import Generator, ModelCatalogue, zero_gpu

REQUEST = SamplingRequest(caption="a mole", num_images=2, seed=5, num_steps=3, size_px=64)


@pytest.fixture
def spaces(monkeypatch, repository):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.syspath_prepend(str(repository / "tests" / "fake_space"))
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    import spaces

    yield spaces
    sys.modules.pop("spaces", None)


@pytest.fixture
def lent(spaces, tiny_models):
    from dermaflux.generation.lent_generator import LentGenerator

    generator = LentGenerator(ModelCatalogue(tiny_models), device="cpu")
    generator.prepare("nano")
    return generator


def pictures(events):
    return [event.image.tobytes() for event in events if isinstance(event, GeneratedImage)]


def test_elsewhere_nothing_is_lent():
    def stream(request):
        yield request

    assert zero_gpu.lend(stream) is stream
    zero_gpu.join()  # imports nothing


def test_a_space_without_the_package_says_what_to_add(monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", None)
    with pytest.raises(ModelNotAvailable, match=r"requirements\.txt"):
        zero_gpu.join()


def test_more_work_asks_for_more_seconds_within_what_is_lent():
    def seconds(**changes):
        return zero_gpu.seconds_needed(SamplingRequest(caption="a mole", model="flux-dev", **changes))

    small, large = seconds(num_images=1, num_steps=4), seconds(num_images=8, num_steps=20, size_px=512)
    assert zero_gpu.MIN_SECONDS == small < large < seconds(num_images=8, num_steps=40, size_px=512)
    assert seconds(num_images=16, num_steps=50, size_px=1024) == zero_gpu.MAX_SECONDS
    assert seconds(num_images=1, num_steps=20, candidates=6) > seconds(num_images=1, num_steps=20)


def test_a_lent_gpu_gives_the_same_pictures_and_is_asked_for_by_the_request(lent, spaces, tiny_models):
    events = list(lent.stream(REQUEST))
    assert sum(isinstance(event, StepPreview) for event in events) == 6
    assert pictures(events) == pictures(Generator(ModelCatalogue(tiny_models), device="cpu").stream(REQUEST))
    assert spaces.asked_seconds == [zero_gpu.seconds_needed(lent.catalogue.resolve(REQUEST))]


def test_stopping_is_asked_for_after_each_step_in_our_own_process(lent):
    seen = []
    with pytest.raises(Cancelled):
        for event in lent.stream(REQUEST, lambda: len(seen) == 2):
            seen.append(event)
    assert len(seen) == 2
    assert len(list(lent.stream(REQUEST))) == 8  # the turn was given back


def test_what_the_hub_refuses_is_said_in_words(spaces, monkeypatch):
    class Error(Exception):
        __module__ = "gradio.exceptions"

    def refused(request):
        raise Error("GPU quota exceeded")
        yield

    with pytest.raises(ModelNotAvailable, match=r"quota exceeded.*fewer or smaller"):
        list(zero_gpu.lend(refused)(REQUEST))


def test_a_network_is_compiled_for_one_shape_and_runs_as_before_for_others(spaces):
    import torch

    class Network(torch.nn.Linear):
        pass

    network = Network(4, 4)
    inputs, others = torch.ones(2, 4), torch.ones(3, 4)
    with torch.no_grad():
        wanted, wanted_too = network(inputs), network(others)
        zero_gpu.compile_ahead(network, lambda: network(inputs))
        assert torch.allclose(network(inputs), wanted) and torch.allclose(network(others), wanted_too)
    assert spaces.asked_seconds == [1500]
    compiled = network.forward.__closure__
    assert any(getattr(cell.cell_contents, "is_compiled", False) for cell in compiled)
