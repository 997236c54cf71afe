import gc
import threading

from dermaflux.jobs import Ended, Job, JobState, Progress, Result, Update
from dermaflux.jobs.events import Channel, JobChannels


def ended(job_id="j") -> Ended:
    from datetime import UTC, datetime

    moment = datetime.now(UTC)
    job = Job(
        id=job_id, user="ann", kind="generate", payload={}, state=JobState.DONE, created_at=moment
    )
    return Ended(job=job)


def test_a_late_reader_gets_the_present_state_not_the_history():
    channel = Channel()
    for step in range(20):
        channel.publish(Update(key=0, data=step))
        channel.publish(Update(key=1, data=step))
    channel.publish(Result(key=0, data="image 0"))
    channel.publish(Progress(done=1, total=2))
    reading = channel.read(0, 0)
    assert list(reading.events) == [
        Update(key=1, data=19),
        Result(key=0, data="image 0"),
        Progress(done=1, total=2),
    ]
    assert not reading.ended
    assert list(channel.read(reading.seen, 0).events) == []


def test_a_slow_reader_skips_updates_but_never_a_result_nor_the_end():
    channel = Channel()
    first = channel.read(0, 0)
    for index in range(64):
        for step in range(20):
            channel.publish(Update(key=index, data=step))
        channel.publish(Result(key=index, data=index))
    end = ended()
    channel.publish(end)
    reading = channel.read(first.seen, 0)
    assert [event.data for event in reading.events if isinstance(event, Result)] == list(range(64))
    assert not any(isinstance(event, Update) for event in reading.events)
    assert reading.events[-1] is end and reading.ended


def test_memory_is_bounded_by_the_number_of_keys():
    channel = Channel()
    for step in range(10_000):
        channel.publish(Update(key=step % 3, data=bytes(10)))
    assert len(channel._entries) == 3


def test_nothing_follows_the_end():
    channel = Channel()
    channel.publish(ended())
    channel.publish(Update(key=0, data="late"))
    assert len(channel.read(0, 0).events) == 1


def test_a_waiting_reader_is_woken():
    channel, got = Channel(), []
    thread = threading.Thread(target=lambda: got.extend(channel.read(0, 30).events))
    thread.start()
    channel.publish(Progress(done=0, total=1))
    thread.join(5)
    assert got == [Progress(done=0, total=1)]


def test_a_channel_lives_as_long_as_someone_holds_it_and_is_never_reused_once_ended():
    channels = JobChannels()
    follower = channels.attach("j")
    worker = channels.begin("j")
    assert worker is follower and follower.is_taken
    assert channels.attach("j") is follower
    worker.publish(ended())
    assert channels.attach("j") is not follower
    again = channels.begin("j")
    assert again is not follower and not again.is_ended
    del follower, worker, again
    gc.collect()
    assert len(channels._channels) == 0
