import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dermaflux.curation.records import ImageFilter, VerdictCounts
from dermaflux.curation.review_records import ReviewPlan
from dermaflux.domain.errors import StaleDecision
from dermaflux.domain.records import Verdict


@pytest.fixture
def blinded(store, image_ids):
    store.set_review_plan("first", ReviewPlan(reviewers_per_image=2, blinded=True))
    return store


def listed(store, image_ids, **filters):
    page = store.page("first", ImageFilter(**filters))
    assert page.total == len(page.images)
    return sorted(image_ids.index(image.image_id) for image in page.images)


def test_others_verdicts_show_once_enough_are_in(blinded, image_ids, says):
    one = image_ids[0]
    blinded.decide(says(one, "accept", "bob"))
    assert blinded.get(one, "first", "ada").verdict is None
    assert blinded.get(one, "first", "ada").version == 0
    assert blinded.get(one, "first", "bob").verdict is Verdict.ACCEPT
    assert blinded.get(one, "first").verdict is Verdict.ACCEPT
    assert blinded.decisions("first", one, "ada") == ()
    blinded.decide(says(one, "reject", "ada"))
    assert blinded.get(one, "first", "ada").verdict is Verdict.REJECT
    assert blinded.get(one, "first", "cem").verdict is Verdict.REJECT
    assert len(blinded.decisions("first", one, "cem")) == 2
    blinded.undo("first", "bob")
    assert blinded.get(one, "first", "cem").verdict is None
    assert [decision.reviewer for decision in blinded.decisions("first", viewer="ada")] == ["ada"]


def test_no_filter_lets_out_what_is_hidden(blinded, image_ids, says):
    blinded.decide(says(image_ids[0], "reject", "bob"))
    blinded.decide(says(image_ids[1], "accept", "ada"))
    for reviewer in ("ada", "bob"):
        blinded.decide(says(image_ids[2], "accept", reviewer))
    assert listed(blinded, image_ids, viewer="ada", verdict="reject") == []
    assert listed(blinded, image_ids, viewer="ada", verdict="accept") == [1, 2]
    assert listed(blinded, image_ids, viewer="ada", undecided=True) == [0, 3, 4, 5]
    assert listed(blinded, image_ids, viewer="ada", undecided=True, diagnoses=("mel",)) == [0, 3]
    assert listed(blinded, image_ids, viewer="ada", reviewer="bob", verdict="reject") == []
    assert listed(blinded, image_ids, viewer="ada", reviewer="bob", verdict="accept") == [2]
    assert listed(blinded, image_ids, viewer="ada", reviewer="bob", undecided=True) == [0, 1, 3, 4, 5]
    assert listed(blinded, image_ids, viewer="bob", reviewer="bob", verdict="reject") == [0]
    assert listed(blinded, image_ids, verdict="reject") == [0]
    assert [image.verdict for image in blinded.page("first", ImageFilter(viewer="ada")).images] == [
        None, None, None, Verdict.ACCEPT, Verdict.ACCEPT, None,
    ]  # fmt: skip
    assert blinded.counts("first", viewer="ada") == VerdictCounts(accept=2, undecided=4)
    assert blinded.counts("first", "bob", viewer="ada") == VerdictCounts(accept=1, undecided=5)
    assert blinded.counts("first") == VerdictCounts(accept=2, reject=1, undecided=3)


def test_an_open_plan_hides_nothing(store, image_ids, says):
    store.set_review_plan("first", ReviewPlan(reviewers_per_image=2, blinded=False))
    store.decide(says(image_ids[0], "reject", "bob"))
    assert store.get(image_ids[0], "first", "ada").verdict is Verdict.REJECT
    assert listed(store, image_ids, viewer="ada", verdict="reject") == [0]


def test_what_the_others_do_in_the_dark_makes_nothing_stale(blinded, image_ids, says):
    seen = blinded.get(image_ids[0], "first", "ada").version
    blinded.decide(says(image_ids[0], "reject", "bob"))
    made = blinded.decide(says(image_ids[0], "accept", "ada", expected_version=seen))
    assert made.sequence == 2
    with pytest.raises(StaleDecision, match="you said accept, bob said reject"):
        blinded.decide(says(image_ids[0], "unsure", "ada", expected_version=seen))


def test_a_stale_decision_says_nothing_of_the_others_in_the_dark(blinded, image_ids, says):
    blinded.set_review_plan("first", ReviewPlan(reviewers_per_image=3, blinded=True))
    blinded.decide(says(image_ids[0], "accept", "ada"))
    blinded.decide(says(image_ids[0], "reject", "bob"))
    with pytest.raises(StaleDecision) as refused:
        blinded.decide(says(image_ids[0], "unsure", "ada", expected_version=0))
    assert "you said accept" in str(refused.value)
    assert "bob" not in str(refused.value)


def test_assignments_show_no_verdict_of_others(blinded, image_ids, says):
    blinded.decide(says(image_ids[3], "reject", "bob"))
    given = blinded.next_assignments("first", "ada", 2)
    assert [one.image.image_id for one in given] == [image_ids[3], image_ids[0]]
    assert [(one.image.verdict, one.image.version) for one in given] == [(None, 0), (None, 0)]


said = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(("bob", "cem", "dee")), st.sampled_from(tuple(Verdict))))
numbers = iter(range(10**6))


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said)
def test_a_blinded_page_is_the_same_whatever_the_others_said_of_unfinished_images(store, image_ids, says, said):
    """Two datasets with the same judges and other verdicts look alike to ada, but for the images that are complete."""
    names = f"set {next(numbers)}", f"set {next(numbers)}"
    turned = {Verdict.ACCEPT: Verdict.REJECT, Verdict.REJECT: Verdict.UNSURE, Verdict.UNSURE: Verdict.ACCEPT}
    for name in names:
        store.create_dataset(name)
        store.set_review_plan(name, ReviewPlan(reviewers_per_image=3, blinded=True))
        store.decide(says(image_ids[0], "accept", "ada", name))
    for image, reviewer, verdict in said:
        judges = {who for number, who, _ in said if number == image} | ({"ada"} if image == 0 else set())
        if len(judges) < 3:
            store.decide(says(image_ids[image], verdict, reviewer, names[0]))
            store.decide(says(image_ids[image], turned[verdict], reviewer, names[1]))
    for filters in (
        {}, {"undecided": True}, {"verdict": "accept"}, {"verdict": "reject"}, {"reviewer": "bob"},
        {"reviewers_agree": True}, {"reviewers_agree": False},
    ):  # fmt: skip
        one, other = (store.page(name, ImageFilter(viewer="ada", **filters)) for name in names)
        assert [(image.image_id, image.verdict) for image in one.images] == [
            (image.image_id, image.verdict) for image in other.images
        ]
        assert one.total == other.total
    assert store.counts(names[0], viewer="ada") == store.counts(names[1], viewer="ada")
    one, other = (store.board_counts(name, "ada", compared=True) for name in names)
    assert one == other
