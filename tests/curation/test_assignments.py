from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from dermaflux.curation.review_records import ReviewPlan
from dermaflux.curation.store import CurationStore
from dermaflux.curation.tables import DatasetRow, LeaseRow
from dermaflux.domain.errors import DataNotFound, InvalidRequest


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now

    def forward(self, minutes):
        self.now += timedelta(minutes=minutes)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def desk(engine, store, image_ids, clock):
    """The store with six images and a clock of its own."""
    return CurationStore(engine, store.pool.folder, clock)


def plan(store, number, dataset="first"):
    store.set_review_plan(dataset, ReviewPlan(reviewers_per_image=number))


def handed(store, reviewer, limit=10, dataset="first", **more):
    return [given.image.image_id for given in store.next_assignments(dataset, reviewer, limit, **more)]


def test_a_plan_is_one_open_reviewer_until_it_is_set(desk):
    assert desk.review_plan("first") == ReviewPlan(reviewers_per_image=1, blinded=False)
    desk.set_review_plan("first", ReviewPlan(reviewers_per_image=3, blinded=True))
    desk.set_review_plan("first", ReviewPlan(reviewers_per_image=2, blinded=True))
    assert desk.review_plan("first") == ReviewPlan(reviewers_per_image=2, blinded=True)
    for number in (0, 6, True, 1.5):
        with pytest.raises(InvalidRequest, match="from 1 to 5"):
            ReviewPlan(reviewers_per_image=number)
    with pytest.raises(DataNotFound):
        desk.review_plan("second")


def test_the_oldest_images_go_first_and_asking_again_gives_the_same(desk, image_ids, clock):
    assert handed(desk, "ada", 2) == image_ids[:2]
    clock.forward(10)
    assert handed(desk, "ada", 2) == image_ids[:2]
    assert handed(desk, "bob", 3) == image_ids[2:5]
    clock.forward(10)  # within the lease that asking again renewed
    assert handed(desk, "cem") == image_ids[5:]
    assert handed(desk, "ada", 3) == image_ids[:2], "nothing is left"


def test_what_is_decided_is_not_handed_out_again(desk, image_ids, says):
    assert handed(desk, "ada", 1) == image_ids[:1]
    desk.decide(says(image_ids[0]))
    desk.decide(says(image_ids[1]))
    assert handed(desk, "ada", 1) == image_ids[2:3]
    assert handed(desk, "bob") == image_ids[3:]
    desk.undo("first", "ada")
    assert handed(desk, "bob") == [*image_ids[3:], image_ids[1]]


def test_images_nearest_to_completion_come_first(desk, image_ids, says):
    plan(desk, 3)
    desk.decide(says(image_ids[4], reviewer="ada"))
    desk.decide(says(image_ids[4], reviewer="bob"))
    desk.decide(says(image_ids[2], reviewer="ada"))
    assert handed(desk, "cem", 3) == [image_ids[4], image_ids[2], image_ids[0]]
    assert handed(desk, "dee", 3) == [image_ids[2], image_ids[0], image_ids[1]]
    assert handed(desk, "ada", 2) == image_ids[:2], "not what she has decided; what others hold, first"


def test_a_lease_that_runs_out_goes_back(desk, image_ids, clock):
    assert len(handed(desk, "ada")) == 6
    assert handed(desk, "bob") == []
    clock.forward(14.9)
    assert handed(desk, "bob") == []
    clock.forward(0.1)
    assert handed(desk, "bob") == image_ids
    assert handed(desk, "ada") == []


def test_leases_are_renewed_and_given_back(desk, image_ids, clock):
    given = desk.next_assignments("first", "ada", 6, lease_minutes=5)
    assert given[0].expires_at == "2030-01-01T00:05:00+00:00"
    clock.forward(4)
    assert desk.renew_assignments("first", "ada", lease_minutes=5) == 6
    clock.forward(4)
    assert handed(desk, "bob") == []
    clock.forward(2)
    assert desk.renew_assignments("first", "ada") == 0, "too late"
    assert len(handed(desk, "ada")) == 6
    desk.give_back_assignments("first", "ada")
    assert handed(desk, "bob") == image_ids


def test_a_late_verdict_is_kept_and_the_lease_it_made_needless_ends(desk, image_ids, says, clock):
    assert handed(desk, "ada", 1) == image_ids[:1]
    clock.forward(20)
    assert handed(desk, "bob", 1) == image_ids[:1]
    desk.decide(says(image_ids[0], reviewer="ada"))
    assert handed(desk, "bob", 1) == image_ids[1:2]
    assert len(desk.decisions("first", image_ids[0])) == 1


def test_datasets_do_not_share_leases(desk, image_ids):
    desk.create_dataset("second")
    assert handed(desk, "ada") == image_ids
    assert handed(desk, "bob", dataset="second") == image_ids


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 101}, {"lease_minutes": 0}, {"lease_minutes": 1441},
                                   {"lease_minutes": float("nan")}, {"reviewer": " "}])  # fmt: skip
def test_impossible_assignments_are_refused(desk, wrong):
    with pytest.raises(InvalidRequest):
        desk.next_assignments("first", **{"reviewer": "ada"} | wrong)


@pytest.mark.parametrize("number", [1, 2])
def test_reviewers_who_ask_at_once_share_the_slots_exactly(desk, image_ids, number):
    plan(desk, number)
    with ThreadPoolExecutor(14) as pool:
        given = list(pool.map(lambda n: handed(desk, f"reviewer {n}", 1), range(14)))
    assert Counter(image for images in given for image in images) == dict.fromkeys(image_ids, number)


REVIEWERS = ("ada", "bob", "cem", "dee")
turns = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(REVIEWERS), st.integers(1, 4)),
        st.tuples(st.just("ask"), st.sampled_from(REVIEWERS), st.integers(1, 4)),
        st.tuples(st.just("decide"), st.sampled_from(REVIEWERS), st.integers(0, 5)),
        st.tuples(st.just("decide"), st.sampled_from(REVIEWERS), st.integers(0, 5)),
        st.tuples(st.just("undo"), st.sampled_from(REVIEWERS)),
        st.tuples(st.just("leave"), st.sampled_from(REVIEWERS)),
        st.tuples(st.just("wait"), st.sampled_from((1, 6, 16))),
    ),
    max_size=20,
)
numbers = iter(range(10**6))


class Office:
    """Reviewers at work on a dataset of their own; `check` holds what must be true whenever images are handed out."""

    def __init__(self, engine, store, says, num_reviewers):
        self.clock = Clock()
        self.store = CurationStore(engine, store.pool.folder, self.clock)
        self.engine, self.says, self.num_reviewers = engine, says, num_reviewers
        self.name = f"set {next(numbers)}"
        self.store.create_dataset(self.name)
        plan(self.store, num_reviewers, self.name)
        self.told = {}  # the images each reviewer has on the screen, in time or not
        self.decided = []

    def ask(self, reviewer, limit):
        self.told[reviewer] = handed(self.store, reviewer, limit, self.name)
        self.check(reviewer)
        return self.told[reviewer]

    def decide(self, reviewer, place):
        if on_screen := self.told.get(reviewer):
            image = on_screen.pop(place % len(on_screen))
            self.store.decide(self.says(image, "accept", reviewer, self.name))
            self.decided.append((reviewer, image))

    def undo(self, reviewer):
        mine = [number for number, (who, _) in enumerate(self.decided) if who == reviewer]
        if mine:
            self.store.undo(self.name, reviewer)
            del self.decided[mine[-1]]

    def leave(self, reviewer):
        self.store.give_back_assignments(self.name, reviewer)

    def wait(self, minutes):
        self.clock.forward(minutes)

    def check(self, reviewer):
        images = self.told[reviewer]
        assert len(images) == len(set(images))
        assert not {(reviewer, image) for image in images} & set(self.decided)
        judged = Counter(image for _, image in set(self.decided))
        for image in images:
            assert judged[image] + self.live_leases(image) <= self.num_reviewers

    def live_leases(self, image):
        dataset_id = select(DatasetRow.id).where(DatasetRow.name == self.name).scalar_subquery()
        leases = select(func.count()).select_from(LeaseRow).where(LeaseRow.dataset_id == dataset_id)
        with self.engine.connect() as connection:
            return connection.scalar(leases.where(LeaseRow.image_id == image, LeaseRow.expires_at > self.clock.now))


# Each example has a dataset of its own, so the one store may serve them all.
@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=turns, num_reviewers=st.integers(1, 3))
def test_no_image_starves_and_none_is_handed_out_too_often(engine, store, image_ids, says, turns, num_reviewers):
    office = Office(engine, store, says, num_reviewers)
    for name, *what in turns:
        getattr(office, name)(*what)
    office.wait(20)  # they leave what they hold lying, and others come
    others = ("eva", "fay", "gus")
    while any([len(office.ask(reviewer, 2)) for reviewer in others]):
        for reviewer in others:
            office.decide(reviewer, 0)
    judged = Counter(image for _, image in set(office.decided))
    assert set(judged) == set(image_ids)
    assert min(judged.values()) >= num_reviewers
