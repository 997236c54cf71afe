"""Whose jobs a page shows, and that each handler asks who is there before it acts."""

from types import SimpleNamespace

import gradio as gr
import pytest

from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.roles import Role, Visitor
from dermaflux.domain.sweep import AxisValues, Sweep
from dermaflux.services import Services
from dermaflux.services.wiring import Once
from dermaflux.settings import Settings
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


def test_who_only_looks_generates_stops_and_exports_nothing(services):
    grid, samples = SweepActions(services, None, []), GenerateActions(services, None)
    for act in (
        lambda: grid.submit({}, asks("vic")),
        lambda: samples.submit({}, asks("vic")),
        lambda: grid.stop("x", asks("vic")),
        lambda: samples.stop("x", asks("vic")),
        lambda: grid.export("x", asks("eve")),
    ):
        with pytest.raises(gr.Error, match="may not"):
            act()
