import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from dermaflux.domain.identifiers import new_id


def test_ids_are_uuid7_and_hold_the_time():
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_id())
    assert made.version == 7 and made.variant == uuid.RFC_4122
    assert before - 1 <= made.int >> 80 <= time.time_ns() // 1_000_000 + 1


def test_ids_grow_and_never_repeat_across_threads():
    ids = [new_id() for _ in range(2000)]
    assert ids == sorted(ids)
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(lambda _: new_id(), range(4000)))
    assert len(set(many)) == 4000


def test_ids_grow_when_the_clock_is_set_back(monkeypatch):
    first = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert new_id() > first
