import logging
import subprocess
import sys
import threading
import time

import pytest

from dermaflux.domain.errors import Cancelled, DataNotFound, ModelNotAvailable, StorageNotWritable
from dermaflux.jobs import Ended, JobQueue, JobState, JobWorker, Progress, Result, Update, Waiting
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
        for index in range(job.total):
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
def start(queue):
    """Start a worker over handlers; it is stopped when the test ends."""
    workers = []

    def run(begin=True, **handlers):
        worker = JobWorker(queue, handlers, poll_seconds=0.2)
        workers.append(worker)
        if begin:
            worker.start()
        return worker

    yield run
    for worker in workers:
        assert worker.stop(WAIT)


def until(condition):
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def results(events):
    return [event.data for event in events if isinstance(event, Result)]


def test_a_job_runs_to_its_end_and_its_follower_sees_it_all(queue, submit, start):
    job = submit(total=2)
    worker = start(generate=Stepper(), begin=False)
    following = worker.follow(job.id)
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


def test_a_follower_of_a_waiting_job_hears_its_place_then_the_work(queue, submit, start):
    handler = Stepper(free=False)
    worker = start(generate=handler)
    first = submit("ann")
    handler.started.wait(WAIT)
    second, third = submit("ann"), submit("ann")
    follower = worker.follow(third.id)
    assert next(follower) == Waiting(ahead=1)
    queue.cancel(second.id)
    assert next(follower) == Waiting(ahead=0)
    handler.let(100)
    events = list(follower)
    assert results(events) == ["image-0"] and isinstance(events[-1], Ended)
    assert queue.state(first.id) is JobState.DONE


def test_very_short_jobs_lose_no_result_for_a_follower_who_came_before(queue, submit, start):
    worker = start(generate=Stepper(steps=1))
    for _ in range(25):
        job = submit()
        events = list(worker.follow(job.id))
        assert isinstance(events[-1], Ended)
        # Attached while it waited or ran: the result came. Attached after: the database has it.
        assert results(events) == ["image-0"] or events == [Ended(job=queue.get(job.id))]
        assert events[-1].job.result == ("image-0",)


def test_a_page_that_attaches_again_gets_the_present_state_first(submit, start):
    handler = Stepper(steps=3, free=False)
    worker = start(generate=handler)
    job = submit(total=2)
    early = worker.follow(job.id)
    handler.let(3 + 2)  # the first image and two steps of the second
    seen = []
    while not (seen and seen[-1] == Update(key=1, data=1)):
        seen.append(next(early))
    late = worker.follow(job.id)
    replay = [next(late) for _ in range(3)]
    assert replay == [
        Result(key=0, data="image-0"),
        Progress(done=1, total=2),
        Update(key=1, data=1),
    ]
    early.close()
    handler.let(1)
    assert results(list(late)) == ["image-1"]


def test_a_follower_of_a_finished_job_returns_at_once_from_the_database(queue, submit, start):
    worker = start(generate=Stepper())
    job = submit()
    list(worker.follow(job.id))
    began = time.monotonic()
    assert list(worker.follow(job.id)) == [Ended(job=queue.get(job.id))]
    assert time.monotonic() - began < 1
    with pytest.raises(DataNotFound):
        worker.follow("nope")


def test_cancelling_a_running_job_frees_the_worker_and_keeps_what_is_finished(queue, submit, start):
    handler = Stepper(steps=2, free=False)
    worker = start(generate=handler)
    job, after = submit(total=3), submit()
    follower = worker.follow(job.id)
    handler.let(3)  # one image, one step of the next
    until(lambda: queue.get(job.id).done == 1)
    queue.cancel(job.id)
    events = list(follower)
    assert events[-1].job.state is JobState.CANCELLED
    assert results(events) == ["image-0"] and queue.get(job.id).result == ("image-0",)
    handler.let(10)
    assert list(worker.follow(after.id))[-1].job.state is JobState.DONE


def test_a_job_can_be_cancelled_from_another_process_over_the_database(
    engine, queue, submit, start
):
    handler = Stepper(free=False)
    worker = start(generate=handler)
    job = submit()
    handler.started.wait(WAIT)
    JobQueue(engine).cancel(job.id)
    assert list(worker.follow(job.id))[-1].job.state is JobState.CANCELLED


def test_cancelling_a_waiting_job_ends_its_followers(queue, submit):
    worker = JobWorker(queue, {})  # not started: as when another process works
    job = submit()
    follower = worker.follow(job.id)
    assert next(follower) == Waiting(ahead=0)
    queue.cancel(job.id)
    assert list(follower) == [Ended(job=queue.get(job.id))]


def test_a_job_of_another_process_is_followed_over_the_database(queue, submit):
    worker = JobWorker(queue, {})
    job = submit(total=2)
    queue.claim_next()
    follower = worker.follow(job.id)
    assert next(follower) == Progress(done=0, total=2)
    queue.record_progress(job.id, 1, 2)
    assert next(follower) == Progress(done=1, total=2)
    queue.finish(job.id, JobState.DONE)
    assert [type(event) for event in follower] == [Ended]


def test_errors_of_ours_and_of_the_user_end_the_job_but_not_the_worker(
    queue, submit, start, caplog
):
    def fail(job, context):
        if job.payload["how"] == "user":
            raise ModelNotAvailable("The weights are missing. Install them.")
        raise ZeroDivisionError("secret detail")

    worker = start(generate=fail, fine=Stepper())
    mistake, fault, fine = submit(how="user"), submit(how="fault"), submit(kind="fine")
    assert list(worker.follow(mistake.id))[-1].job.error == "The weights are missing. Install them."
    with caplog.at_level(logging.ERROR):
        ended = list(worker.follow(fault.id))[-1].job
    assert (ended.state, ended.error) == (JobState.FAILED, INTERNAL_ERROR)
    assert list(worker.follow(fine.id))[-1].job.state is JobState.DONE
    assert "secret detail" in caplog.text
    again = queue.retry(mistake.id)
    assert list(worker.follow(again.id))[-1].job.state is JobState.FAILED


def test_a_retried_job_is_followed_anew_while_an_old_follower_still_holds_its_channel(
    queue, submit, start
):
    fail_first = iter([True, False])

    def handler(job, context):
        context.publish(Result(key=0, data="x"))
        if next(fail_first):
            raise ModelNotAvailable("not yet")

    worker = start(generate=handler, begin=False)
    job = submit()
    old = worker.follow(job.id)
    next(old)
    worker.start()
    until(lambda: queue.state(job.id) is JobState.FAILED)
    queue.retry(job.id)
    assert list(worker.follow(job.id))[-1].job.state is JobState.DONE
    assert list(old)[-1].job.state is JobState.FAILED


def test_stopping_the_program_interrupts_the_job_and_a_restart_can_retry_it(queue, submit):
    handler = Stepper(free=False)
    worker = JobWorker(queue, {"generate": handler}, poll_seconds=0.2)
    worker.start()
    job, waiting = submit(), submit()
    handler.started.wait(WAIT)
    assert worker.stop(WAIT)
    assert (
        queue.state(job.id) is JobState.INTERRUPTED and queue.state(waiting.id) is JobState.WAITING
    )
    queue.retry(job.id)
    after = JobWorker(queue, {"generate": Stepper()}, poll_seconds=0.2)
    after.start()
    for one in (job, waiting):
        assert list(after.follow(one.id))[-1].job.state is JobState.DONE
    assert after.stop(WAIT)


def test_start_marks_what_a_killed_process_left(queue, submit, start):
    job = submit()
    queue.claim_next()
    worker = start(generate=Stepper())
    assert list(worker.follow(job.id)) == [Ended(job=queue.get(job.id))]
    assert queue.state(job.id) is JobState.INTERRUPTED


def test_a_worker_that_was_not_started_stops(queue):
    assert JobWorker(queue, {}).stop(0.1)


def test_the_worker_survives_a_database_that_fails_for_a_while(
    queue, submit, start, monkeypatch, caplog
):
    failures = iter([True, True])
    claim = JobQueue.claim_next

    def failing(self, kinds=None):
        if next(failures, False):
            raise StorageNotWritable("The disk is full.")
        return claim(self, kinds)

    monkeypatch.setattr(JobQueue, "claim_next", failing)
    worker = start(generate=Stepper())
    job = submit()
    assert list(worker.follow(job.id))[-1].job.state is JobState.DONE
    assert "no job could be claimed" in caplog.text


def test_many_followers_all_hear_every_result(submit, start):
    worker = start(generate=Stepper(steps=5))
    job = submit(total=8)
    heard = [[] for _ in range(12)]

    def listen(events):
        for event in worker.follow(job.id):
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


KILLED = """
import sys, time
from sqlalchemy import create_engine
from dermaflux.jobs import JobQueue, JobWorker

def forever(job, context):
    context.add_result("image-0")
    print("working", flush=True)
    time.sleep(600)

JobWorker(JobQueue(create_engine(sys.argv[1])), {"generate": forever}).start()
time.sleep(600)
"""


def test_a_process_killed_at_work_leaves_a_job_that_can_be_retried(engine, queue, submit, start):
    job = submit(total=2)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(engine.url)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "working\n"
        process.kill()
    left = queue.get(job.id)
    assert left.state is JobState.RUNNING and left.result == ("image-0",)
    worker = start(generate=Stepper())
    assert queue.state(job.id) is JobState.INTERRUPTED
    queue.retry(job.id)
    assert list(worker.follow(job.id))[-1].job.result == ("image-0", "image-1")
