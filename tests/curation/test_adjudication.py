import random
import re

import pytest
from sqlalchemy import text

from dermaflux.curation.database import downgrade, migrate
from dermaflux.curation.records import ImageFilter
from dermaflux.curation.review_records import ReviewPlan
from dermaflux.domain.errors import InvalidRequest, StaleDecision
from dermaflux.domain.records import Verdict


@pytest.fixture
def disputed(store, image_ids, says):
    """Two reviewers an image: 0 and 2 disputed (2 for longer), 1 agreed, 3 judged by one only."""
    store.set_review_plan("first", ReviewPlan(reviewers_per_image=2))
    for image, verdict, reviewer in (
        (0, "accept", "ada"), (2, "unsure", "ada"), (2, "accept", "bob"), (1, "accept", "ada"), (1, "accept", "bob"),
        (0, "reject", "bob"), (3, "accept", "ada"),
    ):  # fmt: skip
        store.decide(says(image_ids[image], verdict, reviewer))
    return store


def waiting(store, image_ids):
    return [image_ids.index(dispute.image.image_id) for dispute in store.disputes("first")]


def test_disputes_are_listed_oldest_first_with_all_verdicts(disputed, image_ids):
    assert waiting(disputed, image_ids) == [2, 0]
    assert disputed.num_disputes("first") == 2
    (first,) = disputed.disputes("first", limit=1)
    assert [(one.reviewer, one.verdict) for one in first.verdicts] == [("ada", "unsure"), ("bob", "accept")]
    assert first.image.version == 3
    assert first.image.verdict is Verdict.ACCEPT
    with pytest.raises(InvalidRequest):
        disputed.disputes("first", limit=0)


def test_an_adjudication_outweighs_the_reviewers_and_can_be_undone(disputed, image_ids, says):
    one = image_ids[0]
    assert disputed.get(one, "first").verdict is Verdict.REJECT
    made = disputed.adjudicate(says(one, "accept", "dee", note="The border is fine."))
    assert made.adjudicates
    assert disputed.get(one, "first").verdict is Verdict.ACCEPT
    assert one in disputed.accepted_ids("first")
    assert waiting(disputed, image_ids) == [2]
    assert disputed.decisions("first", one)[-1] == made
    assert disputed.verify_chain().intact
    undone = disputed.undo("first", "dee")
    assert undone.adjudicates and undone.undoes == made.decision_id
    assert disputed.get(one, "first").verdict is Verdict.REJECT
    assert waiting(disputed, image_ids) == [2, 0]
    assert disputed.verify_chain().intact


def test_it_stands_whatever_the_reviewers_say_later(disputed, image_ids, says):
    disputed.adjudicate(says(image_ids[0], "accept", "dee"))
    disputed.decide(says(image_ids[0], "reject", "cem"))
    disputed.undo("first", "bob")
    disputed.undo("first", "bob")
    assert disputed.get(image_ids[0], "first").verdict is Verdict.ACCEPT
    assert disputed.verify_chain().intact


def test_the_last_of_several_adjudications_counts(disputed, image_ids, says):
    disputed.adjudicate(says(image_ids[0], "accept", "dee"))
    disputed.adjudicate(says(image_ids[0], "unsure", "eva"))
    assert disputed.get(image_ids[0], "first").verdict is Verdict.UNSURE
    disputed.undo("first", "eva")
    assert disputed.get(image_ids[0], "first").verdict is Verdict.ACCEPT
    assert disputed.verify_chain().intact


def test_a_reviewer_who_adjudicates_keeps_his_own_verdict(disputed, image_ids, says):
    disputed.adjudicate(says(image_ids[0], "reject", "ada", realism=1))
    assert disputed.page("first", ImageFilter(reviewer="ada", verdict="accept")).total == 3
    assert disputed.get(image_ids[0], "first").verdict is Verdict.REJECT
    assert disputed.agreement("first").num_reviewers == 2
    disputed.rebuild_verdicts()
    assert disputed.verify_chain().intact


@pytest.mark.parametrize(("image", "why"), [(1, "agree"), (3, "1 of 2 reviewers"), (4, "0 of 2 reviewers")])
def test_where_there_is_nothing_to_settle_it_is_refused(disputed, image_ids, says, image, why):
    with pytest.raises(InvalidRequest, match=why):
        disputed.adjudicate(says(image_ids[image], "accept", "dee"))
    assert len(disputed.decisions("first")) == 7


def test_an_adjudication_is_checked_and_stored_once_like_any_decision(disputed, image_ids, says):
    seen = disputed.get(image_ids[0], "first").version
    request = says(image_ids[0], "accept", "dee", expected_version=seen)
    assert disputed.adjudicate(request) == disputed.adjudicate(request)
    with pytest.raises(StaleDecision, match="dee settled it as accept"):
        disputed.adjudicate(says(image_ids[0], "reject", "eva", expected_version=seen))
    disputed.adjudicate(says(image_ids[2], "accept", "dee", request_id="r"))
    with pytest.raises(InvalidRequest, match="another decision"):
        disputed.decide(says(image_ids[2], "accept", "dee", request_id="r"))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE decisions SET adjudicates = NOT adjudicates WHERE sequence = 8", "Decision 8 .* changed"),
        ("UPDATE decisions SET adjudicates = NOT adjudicates WHERE sequence = 3", "Decision 3 .* changed"),
        ("DELETE FROM adjudications", "adjudications lacks 1 rows"),
        ("UPDATE adjudications SET verdict = 'reject'", "adjudications"),
        ("UPDATE image_verdicts SET verdict = 'reject' WHERE verdict = 'accept'", "image_verdicts"),
    ],
)
def test_tampering_with_an_adjudication_is_seen(engine, disputed, image_ids, says, damage, problem):
    disputed.adjudicate(says(image_ids[0], "accept", "dee"))
    with engine.begin() as connection:
        connection.execute(text(damage))
    found = disputed.verify_chain().problem or ""
    assert re.search(problem, found), found


@pytest.mark.parametrize("revision", ["0003", "0001"])
def test_going_down_and_up_keeps_adjudications(engine, disputed, image_ids, says, revision):
    disputed.adjudicate(says(image_ids[0], "accept", "dee"))
    disputed.adjudicate(says(image_ids[2], "reject", "ada"))
    disputed.undo("first", "ada")
    before = disputed.counts("first"), disputed.decisions("first"), disputed.page("first")
    downgrade(engine, revision)
    migrate(engine)
    assert (disputed.counts("first"), disputed.decisions("first"), disputed.page("first")) == before
    assert disputed.verify_chain().intact
    assert disputed.review_plan("first") == ReviewPlan(), "plans are not kept"


def test_decisions_made_before_there_were_adjudications_keep_their_hash(engine, filled):
    downgrade(engine, "0003")
    with engine.begin() as connection:
        hashes = connection.execute(text("SELECT hash FROM decisions ORDER BY sequence")).scalars().all()
    migrate(engine)
    assert [decision.hash for decision in filled.decisions("first")] == hashes
    assert filled.verify_chain().intact


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_is_what_the_events_say_after_any_mixture(store, image_ids, says, seed):
    store.set_review_plan("first", ReviewPlan(reviewers_per_image=2))
    rng, people = random.Random(seed), ("ada", "bob", "cem")
    for _ in range(60):
        request = says(rng.choice(image_ids[:2]), rng.choice(tuple(Verdict)), rng.choice(people), realism=2)
        action = rng.choice(("decide", "decide", "adjudicate", "undo"))
        try:
            store.undo("first", request.reviewer) if action == "undo" else getattr(store, action)(request)
        except InvalidRequest:
            continue  # nothing to undo, or to settle
        assert store.verify_chain().problem is None
    before = store.counts("first"), store.page("first"), store.disputes("first")
    assert any(decision.adjudicates for decision in store.decisions("first"))
    store.rebuild_verdicts()
    assert (store.counts("first"), store.page("first"), store.disputes("first")) == before
