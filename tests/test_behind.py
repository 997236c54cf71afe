"""Work done one piece behind: in order, one at a time, nothing lost, errors heard."""

import threading
import time

import pytest

from dermaflux.services.behind import OneBehind


def test_pieces_run_while_the_caller_goes_on_in_order_and_one_at_a_time():
    done, gate = [], threading.Event()
    with OneBehind() as behind:
        behind.put(lambda: (gate.wait(10), done.append(1)))
        behind.check()
        assert done == [], "the caller was not held up"
        gate.set()
        behind.put(lambda: done.append(2))
        assert done[0] == 1
    assert done == [1, 2]


def test_an_error_is_heard_at_the_next_look_and_ends_the_work():
    def fails():
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"), OneBehind() as behind:
        behind.put(fails)
        while True:
            behind.check()
            time.sleep(0.001)
    with pytest.raises(OSError, match="no room"), OneBehind() as behind:
        behind.put(fails)


def test_a_caller_that_fails_still_lets_the_piece_under_way_finish():
    done = []
    with pytest.raises(KeyError), OneBehind() as behind:
        behind.put(lambda: (time.sleep(0.05), done.append(1)))
        raise KeyError
    assert done == [1]
