"""Garbage is not collected inside, and afterwards as before, whatever happened."""

import gc

import pytest

from dermaflux.uncollected import set_apart, uncollected


def test_collection_rests_inside_nested_or_not_and_goes_on_after_a_failure():
    assert gc.isenabled()
    with pytest.raises(KeyError), uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_who_had_switched_it_off_finds_it_off():
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_was_there_is_set_apart_and_joins_again():
    before = gc.get_freeze_count()
    with set_apart():
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == 0
    gc.freeze()  # as the tests found it
