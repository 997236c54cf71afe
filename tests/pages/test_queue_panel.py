"""What the queue panel shows of a view, and that its handlers ask who is there."""

from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from dermaflux.domain.roles import Role, Visitor
from dermaflux.services import Services
from dermaflux.services.queue_records import JobAction, QueueEntry, QueueView
from dermaflux.settings import Settings
from pages.components.queue_view import about, queue_value
from pages.queue_panel import QueueActions

MINE = QueueEntry(
    state="waiting", done=0, total=8, is_mine=True, job_id="j1", asked="8 × mel", ahead=2, begins_in=41.0,
    actions=(JobAction.PAUSE, JobAction.CANCEL, JobAction.SHOW),
)  # fmt: skip
OTHER = QueueEntry(state="running", done=3, total=8, is_mine=False, ends_in=200.0)


def view(*mine, others=(), **fields):
    return QueueView(mine=mine, others=others, **{"num_workers": 1, **fields})


def standing(entry, **fields):
    return queue_value(view(entry, **fields))["rows"][0]["standing"]


def test_a_place_in_line_is_said_with_the_time_that_is_likely_or_that_none_is_known():
    assert standing(MINE) == "3rd in line, about 40 s"
    assert standing(replace(MINE, ahead=0, begins_in=0.0)) == "Next in line, begins now"
    assert standing(replace(MINE, ahead=11, begins_in=None)) == "12th in line, no estimate yet"
    assert standing(MINE, num_workers=0) == "3rd in line, no worker is there"
    assert standing(MINE, is_paused=True) == "3rd in line, the queue is paused"
    assert standing(replace(MINE, state="running", done=3, ends_in=7.2)) == "Running · 3 of 8 done · about 7 s left"
    assert "pauses after this image" in standing(replace(MINE, state="running", is_pausing=True))
    assert standing(replace(MINE, state="failed", error="No disk.")) == "Failed · No disk."
    assert standing(replace(MINE, state="paused", done=5)) == "Paused · 5 of 8 done"
    skips = replace(MINE, done=5, num_skipped=2)
    assert standing(replace(skips, state="paused")) == "Paused · 3 of 8 done · 2 skipped"
    assert standing(replace(skips, state="cancelled")) == "Cancelled · 3 of 8 kept · 2 skipped"
    assert standing(replace(skips, state="done", done=8, num_skipped=7)) == "Done · 1 image · 7 skipped"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "about 1 s"), (42, "about 40 s"), (150, "about 2 min"), (7200, "about 2.0 h")]
)
def test_times_are_as_coarse_as_they_are_known(seconds, words):
    assert about(seconds) == words


def test_another_users_job_has_no_name_no_words_and_no_button():
    (row,) = queue_value(view(MINE, others=(OTHER,)))["others"]
    assert (row["title"], row["job_id"], row["actions"]) == ("Another user's job", "", [])
    known = replace(OTHER, owner="bob", job_id="j2", actions=(JobAction.CANCEL,))
    (row,) = queue_value(view(others=(known,)))["others"]
    assert row["title"] == "A job of bob" and [action["name"] for action in row["actions"]] == ["cancel"]


def test_it_says_when_nothing_can_move_and_offers_only_what_is_allowed():
    value = queue_value(view(MINE, num_workers=0, is_paused=True))
    assert any("python -m dermaflux worker" in note for note in value["notes"])
    assert any("paused by an administrator:" in note for note in value["notes"])
    assert not value["may_pause_all"] and not value["may_clear"]
    assert queue_value(view(replace(MINE, state="done")))["may_clear"]


class TwoVisitors(Services):
    """A deployment with a viewer, a reviewer and an administrator."""

    def visitor(self, name):
        return Visitor(name=name, role={"vera": Role.VIEWER, "root": Role.ADMIN}.get(name, Role.REVIEWER))


@pytest.fixture
def actions(tiny_models, tmp_path):
    with TwoVisitors(Settings(models_dir=tiny_models, data_dir=tmp_path / "data", worker=False)) as services:
        services.start()
        yield QueueActions(services), services


def by(name):
    return SimpleNamespace(username=name)


def doing(action, job_id=""):
    return SimpleNamespace(action=action, job_id=job_id)


def test_handlers_ask_who_is_there_and_whose_the_job_is(actions):
    from dermaflux.domain.records import SamplingRequest

    panel, services = actions
    job = services.submit_generation("ann", SamplingRequest(caption="ann's words"))
    for action in ("pause", "cancel"):
        for name, why in (("vera", "takes the role reviewer"), ("bob", "no job")):
            with pytest.raises(gr.Error, match=why):
                panel.act(doing(action, job.job_id), by(name))
    with pytest.raises(gr.Error, match="no job"):
        panel.show(doing("show", job.job_id), by("bob"))
    for name in ("vera", "bob"):
        with pytest.raises(gr.Error, match="takes the role"):
            panel.steer(doing("pause_all"), by(name))
    with pytest.raises(gr.Error, match="is not known"):
        panel.steer(doing("burn"), by("root"))
    value, seen = panel.refresh(None, by("bob"))
    assert "ann" not in str(value) and job.job_id not in str(value)
    assert panel.refresh(seen, by("bob")) == (gr.skip(), gr.skip()), "nothing changed, nothing is sent"
    panel.act(doing("pause", job.job_id), by("ann"))
    assert panel.refresh(seen, by("bob"))[0] != gr.skip()
    job_id, value, _ = panel.show(doing("resume", job.job_id), by("ann"))
    assert job_id == job.job_id and value["rows"][0]["state"] == "waiting"
    panel.steer(doing("pause_all"), by("root"))
    assert panel.refresh(None, by("bob"))[0]["is_paused"]
