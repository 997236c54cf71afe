import logging
import threading
import time

import pytest
from sqlalchemy import text

from dermaflux.domain.errors import Cancelled, DataNotFound, ModelNotAvailable, StorageNotWritable
from dermaflux.jobs import (
    SKIPPED,
    Ended,
    Following,
    JobChannels,
    JobQueue,
    JobState,
    JobWorker,
    Paused,
    Progress,
    Result,
    Update,
    Waiting,
)
from dermaflux.jobs.claims import JobClaims
from dermaflux.jobs.worker import INTERNAL_ERROR

WAIT = 20


class Stepper:
    """A handler that works in steps and lets a test decide when each one happens."""

    def __init__(self, steps=3, free=True):
        self.steps = steps
        self.started = threading.Event()
        self.go = threading.Semaphore(0)
        self.free = free

    def __call__(self, job, context):
        for index in range(len(job.result), job.total):
            for step in range(self.steps):
                self.started.set()
                if not self.free:
                    while not self.go.acquire(timeout=0.02):
                        if context.should_stop():
                            raise Cancelled("stopped")
                if context.should_stop():
                    raise Cancelled("stopped")
                context.publish(Update(key=index, data=step))
            context.add_result(f"image-{index}")
            context.publish(Result(key=index, data=f"image-{index}"))
            context.progress(index + 1, job.total)

    def let(self, steps):
        for _ in range(steps):
            self.go.release()


@pytest.fixture
def channels():
    return JobChannels()


@pytest.fixture
def follow(queue, channels):
    """Follow a job as a page in the worker's process does."""
    return Following(queue, channels).follow


@pytest.fixture
def follow_elsewhere(queue):
    """Follow a job as a page in another process does."""
    return Following(queue, JobChannels(), bytes.decode).follow


@pytest.fixture
def start(queue, channels):
    """Start a worker over handlers; it is stopped when the test ends."""
    workers = []

    def run(begin=True, pack=None, **handlers):
        worker = JobWorker(queue, handlers, channels, poll_seconds=0.2, pack=pack)
        workers.append(worker)
        if begin:
            worker.start()
        return worker

    yield run
    for worker in workers:
        assert worker.stop(WAIT)


def results(events):
    return [event.data for event in events if isinstance(event, Result)]


def test_a_job_runs_to_its_end_and_its_follower_sees_it_all(queue, submit, start, follow):
    job = submit(total=2)
    worker = start(generate=Stepper(), begin=False)
    following = follow(job.id)
    assert isinstance(next(following), Waiting)  # a follower who comes after the end would see Ended alone
    worker.start()
    events = list(following)
    assert results(events) == ["image-0", "image-1"]
    assert isinstance(events[-1], Ended) and events[-1].job == queue.get(job.id)
    assert sum(isinstance(event, Ended) for event in events) == 1
    done = queue.get(job.id)
    assert (done.state, done.done, done.total, done.result) == (
        JobState.DONE,
        2,
        2,
        ("image-0", "image-1"),
    )
    assert done.started_at is not None and done.finished_at is not None


def test_a_follower_of_a_waiting_job_hears_its_place_then_the_work(queue, submit, start, follow):
    handler = Stepper(free=False)
    start(generate=handler)
    first = submit("ann")
    handler.started.wait(WAIT)
    second, third = submit("ann"), submit("ann")
    follower = follow(third.id)
    assert next(follower) == Waiting(ahead=1)
    queue.cancel(second.id)
    assert next(follower) == Waiting(ahead=0)
    handler.let(100)
    events = list(follower)
    assert results(events) == ["image-0"] and isinstance(events[-1], Ended)
    assert queue.state(first.id) is JobState.DONE


def test_very_short_jobs_lose_no_result_for_a_follower_who_came_before(queue, submit, start, follow):
    start(generate=Stepper(steps=1))
    for _ in range(25):
        job = submit()
        events = list(follow(job.id))
        assert isinstance(events[-1], Ended)
        # Attached while it waited or ran: the result came. Attached after: the database has it.
        assert results(events) == ["image-0"] or events == [Ended(job=queue.get(job.id))]
        assert events[-1].job.result == ("image-0",)


def test_a_page_that_attaches_again_gets_the_present_state_first(submit, start, follow):
    handler = Stepper(steps=3, free=False)
    start(generate=handler)
    job = submit(total=2)
    early = follow(job.id)
    handler.let(3 + 2)  # the first image and two steps of the second
    seen = []
    while not (seen and seen[-1] == Update(key=1, data=1)):
        seen.append(next(early))
    late = follow(job.id)
    replay = [next(late) for _ in range(3)]
    assert replay == [
        Result(key=0, data="image-0"),
        Progress(done=1, total=2),
        Update(key=1, data=1),
    ]
    early.close()
    handler.let(1)
    assert results(list(late)) == ["image-1"]


def test_a_follower_of_a_finished_job_returns_at_once_from_the_database(queue, submit, start, follow):
    start(generate=Stepper())
    job = submit()
    list(follow(job.id))
    began = time.monotonic()
    assert list(follow(job.id)) == [Ended(job=queue.get(job.id))]
    assert time.monotonic() - began < 1
    with pytest.raises(DataNotFound):
        follow("nope")


def test_cancelling_a_running_job_frees_the_worker_and_keeps_what_is_finished(queue, submit, start, follow, until):
    handler = Stepper(steps=2, free=False)
    start(generate=handler)
    job, after = submit(total=3), submit()
    follower = follow(job.id)
    handler.let(3)  # one image, one step of the next
    until(lambda: queue.get(job.id).done == 1)
    queue.cancel(job.id)
    events = list(follower)
    assert events[-1].job.state is JobState.CANCELLED
    assert results(events) == ["image-0"] and queue.get(job.id).result == ("image-0",)
    handler.let(10)
    assert list(follow(after.id))[-1].job.state is JobState.DONE


def test_a_job_can_be_cancelled_from_another_process_over_the_database(engine, queue, submit, start, follow):
    handler = Stepper(free=False)
    start(generate=handler)
    job = submit()
    handler.started.wait(WAIT)
    JobQueue(engine).cancel(job.id)
    assert list(follow(job.id))[-1].job.state is JobState.CANCELLED


def test_cancelling_a_waiting_job_ends_its_followers(queue, submit, follow):
    job = submit()  # no worker is there
    follower = follow(job.id)
    assert next(follower) == Waiting(ahead=0)
    queue.cancel(job.id)
    assert list(follower) == [Ended(job=queue.get(job.id))]


def test_a_job_of_another_process_is_followed_over_the_database(queue, submit, take, worker_id, follow_elsewhere):
    job = submit(total=3)
    take()
    follower = follow_elsewhere(job.id)
    assert next(follower) == Progress(done=0, total=3)
    queue.previews.put(job.id, 0, b"a preview")
    assert next(follower) == Update(key=0, data="a preview")
    queue.claims.add_result(job.id, worker_id, "image-0")
    assert next(follower) == Result(key=0, data="image-0")
    queue.previews.put(job.id, 0, b"too late")  # of a part that is finished: nobody is told
    queue.claims.record_progress(job.id, worker_id, 1, 1.0)
    assert next(follower) == Progress(done=1, total=3)
    queue.pause(job.id)
    queue.claims.give_back(job.id, worker_id)
    assert next(follower) == Paused(done=1, total=3)
    queue.resume(job.id)
    assert next(follower) == Waiting(ahead=0)
    take()
    queue.claims.finish(job.id, worker_id, JobState.DONE)
    assert [event for event in follower if not isinstance(event, Progress)] == [Ended(job=queue.get(job.id))]


def test_a_worker_relays_previews_seldom_and_leaves_none_behind(engine, queue, submit, start, follow_elsewhere):
    puts, put = [], queue.previews.put
    queue.previews.put = lambda *preview: (puts.append(preview), put(*preview))
    handler = Stepper(steps=40, free=False)
    job = submit(total=1)
    follower = follow_elsewhere(job.id)
    start(generate=handler, pack=lambda step: f"step {step}".encode())
    handler.let(20)
    seen = next(event for event in follower if isinstance(event, Update))
    assert seen.data.startswith("step ")
    began = time.monotonic()
    handler.let(20)
    assert isinstance(list(follower)[-1], Ended)
    assert 1 <= len(puts) <= 3 + 2 * (time.monotonic() - began), "forty steps, two a second"
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM job_previews")) == 0


def test_pausing_a_running_job_keeps_what_is_finished_and_resuming_makes_only_the_rest(
    queue, submit, start, follow, until
):
    handler = Stepper(steps=2, free=False)
    start(generate=handler)
    job = submit(total=3)
    follower = follow(job.id)
    handler.let(1)
    handler.started.wait(WAIT)
    queue.pause(job.id)
    handler.let(1)
    until(lambda: queue.state(job.id) is JobState.PAUSED)
    assert queue.get(job.id).result == ("image-0",)
    other = submit("bob")
    handler.let(2)
    until(lambda: queue.state(other.id) is JobState.DONE)  # the worker is free meanwhile
    heard = []
    while not (heard and isinstance(heard[-1], Paused)):
        heard.append(next(follower))
    assert results(heard) == ["image-0"]
    queue.resume(job.id)
    handler.let(4)  # two images, not three
    rest = list(follower)
    assert results(rest) == ["image-1", "image-2"] and rest[-1].job.state is JobState.DONE
    assert handler.go.acquire(blocking=False) is False
    assert results(list(follow(job.id))) == [], "the database has them"


def test_a_part_is_skipped_over_the_database_and_every_follower_hears_it_once(
    engine, queue, submit, start, follow, follow_elsewhere
):
    at_first = threading.Event()

    def handler(job, context):
        for part in range(len(job.result), job.total):
            at_first.set()
            while part == 0 and 0 not in context.parts_to_skip():
                time.sleep(0.02)
            if part in context.parts_to_skip():
                context.pass_over(part, job.total)
                continue
            context.add_result(f"image-{part}")
            context.publish(Result(key=part, data=f"image-{part}"))
            context.progress(part + 1, job.total)

    start(generate=handler)
    job = submit(total=3)
    here, elsewhere = follow(job.id), follow_elsewhere(job.id)
    assert at_first.wait(WAIT)
    other_process = JobQueue(engine)
    other_process.skip(job.id, 2)
    other_process.skip(job.id, 0)
    for events in (list(here), list(elsewhere)):
        assert events[-1].job.state is JobState.DONE and events[-1].job.done == 3
        assert events[-1].job.result == (SKIPPED, "image-1", SKIPPED)
        heard = [(event.key, event.data) for event in events if isinstance(event, Result)]
        assert len(heard) == len(set(heard)) and set(heard) <= {(0, SKIPPED), (1, "image-1"), (2, SKIPPED)}


def test_who_comes_back_to_a_resumed_job_hears_of_what_was_finished_before(queue, submit, start, follow, until):
    handler = Stepper(steps=1, free=False)
    start(generate=handler)
    job = submit(total=2)
    handler.started.wait(WAIT)
    queue.pause(job.id)
    handler.let(1)
    until(lambda: queue.state(job.id) is JobState.PAUSED)
    early = follow(job.id)
    # Progress may be told at any time: the row says paused, or running, a moment before or after the channel does.
    told = (event for event in early if not isinstance(event, Progress))
    assert [next(told), next(told)] == [Result(key=0, data="image-0"), Paused(done=1, total=2)]
    queue.resume(job.id)
    until(lambda: queue.state(job.id) is JobState.RUNNING)
    late = (event for event in follow(job.id) if not isinstance(event, Progress))
    assert next(late) == Result(key=0, data="image-0")
    handler.let(1)
    assert results(list(late)) == results(list(early)) == ["image-1"]


def test_a_paused_queue_sends_a_running_job_back_into_the_line(queue, submit, start, follow, until):
    handler = Stepper(steps=1, free=False)
    start(generate=handler)
    job = submit(total=2)
    handler.started.wait(WAIT)
    queue.pause_all("root")
    handler.let(1)
    until(lambda: queue.state(job.id) is JobState.WAITING)
    handler.let(1)
    time.sleep(0.5)
    assert queue.state(job.id) is JobState.WAITING
    queue.resume_all()
    assert list(follow(job.id))[-1].job.result == ("image-0", "image-1")


def test_errors_of_ours_and_of_the_user_end_the_job_but_not_the_worker(queue, submit, start, caplog, follow):
    def fail(job, context):
        if job.payload["how"] == "user":
            raise ModelNotAvailable("The weights are missing. Install them.")
        raise ZeroDivisionError("secret detail")

    start(generate=fail, fine=Stepper())
    mistake, fault, fine = submit(how="user"), submit(how="fault"), submit(kind="fine")
    assert list(follow(mistake.id))[-1].job.error == "The weights are missing. Install them."
    with caplog.at_level(logging.ERROR):
        ended = list(follow(fault.id))[-1].job
    assert (ended.state, ended.error) == (JobState.FAILED, INTERNAL_ERROR)
    assert list(follow(fine.id))[-1].job.state is JobState.DONE
    assert "secret detail" in caplog.text
    again = queue.retry(mistake.id)
    assert list(follow(again.id))[-1].job.state is JobState.FAILED


def test_a_retried_job_is_followed_anew_while_an_old_follower_still_holds_its_channel(
    queue, submit, start, follow, until
):
    fail_first = iter([True, False])

    def handler(job, context):
        context.publish(Result(key=0, data="x"))
        if next(fail_first):
            raise ModelNotAvailable("not yet")

    worker = start(generate=handler, begin=False)
    job = submit()
    old = follow(job.id)
    next(old)
    worker.start()
    until(lambda: queue.state(job.id) is JobState.FAILED)
    queue.retry(job.id)
    assert list(follow(job.id))[-1].job.state is JobState.DONE
    assert list(old)[-1].job.state is JobState.FAILED


def test_stopping_the_program_puts_the_job_back_and_the_next_start_goes_on_with_it(queue, submit, channels, follow):
    handler = Stepper(steps=2, free=False)
    worker = JobWorker(queue, {"generate": handler}, channels, poll_seconds=0.2)
    worker.start()
    job, waiting = submit(total=2), submit()
    follower = follow(job.id)
    handler.let(3)
    assert next(event for event in follower if isinstance(event, Result)).data == "image-0"
    assert worker.stop(WAIT) and sum(queue.roll.crews().values()) == 0
    assert queue.state(job.id) is queue.state(waiting.id) is JobState.WAITING
    after = JobWorker(queue, {"generate": Stepper()}, channels, poll_seconds=0.2)
    after.start()
    rest = list(follower)  # who followed hears the rest
    assert results(rest) == ["image-1"] and rest[-1].job.state is JobState.DONE
    assert list(follow(waiting.id))[-1].job.state is JobState.DONE
    assert after.stop(WAIT)


def test_a_step_that_does_not_end_loses_its_job_and_its_say(queue, submit, start):
    released, spoilt = threading.Event(), []

    def deaf(job, context):
        released.wait(WAIT)
        try:
            context.add_result("too late")
        except Cancelled as error:
            spoilt.append(error)
            raise

    worker = JobWorker(queue, {"generate": deaf}, poll_seconds=0.2)
    worker.start()
    job = submit()
    while queue.state(job.id) is not JobState.RUNNING:
        time.sleep(0.01)
    assert worker.stop(0.1) is False
    assert queue.state(job.id) is JobState.WAITING
    released.set()
    assert worker.stop(WAIT)
    assert spoilt and queue.get(job.id).result == () and queue.state(job.id) is JobState.WAITING


def test_a_worker_that_was_not_started_stops(queue):
    assert JobWorker(queue, {}).stop(0.1)


def test_the_worker_survives_a_database_that_fails_for_a_while(queue, submit, start, monkeypatch, caplog, follow):
    failures = iter([True, True])
    take = JobClaims.take

    def failing(self, worker_id, kinds=None):
        if next(failures, False):
            raise StorageNotWritable("The disk is full.")
        return take(self, worker_id, kinds)

    monkeypatch.setattr(JobClaims, "take", failing)
    start(generate=Stepper())
    job = submit()
    assert list(follow(job.id))[-1].job.state is JobState.DONE
    assert "no job could be claimed" in caplog.text


def test_many_followers_all_hear_every_result(submit, start, follow):
    start(generate=Stepper(steps=5))
    job = submit(total=8)
    heard = [[] for _ in range(12)]

    def listen(events):
        for event in follow(job.id):
            events.append(event)
            time.sleep(0.003)  # slow: updates may be skipped, results never

    threads = [threading.Thread(target=listen, args=(events,)) for events in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    for events in heard:
        assert isinstance(events[-1], Ended)
        assert set(results(events)) <= {f"image-{i}" for i in range(8)}
        if not isinstance(events[0], Ended):  # it came in time
            assert len(results(events)) == 8
