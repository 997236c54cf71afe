"""Whose jobs a page shows, and that each handler asks who is there before it acts."""

import json
from types import SimpleNamespace

import gradio as gr
import pytest

from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.roles import Role, Visitor
from dermaflux.domain.sweep import AxisValues, Sweep
from dermaflux.jobs import SKIPPED, JobState
from dermaflux.services import Services
from dermaflux.services.wiring import Once
from dermaflux.settings import Settings
from pages.api_fields import generation_answers
from pages.followed_jobs import job_of
from pages.generate_actions import GenerateActions
from pages.sweep_actions import SweepActions


@pytest.fixture
def services(tiny_models, tmp_path, monkeypatch):
    """Accounts: ann and eve generate, vic looks. The worker never runs."""
    roles = {"ann": Role.REVIEWER, "eve": Role.REVIEWER, "vic": Role.VIEWER, "boss": Role.ADMIN}
    with Services(Settings(models_dir=tiny_models, data_dir=tmp_path / "data", device="cpu")) as services:
        monkeypatch.setattr(services, "visitor", lambda name: Visitor(name=name, role=roles[name]))
        monkeypatch.setattr(services, "_worker", Once(lambda: None))
        yield services


def asks(name):
    return SimpleNamespace(username=name, session_hash="s")


def test_a_job_is_its_users_and_an_administrators_alone(services):
    sweep = Sweep(base=SamplingRequest(caption="a mole"), columns=AxisValues(axis="seed", values=(1, 2)))
    job = services.submit_sweep("ann", sweep)
    assert job_of(services, job.job_id, services.visitor("ann")) == job
    assert job_of(services, job.job_id, services.visitor("boss")) == job
    assert job_of(services, job.job_id, services.visitor("eve")) is None
    assert job_of(services, "no such job", services.visitor("ann")) is None
    actions = SweepActions(services, None, [])
    actions.stop(job.job_id, asks("eve"))
    assert services.job(job.job_id).state == "waiting"
    assert list(actions.follow(job.job_id, "d", asks("eve"))) == [(gr.skip(), gr.skip(), gr.skip())]
    actions.stop(job.job_id, asks("ann"))
    assert services.job(job.job_id).state == "cancelled"


def wants(job_id, image_index=1):
    return SimpleNamespace(job_id=job_id, image_index=image_index)


def test_only_who_may_stop_a_job_may_skip_in_it(services):
    job = services.submit_generation("ann", SamplingRequest(caption="a mole", num_images=5))
    queue, samples = services._queue(), GenerateActions(services, None)
    worker_id = queue.roll.enlist("here:1")
    queue.claims.take(worker_id)
    for name, why in (("vic", "vic may not skip an image"), ("eve", "no job")):
        with pytest.raises(gr.Error, match=why):
            samples.skip(wants(job.job_id), asks(name))
    for number in ("1", None, 1.5):
        with pytest.raises(gr.Error, match="number is"):
            samples.skip(wants(job.job_id, number), asks("ann"))
    assert queue.claims.skips_asked(job.job_id, worker_id) == frozenset()
    samples.skip(wants(job.job_id), asks("ann"))
    samples.skip(wants(job.job_id, 3.0), asks("boss"))
    assert queue.claims.skips_asked(job.job_id, worker_id) == {1, 3}


def test_the_control_is_offered_to_who_may_use_it(services):
    jobs = [services.submit_generation(name, SamplingRequest(caption="a mole")) for name in ("ann", "vic")]
    samples = GenerateActions(services, None)
    offered = []
    for job, name in zip(jobs, ("ann", "vic"), strict=True):  # vic's is of a time when they could generate
        shown, _ = next(samples.follow(job.job_id, "d", asks(name)))
        offered.append(json.loads(shown["cards"][0])["skippable"])
    assert offered == [jobs[0].job_id, None]


def test_a_program_is_told_which_images_were_skipped_and_gets_no_blank_one(services):
    job = services.submit_generation("ann", SamplingRequest(caption="a mole", num_images=2))
    queue = services._queue()
    worker_id = queue.roll.enlist("here:1")
    queue.claims.take(worker_id)
    for _ in range(2):
        queue.claims.add_result(job.job_id, worker_id, SKIPPED)
    queue.claims.finish(job.job_id, worker_id, JobState.DONE)
    *_, last = generation_answers(job.job_id, services.follow(job.job_id))
    assert (last["state"], last["images"], last["skipped"]) == ("done", [], [0, 1])
    assert services.job(job.job_id).image_ids == ()


def test_who_only_looks_generates_stops_and_exports_nothing(services):
    grid, samples = SweepActions(services, None, []), GenerateActions(services, None)
    for act in (
        lambda: grid.submit({}, asks("vic")),
        lambda: samples.submit({}, asks("vic")),
        lambda: grid.stop("x", asks("vic")),
        lambda: samples.stop("x", asks("vic")),
        lambda: samples.skip(wants("x"), asks("vic")),
        lambda: grid.export("x", asks("eve")),
    ):
        with pytest.raises(gr.Error, match="may not"):
            act()
