"""Who is alive, and what becomes of the jobs of those who are not: on SQLite and PostgreSQL."""

import threading
import time

import pytest

from dermaflux.domain.errors import StorageNotWritable
from dermaflux.jobs import JobQueue, JobState
from dermaflux.jobs.heart import Heart
from dermaflux.jobs.roll import DIED_TOO_OFTEN, WorkerRoll

TIMEOUT = 1.0


@pytest.fixture
def queue(engine):
    return JobQueue(engine, worker_timeout_seconds=TIMEOUT)


def die(queue):
    """A worker takes the next job and is never heard of again."""
    job = queue.claims.take(queue.roll.enlist("dead:1"))
    time.sleep(TIMEOUT + 0.2)
    return job


def test_the_job_of_a_dead_worker_goes_back_once_however_many_look(engine, queue, submit):
    job = submit(total=3)
    assert die(queue).id == job.id
    returned, barrier = [], threading.Barrier(5)

    def reap():
        own = JobQueue(engine, worker_timeout_seconds=TIMEOUT)
        barrier.wait()
        returned.extend(own.roll.reap())

    threads = [threading.Thread(target=reap) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert returned == [job.id]
    assert queue.state(job.id) is JobState.WAITING and sum(queue.roll.crews().values()) == 0


def test_a_living_worker_keeps_its_job(queue, submit):
    job, worker_id = submit(), queue.roll.enlist("alive:1")
    queue.claims.take(worker_id)
    for _ in range(4):
        time.sleep(TIMEOUT / 3)
        queue.roll.beat(worker_id, "alive:1")
        assert queue.roll.reap() == ()
    assert queue.claims.skips_asked(job.id, worker_id) is not None and sum(queue.roll.crews().values()) == 1


def test_who_was_taken_for_dead_comes_back_without_the_job(queue, submit):
    job, worker_id = submit(), queue.roll.enlist("asleep:1")
    queue.claims.take(worker_id)
    time.sleep(TIMEOUT + 0.2)
    other = queue.roll.enlist("other:1")
    queue.roll.reap()
    assert queue.claims.take(other).id == job.id
    queue.roll.beat(worker_id, "asleep:1")
    assert queue.claims.skips_asked(job.id, worker_id) is None and sum(queue.roll.crews().values()) == 2
    queue.claims.finish(job.id, worker_id, JobState.FAILED, "I slept")
    assert queue.state(job.id) is JobState.RUNNING
    time.sleep(TIMEOUT + 0.2)
    queue.roll.reap()
    assert queue.state(job.id) is JobState.WAITING, "the first death was none, so this is the first"


@pytest.mark.slow
def test_a_job_that_kills_a_second_worker_has_failed_and_may_be_tried_again_by_hand(queue, submit):
    job = submit(total=2)
    for state in (JobState.WAITING, JobState.FAILED):
        die(queue)
        assert queue.roll.reap() == (job.id,)
        assert queue.state(job.id) is state
    assert queue.get(job.id).error == DIED_TOO_OFTEN and queue.get(job.id).finished_at is not None
    assert queue.claims.take("w") is None
    queue.retry(job.id)
    die(queue)
    queue.roll.reap()
    assert queue.state(job.id) is JobState.WAITING  # it counts from the start again


def test_a_job_whose_owner_asked_for_a_pause_rests_after_its_worker_died(queue, submit):
    job = submit(total=2)
    queue.claims.take(queue.roll.enlist("dead:1"))
    queue.pause(job.id)
    time.sleep(TIMEOUT + 0.2)
    queue.roll.reap()
    assert queue.state(job.id) is JobState.PAUSED


@pytest.mark.slow
def test_who_was_cut_off_does_not_judge_the_others_at_once(queue, submit, monkeypatch):
    """The database is away for longer than the timeout: nobody is dead, though nobody could beat."""
    hearts, cut_off, beat = [Heart(queue.roll) for _ in range(2)], threading.Event(), WorkerRoll.beat

    def beat_if_connected(self, worker_id, name):
        if cut_off.is_set():
            raise StorageNotWritable("The database is away.")
        beat(self, worker_id, name)

    monkeypatch.setattr(WorkerRoll, "beat", beat_if_connected)
    for heart in hearts:
        heart.start()
    job = submit()
    queue.claims.take(hearts[0].worker_id)
    cut_off.set()
    time.sleep(2 * TIMEOUT)
    cut_off.clear()
    time.sleep(TIMEOUT)
    assert queue.claims.skips_asked(job.id, hearts[0].worker_id) is not None
    for heart in hearts:
        heart.stop()
    assert sum(queue.roll.crews().values()) == 0
