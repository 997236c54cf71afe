"""A small model computes on one thread and leaves the setting as it was, also when a stream is cut short."""

import torch
from torch import nn

from dermaflux.generation import threads
from dermaflux.generation.threads import fitting_threads


def test_a_small_model_gets_one_thread_and_the_rest_comes_back(monkeypatch):
    monkeypatch.setattr(threads, "ONE_THREAD_BELOW", 100)
    torch.set_num_threads(2)
    with fitting_threads(nn.Linear(4, 4)):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with fitting_threads(nn.Linear(40, 40)):
        assert torch.get_num_threads() == 2


def test_a_stream_cut_short_gives_the_threads_back():
    def stream():
        with fitting_threads(nn.Linear(4, 4)):
            yield torch.get_num_threads()

    torch.set_num_threads(2)
    events = stream()
    assert next(events) == 1
    events.close()
    assert torch.get_num_threads() == 2
