import random
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from dermaflux.curation.store import CurationStore, open_engine
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Verdict

REVIEWERS = ("ada", "bob")
VERDICTS = tuple(Verdict)


class NaiveModel:
    """The rules said in the plainest way: a list of decisions, from which undone ones are struck."""

    def __init__(self):
        self.standing = []

    def decide(self, reviewer, image, verdict):
        self.standing.append((reviewer, image, verdict))

    def undo(self, reviewer):
        mine = [i for i, event in enumerate(self.standing) if event[0] == reviewer]
        if mine:
            del self.standing[mine[-1]]
        return bool(mine)

    def current(self):
        return {(reviewer, image): verdict for reviewer, image, verdict in self.standing}

    def outcome(self, image):
        said = {verdict for (_, i), verdict in self.current().items() if i == image}
        return next((v for v in (Verdict.REJECT, Verdict.ACCEPT, Verdict.UNSURE) if v in said), None)


actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(REVIEWERS), st.integers(0, 2), st.sampled_from(VERDICTS)),
        st.tuples(st.sampled_from(REVIEWERS)),
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def shared_store(sample, new_database):
    """One store for all examples of the property; each example has a dataset of its own."""
    with tempfile.TemporaryDirectory() as folder, new_database(Path(folder)) as url:
        engine = open_engine(url)
        store = CurationStore(engine, Path(folder) / "images")
        yield store, [store.add_image(sample(seed)).image_id for seed in range(3)]
        engine.dispose()


numbers = iter(range(10**6))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(actions)
def test_state_is_what_the_naive_model_says(shared_store, says, actions):
    store, images = shared_store
    model, name = NaiveModel(), f"set {next(numbers)}"
    store.create_dataset(name)
    for action in actions:
        if len(action) == 3:
            reviewer, image, verdict = action
            store.decide(says(images[image], verdict, reviewer, name))
            model.decide(reviewer, image, verdict)
        elif model.undo(action[0]):
            store.undo(name, action[0])
        else:
            with pytest.raises(InvalidRequest):
                store.undo(name, action[0])
    outcomes = [model.outcome(image) for image in range(3)]
    assert [store.get(image, name).verdict for image in images] == outcomes
    counts = store.counts(name)
    assert [getattr(counts, v) for v in VERDICTS] == [outcomes.count(v) for v in VERDICTS]
    for reviewer in REVIEWERS:
        own = [verdict for (who, _), verdict in model.current().items() if who == reviewer]
        assert [getattr(store.counts(name, reviewer), v) for v in VERDICTS] == [own.count(v) for v in VERDICTS]


def test_the_derived_tables_can_always_be_made_again(shared_store, says):
    store, images = shared_store
    store.create_dataset("again")
    rng = random.Random(1)
    for _ in range(60):
        if rng.random() < 0.7:
            request = says(rng.choice(images), rng.choice(VERDICTS), rng.choice(REVIEWERS), "again", realism=3)
            store.decide(request)
        else:
            try:
                store.undo("again", rng.choice(REVIEWERS))
            except InvalidRequest:
                continue
    before = store.counts("again"), [store.get(i, "again") for i in images]
    assert store.verify_chain().intact
    store.rebuild_verdicts()
    assert (store.counts("again"), [store.get(i, "again") for i in images]) == before
    assert store.verify_chain().intact


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE decisions SET verdict = 'reject' WHERE sequence = 2", "Decision 2 .* changed"),
        ("UPDATE decisions SET note = 'x' WHERE sequence = 6", "Decision 6 .* changed"),
        ("UPDATE decisions SET created_at = '2020-01-01 00:00:00' WHERE sequence = 3", "Decision 3 .* changed"),
        ("UPDATE decisions SET reviewer = 'eve' WHERE sequence = 1", "Decision 1 .* changed"),
        ("UPDATE images SET sha256 = 'f' WHERE id = (SELECT image_id FROM decisions WHERE sequence = 4)", "image"),
        ("DELETE FROM current_decisions; DELETE FROM decisions WHERE sequence = 3", "Decision 3 is missing"),
        ("UPDATE decisions SET hash = 'f' WHERE sequence = 3", "Decision 3 .* changed"),
        ("DELETE FROM image_verdicts WHERE verdict = 'reject'", "image_verdicts lacks 1 rows"),
        ("UPDATE current_decisions SET verdict = 'accept'", "current_decisions"),
    ],
)
def test_tampering_is_seen(engine, filled, damage, problem):
    assert filled.verify_chain().intact
    with engine.begin() as connection:
        for statement in damage.split(";"):
            connection.execute(text(statement))
    report = filled.verify_chain()
    assert not report.intact
    assert report.problem is not None
    assert re.search(problem, report.problem), report.problem


def test_a_forged_row_with_a_right_hash_of_its_own_is_seen(engine, filled):
    with engine.begin() as connection:
        connection.execute(text("UPDATE decisions SET previous_hash = 'e' WHERE sequence = 5"))
    assert "Decision 5 does not follow" in (filled.verify_chain().problem or "")


@pytest.mark.slow
def test_eight_threads_lose_no_verdict(engine, store, image_ids, says):
    def review(number):
        for turn in range(25):
            image = image_ids[(turn * (number + 1)) % 6]
            store.decide(says(image, VERDICTS[(turn + number) % 3], f"reviewer {number}"))
            if turn % 10 == 9:
                store.undo("first", f"reviewer {number}")
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(review, range(8))) == list(range(8))
    events = store.decisions("first")
    assert len(events) == 8 * 27 and [e.sequence for e in events] == list(range(1, 8 * 27 + 1))
    for number in range(8):
        mine = [e for e in events if e.reviewer == f"reviewer {number}"]
        assert sum(e.verdict is not None for e in mine) == 25 and sum(e.undoes is not None for e in mine) == 2
    report = store.verify_chain()
    assert report.intact and report.num_decisions == 216 and report.head == events[-1].hash


def test_two_stores_on_one_database_share_the_chain(database_url, store, image_ids, says):
    """Two processes in small: neither sees the other's lock in memory, only the database."""
    other_engine = open_engine(database_url)
    other = CurationStore(other_engine, store.pool.folder)

    def review(which):
        for turn in range(20):
            which[0].decide(says(image_ids[turn % 6], "accept", which[1]))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(review, ((store, "ada"), (other, "bob"))))
    other_engine.dispose()
    assert store.verify_chain().intact and len(store.decisions("first")) == 40


def test_the_same_image_added_by_many_threads_is_one_row(store, sample):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: store.add_image(sample(9)).image_id, range(16)))
    assert len(found) == 1 and store.page().total == 1
