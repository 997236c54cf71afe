"""Real worker processes on one database, killed and stopped at work: every part of every job is made exactly once."""

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from dermaflux.jobs import JobQueue, JobState

TIMEOUT = 3.0
# A handler that writes down each part it finishes in a file of its own, and dies over jobs that say so.
WORKER = """
import os, signal, sys, threading, time
from dermaflux.curation.database import open_engine
from dermaflux.domain.errors import Cancelled
from dermaflux.jobs import JobQueue, JobWorker

def make(job, context):
    for index in range(len(job.result), job.total):
        print("at", job.id, index, flush=True)
        if job.payload.get("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        end = time.monotonic() + job.payload["seconds"]
        while time.monotonic() < end:
            time.sleep(0.02)
            if context.should_stop():
                raise Cancelled("stopped")
        context.add_result(f"{job.id}/{index}")
        print("made", job.id, index, flush=True)
        context.progress(index + 1, job.total)

queue = JobQueue(open_engine(sys.argv[1]), worker_timeout_seconds=float(sys.argv[2]))
worker = JobWorker(queue, {"generate": make}, poll_seconds=0.1)
asked = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: asked.set())
worker.start()
print("ready", flush=True)
asked.wait()
worker.stop()
"""


@pytest.fixture
def queue(engine):
    return JobQueue(engine, max_waiting=100, worker_timeout_seconds=TIMEOUT)


@pytest.fixture
def start_worker(engine, tmp_path):
    """Start a worker process; its lines are in `log`."""
    started = []

    def start():
        log = tmp_path / f"worker-{len(started)}.log"
        url = engine.url.render_as_string(hide_password=False)
        command = [sys.executable, "-c", WORKER, url, str(TIMEOUT)]
        with log.open("w") as out:
            process = subprocess.Popen(command, stdout=out, cwd=os.getcwd())
        process.log = log
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def lines(process, verb):
    return [tuple(line.split()[1:]) for line in process.log.read_text().splitlines() if line.startswith(verb)]


@pytest.mark.slow
def test_every_part_is_made_once_though_one_of_three_workers_is_killed_and_one_is_stopped(
    queue, submit, start_worker, until
):
    jobs = [submit(f"user{number % 3}", total=4, seconds=0.15) for number in range(9)]
    workers = [start_worker() for _ in range(3)]
    killed, stopped, _ = workers
    until(lambda: len(lines(killed, "made")) >= 2 and len(lines(stopped, "made")) >= 2)
    killed.send_signal(signal.SIGKILL)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(30) == 0
    until(lambda: all(queue.get(job.id).state is JobState.DONE for job in jobs), 120)
    for job in jobs:
        assert queue.get(job.id).result == tuple(f"{job.id}/{index}" for index in range(4))
        assert queue.get(job.id).done == 4
    made = Counter(part for worker in workers for part in lines(worker, "made"))
    assert set(made.values()) == {1}, "what was finished is never made again"
    assert len(made) in (4 * 9, 4 * 9 - 1)  # killed between the result and the line that tells of it
    assert all(len(lines(worker, "made")) > 1 for worker in workers), "all of them worked"


@pytest.mark.slow
def test_a_poisonous_job_takes_two_workers_and_no_third(queue, submit, start_worker, until):
    poison, good = submit("ann", poison=True), submit("bob", total=1, seconds=0.01)
    first = start_worker()
    assert first.wait(60) == -signal.SIGKILL
    second = start_worker()
    assert second.wait(60) == -signal.SIGKILL
    third = start_worker()
    until(lambda: queue.state(poison.id) is JobState.FAILED)
    until(lambda: queue.state(good.id) is JobState.DONE)
    assert third.poll() is None
    assert "2 workers died" in queue.get(poison.id).error


@pytest.mark.slow
def test_a_worker_that_starts_leaves_the_running_job_of_another_process_alone(queue, submit, start_worker, until):
    job = submit(total=2, seconds=2.0)
    first = start_worker()
    until(lambda: queue.state(job.id) is JobState.RUNNING)
    start_worker()
    until(lambda: sum(queue.roll.crews().values()) == 2)
    until(lambda: queue.state(job.id) is JobState.DONE)
    assert len(lines(first, "made")) == 2


def test_it_is_claimed_by_skipping_what_another_transaction_holds(engine, queue, submit):
    """On PostgreSQL a claim does not wait for another one; SQLite has one writer at a time anyway."""
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    from sqlalchemy import text

    first, second = submit("ann"), submit("bob")
    with engine.connect() as other, other.begin():
        other.execute(text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"), {"id": first.id})
        assert queue.claims.take("w").id == second.id
        assert queue.claims.take("w") is None
    assert queue.claims.take("w").id == first.id
