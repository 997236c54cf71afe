import contextlib
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, inspect, text

from dermaflux.curation.database import downgrade, migrate
from dermaflux.domain.errors import (
    Cancelled,
    DataNotFound,
    InvalidRequest,
    QueueFull,
    StorageNotWritable,
)
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.records import SamplingRequest
from dermaflux.jobs import SKIPPED, Forecast, JobQueue, JobState
from dermaflux.jobs.tables import Base, JobRow
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
    for ask in (queue.get, queue.state, queue.cancel, queue.retry, queue.pause, queue.resume):
        with pytest.raises(DataNotFound, match="no job 'nope'"):
            ask("nope")


def test_users_take_turns_and_each_is_served_in_order(queue, submit, take):
    ann = [submit("ann") for _ in range(4)]
    bob = [submit("bob") for _ in range(2)]
    eve = submit("eve")
    expected = [ann[0], bob[0], eve, ann[1], bob[1], ann[2], ann[3]]
    assert [queue.position(job.id) for job in expected] == list(range(7))
    assert [take().id for _ in range(7)] == [job.id for job in expected]
    assert take() is None


def test_a_new_user_goes_before_the_rest_of_a_long_line(queue, submit, take):
    line = [submit("ann") for _ in range(3)]
    assert take().id == line[0].id
    late = submit("bob")
    assert queue.position(late.id) == 0 and queue.position(line[1].id) == 1
    assert take().id == late.id


def test_fair_order_is_pure_and_complete():
    jobs = [WaitingJob(id=str(number), user=user) for number, user in enumerate("aabacb")]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    order = fair_order(jobs, {"a": moment, "c": moment - timedelta(hours=1)})
    assert [(job.user, job.id) for job in order] == [
        ("b", "2"), ("c", "4"), ("a", "0"), ("b", "5"), ("a", "1"), ("a", "3"),
    ]  # fmt: skip
    assert fair_order([], {}) == []


def test_only_kinds_with_a_handler_are_claimed(queue, submit, take):
    submit(kind="export")
    wanted = submit(kind="generate")
    assert take({"generate"}).id == wanted.id
    assert take({"generate"}) is None
    assert take(["export"]).kind == "export"


def test_one_job_is_handed_to_one_of_many_claimants(engine, submit):
    jobs = {submit(user=f"user{number % 5}").id for number in range(24)}
    claimed, barrier = [], threading.Barrier(6)

    def claim():
        own = JobQueue(engine)
        barrier.wait()
        for _ in range(20):  # a busy machine may keep one from the lock for too long: then, as a worker does, again
            with contextlib.suppress(StorageNotWritable):
                while job := own.claims.take(threading.current_thread().name):
                    claimed.append(job.id)
                return

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(claimed) == sorted(jobs)  # each once, none lost


def test_a_full_queue_says_so_and_takes_again_when_there_is_room(engine, take):
    queue = JobQueue(engine, max_waiting=3)
    for _ in range(3):
        queue.submit("ann", "generate", {}, 1)
    with pytest.raises(QueueFull, match="no more than 3 may wait"):
        queue.submit("bob", "generate", {}, 1)
    assert len(queue.list("bob")) == 0
    take()  # running ones do not count
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


def test_cancelling_waiting_running_and_finished_jobs(queue, submit, take, worker_id):
    first, second = submit(), submit()
    assert take().id == first.id
    assert queue.cancel(second.id).state is JobState.CANCELLED
    assert take() is None and queue.position(second.id) is None
    cancelled = queue.cancel(first.id)
    assert cancelled.state is JobState.CANCELLED and cancelled.finished_at is not None
    # The worker that was at it cannot make it done any more.
    queue.claims.finish(first.id, worker_id, JobState.DONE)
    assert queue.state(first.id) is JobState.CANCELLED
    third = submit()
    take()
    queue.claims.finish(third.id, worker_id, JobState.DONE)
    done = queue.get(third.id)
    assert done.state is JobState.DONE and queue.cancel(third.id) == done


def test_progress_and_results_are_written_down_at_once(queue, submit, take, worker_id):
    job = submit(total=4)
    take()
    assert queue.claims.record_progress(job.id, worker_id, 2, 1.5) is False
    for item in ("a", "b", "a"):
        queue.claims.add_result(job.id, worker_id, item)
    read = queue.get(job.id)
    assert (read.done, read.total, read.result) == (2, 4, ("a", "b"))


def test_retry_goes_on_from_what_is_finished_and_only_of_what_failed_or_was_stopped(queue, submit, take, worker_id):
    job = submit(total=2)
    with pytest.raises(InvalidRequest, match="is waiting"):
        queue.retry(job.id)
    take()
    queue.claims.add_result(job.id, worker_id, "a")
    queue.claims.record_progress(job.id, worker_id, 1, 1.0)
    queue.claims.finish(job.id, worker_id, JobState.FAILED, "the disk is full")
    assert queue.get(job.id).error == "the disk is full"
    again = queue.retry(job.id)
    assert (again.id, again.state, again.done, again.result) == (job.id, JobState.WAITING, 1, ("a",))
    assert again.error is again.finished_at is None
    assert take().result == ("a",)
    queue.claims.finish(job.id, worker_id, JobState.DONE)
    with pytest.raises(InvalidRequest, match="is done"):
        queue.retry(job.id)


def test_trying_again_and_again_does_not_jump_the_line(queue, submit, take, worker_id):
    for _ in range(2):
        submit("ann")
    bob = submit("bob")
    first = take()
    queue.cancel(first.id)
    queue.retry(first.id)  # ann was served: now it is bob's turn
    assert queue.position(bob.id) == 0


def test_a_retry_counts_against_a_full_queue(engine):
    queue = JobQueue(engine, max_waiting=1)
    stopped = queue.submit("ann", "generate", {}, 1)
    queue.cancel(stopped.id)
    queue.submit("ann", "generate", {}, 1)
    with pytest.raises(QueueFull):
        queue.retry(stopped.id)
    assert queue.state(stopped.id) is JobState.CANCELLED


def test_a_waiting_job_is_held_back_until_it_is_resumed(queue, submit, take):
    job = submit()
    assert queue.pause(job.id).state is queue.pause(job.id).state is JobState.PAUSED
    assert take() is None and queue.position(job.id) is None and queue.promised("ann") == 1
    assert queue.resume(job.id).state is JobState.WAITING
    assert take().id == job.id


def test_a_running_job_is_asked_to_rest_and_goes_on_when_it_is_resumed_in_time(queue, submit, take, worker_id):
    job = submit(total=3)
    take()
    asked = queue.pause(job.id)
    assert asked.state is JobState.RUNNING and asked.pause_asked
    assert queue.claims.record_progress(job.id, worker_id, 1, 1.0) is True
    assert queue.resume(job.id).pause_asked is False
    assert queue.claims.record_progress(job.id, worker_id, 2, 1.0) is False
    queue.pause(job.id)
    queue.claims.give_back(job.id, worker_id)
    rests = queue.get(job.id)
    assert (rests.state, rests.pause_asked, rests.done) == (JobState.PAUSED, False, 2)
    assert queue.cancel(job.id).state is JobState.CANCELLED
    for change in (queue.pause, queue.resume):
        with pytest.raises(InvalidRequest, match="is cancelled"):
            change(job.id)


def test_paused_jobs_take_no_room_and_need_some_to_come_back(engine):
    queue = JobQueue(engine, max_waiting=1)
    held = queue.submit("ann", "generate", {}, 1)
    queue.pause(held.id)
    queue.submit("ann", "generate", {}, 1)
    with pytest.raises(QueueFull):
        queue.resume(held.id)
    assert queue.state(held.id) is JobState.PAUSED


def test_a_paused_queue_begins_nothing_in_any_process(engine, queue, submit, take, worker_id):
    running, waiting = submit(total=2), submit()
    take()
    queue.pause_all("root")
    queue.pause_all("other")  # the first stays the one who did it
    assert queue.outlook({}).pause.paused_by == "root"
    assert take() is None and JobQueue(engine).claims.take("elsewhere") is None
    assert queue.claims.record_progress(running.id, worker_id, 1, 1.0) is True
    queue.claims.give_back(running.id, worker_id)
    assert queue.state(running.id) is JobState.WAITING  # back in line, not at rest: its owner asked for nothing
    queue.resume_all()
    assert {take().id, take().id} == {running.id, waiting.id}


def test_clearing_hides_what_is_over_and_forgets_no_one(queue, submit, take, worker_id):
    done, cancelled, waiting = submit(), submit(), submit()
    take()
    queue.claims.finish(done.id, worker_id, JobState.DONE)
    queue.cancel(cancelled.id)
    other = submit("bob")
    queue.cancel(other.id)
    assert queue.clear("ann") == 2 and queue.clear("ann") == 0
    assert [job.id for job in queue.list("ann")] == [waiting.id]
    assert [job.id for job in queue.list("bob")] == [other.id]
    assert len(queue.job_ids("ann")) == 3  # whose images they are is still known
    queue.retry(cancelled.id)
    assert len(queue.list("ann")) == 2
    assert queue.forget("ann") == 3


def test_only_the_worker_that_has_a_job_can_write_it_down(queue, submit, take, worker_id):
    job = submit(total=2)
    take()
    other = queue.roll.enlist("there:2")
    assert queue.claims.skips_asked(job.id, worker_id) is not None
    assert queue.claims.skips_asked(job.id, other) is None
    with pytest.raises(Cancelled):
        queue.claims.add_result(job.id, other, "x")
    queue.claims.record_progress(job.id, other, 2, 1.0)
    queue.claims.finish(job.id, other, JobState.DONE)
    queue.claims.give_back(job.id, other)
    left = queue.get(job.id)
    assert (left.state, left.done, left.result) == (JobState.RUNNING, 0, ())


def test_a_wish_to_skip_is_heard_by_the_worker_and_kept_whoever_goes_on(engine, queue, submit, take, worker_id):
    job = submit(total=3)
    take()
    for part in (1, 1, 0):
        JobQueue(engine).skip(job.id, part)
    assert queue.claims.skips_asked(job.id, worker_id) == {0, 1}
    queue.claims.give_back(job.id, worker_id)
    assert queue.claims.skips_asked(job.id, worker_id) is None
    take()
    assert queue.claims.skips_asked(job.id, worker_id) == {0, 1}
    queue.claims.add_result(job.id, worker_id, SKIPPED)
    queue.claims.add_result(job.id, worker_id, SKIPPED)
    queue.claims.add_result(job.id, worker_id, "c")
    read = queue.get(job.id)
    assert read.result == (SKIPPED, SKIPPED, "c") and read.made == ("c",)


def test_a_wish_to_skip_what_is_finished_or_not_there_changes_nothing(queue, submit, take, worker_id):
    job = submit(total=2)
    take()
    queue.claims.add_result(job.id, worker_id, "a")
    for part in (0, 2, -1):
        queue.skip(job.id, part)
    assert queue.claims.skips_asked(job.id, worker_id) == frozenset()
    queue.cancel(job.id)
    before = queue.get(job.id)
    queue.skip(job.id, 1)
    queue.retry(job.id)
    take()
    assert queue.claims.skips_asked(job.id, worker_id) == frozenset() and before.result == ("a",)


def test_skipped_parts_are_dealt_with_but_say_nothing_of_the_pace(queue, take, worker_id):
    first = queue.submit("ann", "generate", {}, 4, "nano/20")
    take()
    for done, item, seconds in ((1, SKIPPED, 0.0), (2, "a", 6.0), (3, SKIPPED, 0.0)):
        queue.claims.add_result(first.id, worker_id, item)
        read = queue.get(first.id)
        assert read.num_skipped == (done > 1), "a result that is not counted yet is no part that was made"
        queue.claims.record_progress(first.id, worker_id, done, seconds)
    assert queue.promised("ann") == 1
    assert queue.outlook({}).forecasts()[first.id] == Forecast(begins_in=0, ends_in=6)
    nothing = queue.submit("ann", "generate", {}, 1, "flux/50")
    take()
    queue.claims.add_result(nothing.id, worker_id, SKIPPED)
    queue.claims.record_progress(nothing.id, worker_id, 1, 0.5)
    queue.submit("ann", "generate", {}, 1, "flux/50")
    assert queue.outlook({}).waiting[0].seconds_per_part is None


def test_going_down_and_up_keeps_what_was_skipped_but_no_mere_wish(engine, queue, submit, take, worker_id):
    skipped, asked, plain = submit(total=3), submit(total=3), submit()
    take()
    queue.claims.add_result(skipped.id, worker_id, "a")
    queue.skip(skipped.id, 1)
    queue.claims.add_result(skipped.id, worker_id, SKIPPED)
    queue.claims.record_progress(skipped.id, worker_id, 2, 3.0)
    queue.claims.finish(skipped.id, worker_id, JobState.CANCELLED)
    queue.skip(asked.id, 2)
    before = [queue.get(job.id) for job in (skipped, asked, plain)]
    downgrade(engine, "0009")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT id, done, total FROM jobs ORDER BY id")).all()
    assert [tuple(row) for row in found] == [(job.id, job.done, job.total) for job in before]
    migrate(engine)
    assert [queue.get(job.id) for job in (skipped, asked, plain)] == before
    assert before[0].result == ("a", SKIPPED)
    take()
    assert queue.claims.skips_asked(asked.id, worker_id) == frozenset()
    queue.skip(asked.id, 2)
    assert queue.claims.skips_asked(asked.id, worker_id) == {2}


def test_parts_that_are_gone_are_made_again(queue, submit, take, worker_id):
    job = submit(total=4)
    take()
    for item in "abc":
        queue.claims.add_result(job.id, worker_id, item)
    queue.claims.record_progress(job.id, worker_id, 3, 6.0)
    queue.claims.keep(job.id, worker_id, 1)
    assert (queue.get(job.id).done, queue.get(job.id).result) == (1, ("a",))


def test_how_long_parts_take_is_measured_and_foretold(queue, submit, take, worker_id):
    for seconds in (2.0, 4.0, 60.0):  # the last one had to load its model
        queue.submit("ann", "generate", {}, 2, "nano/20")
        job = take()
        queue.claims.record_progress(job.id, worker_id, 2, 2 * seconds)
        queue.claims.finish(job.id, worker_id, JobState.DONE)
    running = queue.submit("ann", "generate", {}, 5, "nano/20")
    take()
    queue.claims.record_progress(running.id, worker_id, 1, 3.0)
    second, strange, last = (
        queue.submit("ann", "generate", {}, 2, pace) for pace in ("nano/20", "flux/50", "nano/20")
    )
    foretold = queue.outlook(queue.roll.crews()).forecasts()
    assert foretold[running.id] == Forecast(begins_in=0, ends_in=4 * 3.5)  # the median of 2, 3, 4 and 60
    assert foretold[second.id] == Forecast(begins_in=14, ends_in=21)
    assert foretold[strange.id] == Forecast(begins_in=21, ends_in=None)
    assert foretold[last.id] == Forecast(begins_in=None, ends_in=None)
    two = queue.outlook({"here:1": 1, "there:1": 1}).forecasts()
    assert two[second.id] == Forecast(begins_in=0, ends_in=7)
    shared = queue.outlook({"here:1": 2}).forecasts()  # 14 s of work and 7 s take turns, then 7 s and the strange one
    assert shared[second.id] == Forecast(begins_in=0, ends_in=14)
    assert shared[running.id] == Forecast(begins_in=0, ends_in=28)


def test_a_preview_is_replaced_read_when_new_and_gone_with_its_job(queue, submit, take):
    job = submit()
    take()
    assert queue.previews.other(job.id, 0) is None
    for content in (b"one", b"two"):
        queue.previews.put(job.id, 1, content)
    latest = queue.previews.other(job.id, 0)
    assert (latest.part, latest.number, latest.content) == (1, 2, b"two")
    assert queue.previews.other(job.id, latest.number) is None
    queue.previews.put("nope", 0, b"lost")
    assert queue.previews.other("nope", 0) is None
    queue.cancel(job.id)
    assert queue.forget("ann") == 1
    assert queue.previews.other(job.id, 0) is None


def test_a_users_jobs_are_listed_newest_first(queue, submit):
    jobs = [submit("ann") for _ in range(3)]
    submit("bob")
    assert [job.id for job in queue.list("ann")] == [job.id for job in reversed(jobs)]
    assert [job.id for job in queue.list("ann", limit=1)] == [jobs[2].id]
    assert queue.list("nobody") == ()


def test_submitting_wakes_every_waiting_worker(queue, submit):
    before = queue.num_wakes
    threads = [threading.Thread(target=queue.wait_for_work, args=(before, 60)) for _ in range(3)]
    for thread in threads:
        thread.start()
    submit()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    began = time.monotonic()
    queue.wait_for_work(before, 60)  # submitted between the look and the wait: not lost
    assert time.monotonic() - began < 20


def test_a_database_that_cannot_be_written_is_said_so(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(StorageNotWritable, match="job table cannot be used"):
        JobQueue(engine).submit("ann", "generate", {}, 1)
    engine.dispose()


def test_the_migrated_tables_are_the_mapped_ones(engine):
    for table in Base.metadata.tables.values():
        found = {column["name"]: column["nullable"] for column in inspect(engine).get_columns(table.name)}
        assert found == {column.name: column.nullable for column in table.columns}
    assert {index["name"] for index in inspect(engine).get_indexes("jobs")} == {
        index.name for index in JobRow.__table__.indexes
    }
