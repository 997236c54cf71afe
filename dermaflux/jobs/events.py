"""What a job tells while it runs, in memory: any number of followers, each at its own pace, at any time.

A channel keeps the latest update of each key and every result, not a history; a follower reads what is newer than
what it has seen. So a late or re-attached follower gets the present state at once, a slow one skips updates but never
a result, and memory is bounded by the number of keys. It knows no database.
"""

import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from dermaflux.jobs.records import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The job has not begun; `ahead` others come first (0 = next)."""

    ahead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The job rests with `done` of `total` parts finished, until its owner lets it go on."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`done` of `total` parts are finished."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Something passing about one part, such as a preview: only the latest of a key counts."""

    key: Hashable
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One part is finished: every follower gets it. It replaces the updates of its key."""

    key: Hashable
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The job is over, and nothing comes after. `job` holds its state, error and result."""

    job: Job


JobEvent = Waiting | Paused | Progress | Update | Result | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was newer than `seen`, oldest first, and what is seen now. `ended`: it closes with Ended."""

    events: Sequence[JobEvent]
    seen: int
    ended: bool


class Channel:
    """The present state of one job as events. One publisher, many readers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: dict[tuple[type, Hashable], tuple[int, JobEvent]] = {}
        self._version = 0
        self._ended = False
        self._taken = False

    @property
    def is_taken(self) -> bool:
        """Whether a worker of this process is at the job: then it says all there is to say."""
        with self._changed:
            return self._taken

    @property
    def is_ended(self) -> bool:
        """Whether nothing will be published any more."""
        with self._changed:
            return self._ended

    def take(self) -> bool:
        """Become the publisher; False when there was one already."""
        with self._changed:
            first = not self._taken
            self._taken = True
            return first

    def release(self) -> None:
        """The worker gave the job back: the channel waits for another one, what is finished stays said."""
        with self._changed:
            self._taken = False
            self._entries = {place: entry for place, entry in self._entries.items() if place[0] is not Update}
            self._changed.notify_all()

    def publish(self, event: Progress | Update | Result | Ended) -> None:
        """Put an event in the place of its predecessor and wake the readers. Nothing follows Ended."""
        with self._changed:
            if self._ended:
                return
            self._version += 1
            if isinstance(event, Result):
                self._entries.pop((Update, event.key), None)
            self._entries[(type(event), getattr(event, "key", None))] = (self._version, event)
            self._ended = isinstance(event, Ended)
            self._changed.notify_all()

    def read(self, seen: int, timeout_seconds: float) -> Reading:
        """What is newer than `seen`, waiting for it up to the timeout; no events after a timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > seen, timeout_seconds)
            newer = sorted(
                (entry for entry in self._entries.values() if entry[0] > seen),
                key=lambda entry: entry[0],
            )
            return Reading(
                events=[event for _, event in newer], seen=self._version, ended=self._ended
            )


class JobChannels:
    """The channels of this process by job. One lives while a worker or a follower holds it, no longer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: WeakValueDictionary[str, Channel] = WeakValueDictionary()

    def attach(self, job_id: str) -> Channel:
        """The channel of a job to read from, a new one when there is none or it has ended. Hold on to it."""
        with self._lock:
            channel = self._channels.get(job_id)
            if channel is None or channel.is_ended:
                self._channels[job_id] = channel = Channel()
            return channel

    def begin(self, job_id: str) -> Channel:
        """The channel for the worker that starts the job, with the followers who wait for it already."""
        with self._lock:
            channel = self._channels.get(job_id)
            if channel is None or not channel.take():
                self._channels[job_id] = channel = Channel()
                channel.take()
            return channel
