"""One image of a job is skipped while it is drawn, on a tiny pipeline: the others are those of the whole request."""

from collections import Counter

import pytest

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview
from dermaflux.domain.roles import Role, Visitor
from dermaflux.domain.sweep import AxisValues, Sweep
from dermaflux.services import Services
from dermaflux.services.queue_records import JobAction
from dermaflux.services.records import Ended, Finished, Paused, Skipped
from dermaflux.settings import Settings

SPEC = LesionSpec(asymmetry=1.5, border=6, colours=("light brown", "dark brown"), diagnosis="mel")
ANN, BOB = (Visitor(name=name, role=Role.REVIEWER) for name in ("ann", "bob"))


@pytest.fixture
def settings(tiny_models, tmp_path):
    return Settings(models_dir=tiny_models, data_dir=tmp_path / "data", device="cpu")


@pytest.fixture
def services(settings):
    with Services(settings) as services:
        services.start()
        yield services


class Watched:
    """Counts the steps that the worker draws of each image, and does a deed of the test right after one of them."""

    def __init__(self, services, seed=0, candidates=1):
        self.deeds, self.steps = {}, Counter()
        self._generate, self._first, self._candidates = services.generate, seed, candidates
        services.generate = self.generate  # of this object alone

    def generate(self, request, *rest):
        shift = (request.seed - self._first) // self._candidates
        for event in self._generate(request, *rest):
            yield event
            if isinstance(event, StepPreview):
                index = event.image_index + shift
                self.steps[index] += 1
                if deed := self.deeds.pop((index, event.step), None):
                    deed()


def request(**fields):
    return SamplingRequest(caption="a melanoma", spec=SPEC, **{"num_steps": 4, "num_images": 3} | fields)


def submit(services, watched, skips, **fields):
    """A job of Ann's in which images are skipped, each after a step: {image: step}."""
    job = services.submit_generation("ann", request(**fields))
    for index, step in skips.items():
        watched.deeds[index, step] = lambda index=index: services.skip_image(ANN, job.job_id, index)
    return job


def story(events):
    """What became of each image, and how the job ended."""
    told = {event.image_index: type(event) for event in events if isinstance(event, Finished | Skipped)}
    return [told.get(index) for index in range(max(told) + 1)], events[-1].state


def pictures(services, job_id):
    found = [services.image(image_id) for image_id in services.job(job_id).image_ids]
    return [(stored.generated["seed"], services.stored_picture(stored.image_id).tobytes()) for stored in found]


@pytest.mark.parametrize("skipped", [0, 1, 2])
def test_a_skipped_image_ends_at_its_step_and_shifts_no_seed(services, settings, skipped):
    watched = Watched(services, seed=7)
    job = submit(services, watched, {skipped: 2}, seed=7)
    events = list(services.follow(job.job_id))
    assert story(events) == ([Skipped if index == skipped else Finished for index in range(3)], "done")
    assert watched.steps == Counter({index: 2 if index == skipped else 4 for index in range(3)})
    alone = [next(e for e in services.generate(request(seed=7 + i, num_images=1)) if isinstance(e, GeneratedImage))
             for i in range(3) if i != skipped]  # fmt: skip
    assert pictures(services, job.job_id) == [(image.seed, image.image.tobytes()) for image in alone]
    assert services.job(job.job_id).done == 3
    (entry,) = services.queue_view(ANN).mine
    assert (entry.state, entry.done, entry.num_skipped) == ("done", 3, 1)


def test_what_was_skipped_is_told_to_who_comes_later_and_after_a_restart(services, settings):
    job = submit(services, Watched(services), {0: 1})
    list(services.follow(job.job_id))
    assert story(list(services.follow(job.job_id))) == ([Skipped, Finished, Finished], "done")
    services.close()
    with Services(settings) as again:
        assert story(list(again.follow(job.job_id))) == ([Skipped, Finished, Finished], "done")


def test_a_job_of_which_all_is_skipped_is_done_with_nothing(services):
    job = submit(services, Watched(services), {0: 1, 1: 3, 2: 4})
    assert story(list(services.follow(job.job_id))) == ([Skipped] * 3, "done")
    assert services.job(job.job_id).image_ids == () and services.page("any").total == 0
    after = services.submit_generation("ann", request(num_images=1))
    assert story(list(services.follow(after.job_id))) == ([Finished], "done")


def test_of_candidates_all_are_left_off_and_the_next_image_has_its_own(services):
    watched = Watched(services, seed=5, candidates=2)
    job = submit(services, watched, {0: 6}, seed=5, candidates=2)  # in the middle of its second candidate
    assert story(list(services.follow(job.job_id))) == ([Skipped, Finished, Finished], "done")
    assert watched.steps == Counter({0: 6, 1: 8, 2: 8})
    whole = [event for event in services.generate(request(seed=5, candidates=2)) if isinstance(event, GeneratedImage)]
    assert pictures(services, job.job_id) == [(image.seed, image.image.tobytes()) for image in whole[1:]]
    stored = [services.image(image_id) for image_id in services.job(job.job_id).image_ids]
    assert [image.generated["chosen_from"] for image in stored] == [2, 2]


@pytest.mark.slow
def test_a_skip_holds_through_pause_stop_retry_and_the_loss_of_an_earlier_image(services):
    watched = Watched(services)
    job = submit(services, watched, {1: 2}, num_images=4)
    watched.deeds[1, 1] = lambda: services.act_on_job(ANN, job.job_id, JobAction.PAUSE)
    events = services.follow(job.job_id)
    rested = next(event for event in events if isinstance(event, Paused))
    assert 1 <= rested.done < 4
    watched.deeds[3, 2] = lambda: services.cancel(job.job_id)
    services.act_on_job(ANN, job.job_id, JobAction.RESUME)
    assert list(events)[-1].state == "cancelled"
    assert [Finished, Skipped, Finished] == story(list(services.follow(job.job_id)))[0]
    services.purge(services.job(job.job_id).image_ids[:1], "a test")
    services.retry(job.job_id)
    assert story(list(services.follow(job.job_id))) == ([Finished, Skipped, Finished, Finished], "done")
    assert [seed for seed, _ in pictures(services, job.job_id)] == [0, 2, 3]


@pytest.mark.slow
def test_a_wish_that_the_worker_did_not_live_to_fulfil_is_fulfilled_by_the_next_one(services, settings):
    watched = Watched(services)
    job = submit(services, watched, {})

    def wish_and_end():
        services.skip_image(ANN, job.job_id, 1)
        services._worker()._workers[0].ask_to_stop()

    watched.deeds[1, 2] = wish_and_end
    events = services.follow(job.job_id)
    next(event for event in events if isinstance(event, Finished))
    services._worker()._workers[0].stop(60)
    assert services.job(job.job_id).state == "waiting"
    services.close()
    with Services(settings) as again:
        again.start()
        assert story(list(again.follow(job.job_id))) == ([Finished, Skipped, Finished], "done")


def test_a_page_skips_an_image_that_a_worker_apart_is_drawing(settings):
    with Services(settings.model_copy(update={"worker": False})) as page, Services(settings) as apart:
        page.start()
        watched = Watched(apart)
        job = submit(page, watched, {0: 2, 2: 2})
        apart.start_apart()
        assert story(list(page.follow(job.job_id))) == ([Skipped, Finished, Skipped], "done")
        assert watched.steps == Counter({0: 2, 1: 4, 2: 2})


@pytest.mark.slow
def test_of_images_drawn_together_the_named_one_is_thrown_away_and_the_others_go_on(settings):
    with Services(settings.model_copy(update={"speed": "batch=3"})) as services:
        watched = Watched(services)
        job = submit(services, watched, {1: 2}, num_images=4)
        assert story(list(services.follow(job.job_id))) == ([Finished, Skipped, Finished, Finished], "done")
        assert watched.steps == Counter(dict.fromkeys(range(4), 4)), "its batch was drawn once, to the end"
        assert [seed for seed, _ in pictures(services, job.job_id)] == [0, 2, 3]
        watched = Watched(services)
        job = submit(services, watched, {0: 2, 1: 2, 2: 2}, num_images=4)
        assert story(list(services.follow(job.job_id))) == ([Skipped, Skipped, Skipped, Finished], "done")
        assert watched.steps[0] < 4 == watched.steps[3], "nothing of the batch was wanted, so it was left"


def test_who_may_not_stop_a_job_skips_nothing_in_it_and_a_late_wish_is_harmless(services):
    watched = Watched(services)
    job = submit(services, watched, {})
    with pytest.raises(DataNotFound, match="of yours"):
        services.skip_image(BOB, job.job_id, 0)
    watched.deeds[1, 2] = lambda: [services.skip_image(ANN, job.job_id, index) for index in (0, 3, -1)]
    events = services.follow(job.job_id)
    next(event for event in events if isinstance(event, Finished))
    assert list(events)[-1] == Ended(job_id=job.job_id, state="done", error=None)
    services.skip_image(ANN, job.job_id, 2)
    assert len(services.job(job.job_id).image_ids) == 3
    sweep = Sweep(base=request(num_images=1), columns=AxisValues(axis="seed", values=(90, 91)))
    with pytest.raises(InvalidRequest, match="grid or strip"):
        services.skip_image(ANN, services.submit_sweep("ann", sweep).job_id, 0)


def test_an_image_that_is_drawn_to_its_end_when_the_wish_comes_is_kept(services):
    keep = services._keep
    services._keep = lambda image, job, context: (services.skip_image(ANN, job.id, 0), keep(image, job, context))
    job = services.submit_generation("ann", request(num_images=1))
    assert story(list(services.follow(job.job_id))) == ([Finished], "done")
    assert story(list(services.follow(job.job_id))) == ([Finished], "done")
