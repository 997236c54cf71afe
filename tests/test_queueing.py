"""The queue through services: who sees what, pause and resume of a real request, and workers apart from the page."""

import os
import signal
import subprocess
import sys
import time

import pytest

from dermaflux.domain.errors import DataNotFound, InvalidRequest, NotAllowed
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services import Services
from dermaflux.services.preview_bytes import pack_preview, unpack_preview
from dermaflux.services.queue_records import JobAction, asked_in_words
from dermaflux.services.records import Ended, Finished, Paused, Preview
from dermaflux.settings import Settings

SPEC = LesionSpec(asymmetry=1.5, border=6, colours=("light brown", "dark brown"), diagnosis="mel")
ANN, BOB = (Visitor(name=name, role=Role.REVIEWER) for name in ("ann", "bob"))
ROOT = Visitor(name="root", role=Role.ADMIN)


def request(services, **fields):
    return SamplingRequest(caption=services.compose_caption(SPEC), spec=SPEC, **fields)


@pytest.fixture
def settings(tiny_models, tmp_path):
    return Settings(models_dir=tiny_models, data_dir=tmp_path / "data", device="cpu")


@pytest.fixture
def page(settings):
    """A page whose work others do."""
    with Services(settings.model_copy(update={"worker": False})) as services:
        services.start()
        yield services


def pictures(services, job):
    """The pixels, seeds and candidates of a job's images, in their order."""
    found = [services.image(image_id) for image_id in services.job(job.job_id).image_ids]
    assert len(found) == job.total
    return [
        (services.stored_picture(image.image_id).tobytes(), image.generated["seed"], image.generated["chosen_from"])
        for image in found
    ]


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_everyone_sees_their_own_jobs_and_of_others_only_that_they_are_there(page):
    mine = page.submit_generation("ann", request(page, num_images=8))
    page.submit_generation("bob", SamplingRequest(caption="bob's own words", num_images=2))
    view = page.queue_view(ANN)
    (entry,), (other,) = view.mine, view.others
    assert (entry.job_id, entry.asked) == (mine.job_id, "8 × melanoma · asymmetry 1.5 · border 6 · 2 colours · seed 0")
    assert (entry.ahead, entry.begins_in, entry.ends_in) == (0, 0, None)
    assert (other.ahead, other.total) == (1, 2)
    assert (other.job_id, other.owner, other.asked, other.actions) == ("", "", "", ())
    assert view.num_workers == 0 and not view.may_pause_all
    seen_by_admin = page.queue_view(ROOT)
    assert [entry.owner for entry in seen_by_admin.others] == ["ann", "bob"]
    assert {entry.asked for entry in seen_by_admin.others} == {""}, "captions are nobody else's"


def test_only_its_owner_and_an_administrator_may_act_on_a_job(page):
    job = page.submit_generation("ann", request(page))
    for action in (JobAction.PAUSE, JobAction.CANCEL, JobAction.RETRY):
        with pytest.raises(DataNotFound, match=r"no job .* of yours"):
            page.act_on_job(BOB, job.job_id, action)
    with pytest.raises(DataNotFound):
        page.job_of(BOB, job.job_id)
    for visitor in (ANN, ROOT):
        page.act_on_job(visitor, job.job_id, JobAction.PAUSE)
        assert page.job(job.job_id).state == "paused"
        page.act_on_job(visitor, job.job_id, JobAction.RESUME)
    page.act_on_job(ANN, job.job_id, JobAction.CANCEL)
    with pytest.raises(InvalidRequest, match="is cancelled"):
        page.act_on_job(ANN, job.job_id, JobAction.PAUSE)
    assert page.clear_jobs(ANN) == 1 and page.queue_view(ANN).mine == ()


def test_the_whole_queue_is_an_administrators_to_pause(page):
    with pytest.raises(NotAllowed):
        page.pause_queue(ANN)
    page.pause_queue(ROOT)
    assert page.queue_view(ANN).is_paused and page.queue_view(ANN).paused_by == ""
    assert page.queue_view(ROOT).paused_by == "root"
    with pytest.raises(NotAllowed):
        page.resume_queue(ANN)
    page.resume_queue(ROOT)
    assert not page.queue_view(ANN).is_paused


def test_what_was_asked_is_said_in_few_words():
    free = asked_in_words("generate", {"caption": "a mole " * 40, "spec": None}, 1)
    assert free.startswith("1 × a mole a mole") and free.endswith("…") and len(free) < 90
    assert asked_in_words("other", {"cells": []}, 9) == "9 × other"


@pytest.mark.slow
def test_images_made_in_two_goes_are_those_made_in_one(settings, tmp_path):
    with Services(settings) as services:
        job = services.submit_generation("ann", request(services, num_images=4, seed=5, candidates=2))
        events = services.follow(job.job_id)
        first = next(event for event in events if isinstance(event, Finished))
        services.act_on_job(ANN, job.job_id, JobAction.PAUSE)
        rested = next(event for event in events if isinstance(event, Paused))
        assert 1 <= rested.done < 4
        before = services.job(job.job_id).image_ids
        assert before[0] == first.stored.image_id
        services.act_on_job(ANN, job.job_id, JobAction.RESUME)
        rest = [event for event in events if isinstance(event, Finished)]
        assert services.job(job.job_id).image_ids[: len(before)] == before
        assert [event.image_index for event in rest][-1] == 3
        in_two_goes = pictures(services, job)
        assert services.queue_view(ANN).mine[0].state == "done"
        pace = services._queue().outlook({})
        assert pace.running == pace.waiting == ()
        services.submit_generation("ann", request(services, num_images=2, candidates=2))
        assert services.queue_view(ANN).mine[0].ends_in is not None, "the pace was measured"
    again = settings.model_copy(update={"data_dir": tmp_path / "again"})
    with Services(again) as services:
        job = services.submit_generation("ann", request(services, num_images=4, seed=5, candidates=2))
        list(services.follow(job.job_id))
        assert pictures(services, job) == in_two_goes


@pytest.mark.slow
def test_trying_again_draws_only_what_is_missing_or_was_removed(settings):
    with Services(settings) as services:
        job = services.submit_generation("ann", request(services, num_images=3, num_steps=20))
        events = services.follow(job.job_id)
        made = [next(event for event in events if isinstance(event, Finished)) for _ in range(2)]
        services.cancel(job.job_id)
        list(events)
        kept = services.job(job.job_id).image_ids
        services.purge((made[1].stored.image_id,), "a test")
        services.act_on_job(ANN, job.job_id, JobAction.RETRY)
        assert list(services.follow(job.job_id))[-1] == Ended(job_id=job.job_id, state="done", error=None)
        images = services.job(job.job_id).image_ids
        assert images[0] == kept[0] and len(images) == 3 == services.job(job.job_id).done
        seeds = [services.image(image_id).generated["seed"] for image_id in images]
        assert seeds == [0, 1, 2]


def test_a_preview_survives_its_way_through_the_database(page):
    preview = next(event for event in page.generate(request(page, num_images=1)))
    content = pack_preview(preview)
    read = unpack_preview(content)
    assert (read.image_index, read.step, read.num_steps) == (preview.image_index, preview.step, preview.num_steps)
    assert read.image.size == preview.image.size and len(content) < 20_000
    assert pack_preview("loading") is None


@pytest.mark.long
@pytest.mark.slow
def test_workers_apart_do_the_jobs_of_a_page_and_a_killed_one_loses_nothing(new_database, tiny_models, tmp_path):
    """The verb itself on both databases: two processes, one killed at work; the page sees previews and every image."""
    data = tmp_path / "data"
    with new_database(data) as url:
        settings = Settings(
            models_dir=tiny_models, data_dir=data, database_url=url, device="cpu", worker=False, worker_timeout_s=20
        )
        variables = {
            "DERMAFLUX_DATA_DIR": str(data), "DERMAFLUX_DATABASE_URL": url, "DERMAFLUX_DEVICE": "cpu",
            "DERMAFLUX_MODELS_DIR": str(tiny_models), "DERMAFLUX_WORKER_TIMEOUT_S": "20",
        }  # fmt: skip
        command = [sys.executable, "-m", "dermaflux", "worker"]
        with Services(settings) as page:
            page.start()
            jobs = [
                page.submit_generation(user, request(page, num_images=6, num_steps=40, seed=seed))
                for seed, user in ((0, "ann"), (100, "bob"))  # apart: the same seed would be the same image
            ]
            log = (tmp_path / "log").open("w")
            workers = [subprocess.Popen(command, env=os.environ | variables, stdout=log, stderr=log) for _ in "ab"]
            try:
                events = page.follow(jobs[0].job_id)
                assert any(isinstance(event, Preview) for event in events), "previews reach the page"
                until(lambda: page.job(jobs[0].job_id).done >= 1 or page.job(jobs[0].job_id).state == "done", 240)
                workers[0].kill()
                for job in jobs:
                    assert list(page.follow(job.job_id))[-1].state == "done"
                    images = page.job(job.job_id).image_ids
                    assert len(images) == len(set(images)) == 6
                assert page.page("any").total == 12, "no image twice, none lost"
                workers[1].send_signal(signal.SIGTERM)
                assert workers[1].wait(60) == 0
            finally:
                for worker in workers:
                    worker.kill()
                    worker.wait()
                log.close()
