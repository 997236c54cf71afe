import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, inspect

from dermaflux.domain.errors import DataNotFound, InvalidRequest, QueueFull, StorageNotWritable
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.records import SamplingRequest
from dermaflux.jobs import JobQueue, JobState
from dermaflux.jobs.tables import JobRow
from dermaflux.jobs.turns import WaitingJob, fair_order


def test_a_submitted_job_is_read_back_as_it_was(queue, submit):
    payload = SamplingRequest(caption="a melanoma \0 \ud800", num_images=3, seed=5).to_dict() | {
        "dataset": "first"
    }
    before = datetime.now(UTC)
    job = queue.submit("ann", "generate", payload, 3)
    read = queue.get(job.id)
    assert read == job
    assert (read.user, read.kind, read.state, read.done, read.total) == (
        "ann",
        "generate",
        JobState.WAITING,
        0,
        3,
    )
    assert read.payload == payload and read.result == () and read.error is None
    assert before - timedelta(seconds=1) <= read.created_at <= datetime.now(UTC)
    assert queue.state(job.id) is JobState.WAITING


def test_ids_sort_by_submission_and_look_like_uuid7():
    ids = [new_id() for _ in range(5000)]
    assert ids == sorted(ids) and len(set(ids)) == 5000
    assert all(value[14] == "7" and value[19] in "89ab" and len(value) == 36 for value in ids)


def test_an_unknown_job_is_said_so(queue):
    for ask in (queue.get, queue.state, queue.cancel, queue.retry):
        with pytest.raises(DataNotFound, match="no job 'nope'"):
            ask("nope")


def test_users_take_turns_and_each_is_served_in_order(queue, submit):
    ann = [submit("ann") for _ in range(4)]
    bob = [submit("bob") for _ in range(2)]
    eve = submit("eve")
    expected = [ann[0], bob[0], eve, ann[1], bob[1], ann[2], ann[3]]
    assert [queue.position(job.id) for job in expected] == list(range(7))
    assert [queue.claim_next().id for _ in range(7)] == [job.id for job in expected]
    assert queue.claim_next() is None


def test_a_new_user_goes_before_the_rest_of_a_long_line(queue, submit):
    line = [submit("ann") for _ in range(3)]
    assert queue.claim_next().id == line[0].id
    late = submit("bob")
    assert queue.position(late.id) == 0 and queue.position(line[1].id) == 1
    assert queue.claim_next().id == late.id


def test_fair_order_is_pure_and_complete():
    jobs = [WaitingJob(id=str(number), user=user) for number, user in enumerate("aabacb")]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    order = fair_order(jobs, {"a": moment, "c": moment - timedelta(hours=1)})
    assert [(job.user, job.id) for job in order] == [
        ("b", "2"), ("c", "4"), ("a", "0"), ("b", "5"), ("a", "1"), ("a", "3"),
    ]  # fmt: skip
    assert fair_order([], {}) == []


def test_only_kinds_with_a_handler_are_claimed(queue, submit):
    submit(kind="export")
    wanted = submit(kind="generate")
    assert queue.claim_next({"generate"}).id == wanted.id
    assert queue.claim_next({"generate"}) is None
    assert queue.claim_next(["export"]).kind == "export"


def test_one_job_is_handed_to_one_of_many_claimants(engine, submit):
    jobs = {submit(user=f"user{number % 5}").id for number in range(24)}
    claimed, failures, barrier = [], [], threading.Barrier(6)

    def claim():
        own = JobQueue(engine)
        barrier.wait()
        try:
            while job := own.claim_next():
                claimed.append(job.id)
        except StorageNotWritable as error:
            failures.append(error)

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert sorted(claimed) == sorted(jobs)  # each once, none lost


def test_a_full_queue_says_so_and_takes_again_when_there_is_room(engine):
    queue = JobQueue(engine, max_waiting=3)
    for _ in range(3):
        queue.submit("ann", "generate", {}, 1)
    with pytest.raises(QueueFull, match="no more than 3 may wait"):
        queue.submit("bob", "generate", {}, 1)
    assert len(queue.list("bob")) == 0
    queue.claim_next()  # running ones do not count
    assert queue.submit("bob", "generate", {}, 1).state is JobState.WAITING


def test_many_threads_never_overfill_the_queue(engine):
    queue, refused = JobQueue(engine, max_waiting=10), []

    def submit_five():
        for _ in range(5):
            try:
                queue.submit("ann", "generate", {}, 1)
            except QueueFull as error:
                refused.append(error)

    threads = [threading.Thread(target=submit_five) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(queue.list("ann")) == 10 and len(refused) == 10


def test_cancelling_waiting_running_and_finished_jobs(queue, submit):
    first, second = submit(), submit()
    assert queue.claim_next().id == first.id
    assert queue.cancel(second.id).state is JobState.CANCELLED
    assert queue.claim_next() is None and queue.position(second.id) is None
    cancelled = queue.cancel(first.id)
    assert cancelled.state is JobState.CANCELLED and cancelled.finished_at is not None
    # The worker that was at it cannot make it done any more.
    assert queue.finish(first.id, JobState.DONE).state is JobState.CANCELLED
    third = submit()
    queue.claim_next()
    done = queue.finish(third.id, JobState.DONE)
    assert queue.cancel(third.id) == done


def test_progress_and_results_are_written_down_at_once(queue, submit):
    job = submit(total=4)
    queue.claim_next()
    queue.record_progress(job.id, 2, 4)
    for item in ("a", "b", "a"):
        queue.add_result(job.id, item)
    read = queue.get(job.id)
    assert (read.done, read.total, read.result) == (2, 4, ("a", "b"))


def test_retry_gives_a_clean_start_only_to_what_failed_or_was_stopped(queue, submit):
    job = submit(total=2)
    with pytest.raises(InvalidRequest, match="is waiting"):
        queue.retry(job.id)
    queue.claim_next()
    queue.record_progress(job.id, 1, 2)
    queue.add_result(job.id, "a")
    queue.finish(job.id, JobState.FAILED, "the disk is full")
    assert queue.get(job.id).error == "the disk is full"
    again = queue.retry(job.id)
    assert (again.id, again.state, again.done, again.result) == (job.id, JobState.WAITING, 0, ())
    assert again.error is again.started_at is again.finished_at is None
    queue.claim_next()
    queue.finish(job.id, JobState.DONE)
    with pytest.raises(InvalidRequest, match="is done"):
        queue.retry(job.id)


def test_a_retry_counts_against_a_full_queue(engine):
    queue = JobQueue(engine, max_waiting=1)
    stopped = queue.submit("ann", "generate", {}, 1)
    queue.cancel(stopped.id)
    queue.submit("ann", "generate", {}, 1)
    with pytest.raises(QueueFull):
        queue.retry(stopped.id)
    assert queue.state(stopped.id) is JobState.CANCELLED


def test_what_a_killed_process_left_running_is_interrupted_on_start(queue, submit):
    left, waiting = submit(), submit()
    queue.claim_next()
    assert queue.mark_interrupted_on_start() == 1
    assert (
        queue.state(left.id) is JobState.INTERRUPTED and queue.state(waiting.id) is JobState.WAITING
    )
    assert queue.retry(left.id).state is JobState.WAITING
    assert queue.mark_interrupted_on_start() == 0


def test_a_users_jobs_are_listed_newest_first(queue, submit):
    jobs = [submit("ann") for _ in range(3)]
    submit("bob")
    assert [job.id for job in queue.list("ann")] == [job.id for job in reversed(jobs)]
    assert [job.id for job in queue.list("ann", limit=1)] == [jobs[2].id]
    assert queue.list("nobody") == ()


def test_submitting_wakes_a_waiting_worker(queue, submit):
    woken = threading.Event()

    def wait():
        queue.wait_for_work(30)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    submit()
    assert woken.wait(5)
    thread.join(5)
    submit()  # before the wait begins: not lost
    queue.wait_for_work(30)


def test_a_database_that_cannot_be_written_is_said_so(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(StorageNotWritable, match="job table cannot be used"):
        JobQueue(engine).submit("ann", "generate", {}, 1)
    engine.dispose()


def test_the_migrated_table_is_the_mapped_one(engine):
    found = {column["name"]: column["nullable"] for column in inspect(engine).get_columns("jobs")}
    assert found == {column.name: column.nullable for column in JobRow.__table__.columns}
    assert {index["name"] for index in inspect(engine).get_indexes("jobs")} == {
        index.name for index in JobRow.__table__.indexes
    }
