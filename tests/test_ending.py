"""A program that serves looks for the signal; none is lost, wherever the main thread is."""

import os
import signal

import pytest

from dermaflux.ending import asked_to_end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_told_the_second_does_what_it_did_before(number):
    heard = []
    before = signal.signal(number, lambda *_: heard.append(number))
    try:
        with asked_to_end() as asked:
            os.kill(os.getpid(), number)
            assert asked.wait(10) and not heard
            os.kill(os.getpid(), number)
            assert heard == [number]
        os.kill(os.getpid(), number)
        assert heard == [number] * 2
    finally:
        signal.signal(number, before)
