"""Few-step distillation on a tiny real pipeline: it learns, goes on after a stop, its file says how to use it."""

import json
import os
import signal
from dataclasses import replace

import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.generation.adapter_facts import AdapterFacts, read_adapter_facts
from training.even_requests import draw_specs
from training.run_status import status_of
from training.train_few_step_lora import FewStepRun, _Distillation, distil


@pytest.fixture
def run(drawn_ham, tiny_models, tmp_path):
    return FewStepRun(
        name="whole", base=str(tiny_models / "nano"), data_dir=drawn_ham, measured=drawn_ham / "measured.csv",
        runs_dir=tmp_path, size_px=64, student_steps=2, teacher_steps=4, num_trajectories=40, rank=8, alpha=8,
        num_steps=60, batch_size=16, learning_rate=1e-2, warmup_steps=2, ema_decay=0.9, contrast_scale=2.0,
        precision="fp32", device="cpu",
    )  # fmt: skip


def history(run):
    return [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_the_student_comes_nearer_to_the_teacher_on_requests_it_has_not_seen(run):
    path = distil(run)
    held = [line["held_back_loss"] for line in history(run) if "held_back_loss" in line]
    start = distil(replace(run, name="start", num_steps=1, learning_rate=1e-9))
    (first,) = [line["held_back_loss"] for line in history(replace(run, name="start")) if "held_back_loss" in line]
    assert held[-1] < first
    assert read_adapter_facts(path) == AdapterFacts(num_steps=2, guidance_scale=1.0, contrast_scale=0.0)
    assert start.is_file()


@pytest.mark.slow
@pytest.mark.parametrize("stop_in", ["_teacher", "_train_step"])
def test_stopped_it_says_so_and_goes_on_to_the_same_losses(run, monkeypatch, stop_in):
    run = replace(run, num_steps=4)
    distil(run)
    stopped = replace(run, name="stopped")
    method, calls = getattr(_Distillation, stop_in), []

    def interrupted(*inputs):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return method(*inputs)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(_Distillation, stop_in, interrupted)
        distil(stopped)
    assert status_of(stopped.folder).state == "stopped"
    distil(stopped)
    expected = [line["loss"] for line in history(run)]
    assert [line["loss"] for line in history(stopped)] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"teacher_steps": 5}, "multiple of student_steps"),
        ({"num_trajectories": 32}, "more than 32"),
        ({"rank": 0}, "rank is 0"),
        ({"name": "a/b"}, "one plain folder name"),
    ],
)
def test_what_cannot_be_trained_is_refused(run, change, reason):
    with pytest.raises(InvalidRequest, match=reason):
        replace(run, **change)


def test_even_requests_move_every_slider_on_its_own():
    specs = draw_specs(3000, seed=1)
    assert specs == draw_specs(3000, seed=1)
    moved = [(s.asymmetry - 1, s.border - 4, len(s.colours) - 3.5) for s in specs]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert abs(sum(row[a] * row[b] for row in moved)) / 3000 < 0.2
    assert {len(s.colours) for s in specs} == {1, 2, 3, 4, 5, 6}
