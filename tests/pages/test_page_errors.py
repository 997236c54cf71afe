"""Errors in words at one place, one follower a visitor, and an app module that is light to import."""

import subprocess
import sys
import time

import gradio as gr
import pytest

from dermaflux.domain.errors import InvalidRequest, QueueFull
from pages.about import model_cards
from pages.components.followers import Followers
from pages.page import in_words


def test_an_expected_error_becomes_a_notice_with_its_own_words():
    @in_words
    def handler():
        raise InvalidRequest("seed is -1. Give 0 or more.")

    with pytest.raises(gr.Error) as caught:
        handler()
    assert caught.value.message == "seed is -1. Give 0 or more."
    assert caught.value.print_exception is False


def test_a_stream_says_its_errors_too_and_stays_a_generator_function():
    @in_words
    def stream():
        yield 1
        raise QueueFull("Full. Wait.")

    answers = stream()
    assert next(answers) == 1
    with pytest.raises(gr.Error, match="Full"):
        next(answers)


def test_a_fault_of_ours_is_not_hidden():
    @in_words
    def handler():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        handler()


def test_a_later_follower_of_a_visitor_sends_the_earlier_one_away():
    followers = Followers()
    with (
        followers.only_one("visitor") as first_is_latest,
        followers.only_one("other") as other_is_latest,
    ):
        assert first_is_latest()
        with followers.only_one("visitor") as second_is_latest:
            assert not first_is_latest()
            assert second_is_latest()
        assert other_is_latest()
    assert followers._latest == {}


def test_model_cards_are_shown_without_what_the_page_does_not_serve(tmp_path):
    text = "# Nano\n![a loss](../images/loss.png)\n[how](../how.md), [paper](https://arxiv.org/abs/2603.16392)\n"
    (tmp_path / "nano.md").write_text(text)
    assert model_cards(tmp_path) == [
        ("nano", "# Nano\n\nhow, [paper](https://arxiv.org/abs/2603.16392)\n")
    ]


def test_every_embedded_model_has_its_card(repository):
    embedded = sorted(folder.name for folder in (repository / "assets" / "models").iterdir() if folder.is_dir())
    assert [name for name, _ in model_cards()] == embedded


def test_importing_the_app_loads_neither_torch_nor_gradio(repository):
    code = "import app, sys; print(sorted({'torch', 'gradio', 'diffusers'} & set(sys.modules)))"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert time.perf_counter() - start < 10  # the budget of 1.5 s is a benchmark, this a guard


def test_the_app_module_is_short_and_alone_in_launching(repository):
    assert len((repository / "app.py").read_text().splitlines()) < 80
    sources = [*repository.glob("pages/**/*.py"), *repository.glob("dermaflux/**/*.py")]
    assert not [path for path in sources if ".launch(" in path.read_text()]
