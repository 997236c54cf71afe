from concurrent.futures import ThreadPoolExecutor

import pytest

from dermaflux.curation.records import DecisionRequest
from dermaflux.domain.errors import InvalidRequest, StaleDecision
from dermaflux.domain.records import Verdict


def version(store, image_id, viewer=None):
    return store.get(image_id, "first", viewer).version


def test_the_version_of_an_image_is_its_newest_decision_in_the_dataset(store, image_ids, says):
    store.create_dataset("second")
    assert version(store, image_ids[0]) == 0
    made = store.decide(says(image_ids[0]))
    assert version(store, image_ids[0]) == made.sequence == 1
    store.decide(says(image_ids[0], dataset="second"))
    store.decide(says(image_ids[1]))
    assert version(store, image_ids[0]) == 1
    assert version(store, image_ids[1]) == 3
    assert [image.version for image in store.page("first").images] == [0, 0, 0, 0, 3, 1]
    assert store.undo("first", "ada").sequence == version(store, image_ids[1]) == 4
    assert store.get(image_ids[0]).version == 0


def test_a_decision_on_what_the_reviewer_saw_is_stored(store, image_ids, says):
    first = store.decide(says(image_ids[0], expected_version=0))
    again = store.decide(says(image_ids[0], "reject", expected_version=first.sequence))
    assert store.get(image_ids[0], "first").verdict is Verdict.REJECT
    assert again.sequence == 2


def test_a_stale_decision_names_what_came_between_and_stores_nothing(store, image_ids, says):
    store.decide(says(image_ids[0], "reject", "bob"))
    store.decide(says(image_ids[0], "accept", "cem"))
    store.undo("first", "cem")
    with pytest.raises(StaleDecision, match="cem took a verdict back, cem said accept, bob said reject"):
        store.decide(says(image_ids[0], expected_version=0))
    with pytest.raises(StaleDecision, match="Version 7 is not of this image"):
        store.decide(says(image_ids[0], expected_version=7))
    assert len(store.decisions("first")) == 3
    assert store.verify_chain().intact
    assert store.decide(says(image_ids[0], expected_version=None)).sequence == 4


def test_ones_own_decision_in_another_window_counts_too(store, image_ids, says):
    store.decide(says(image_ids[0], "reject"))
    with pytest.raises(StaleDecision, match="you said reject"):
        store.decide(says(image_ids[0], "accept", expected_version=0))


def test_a_double_click_is_one_decision(store, image_ids, says):
    request = says(image_ids[0], realism=3, expected_version=0)
    first = store.decide(request)
    assert store.decide(request) == first
    assert len(store.decisions("first")) == 1
    with pytest.raises(StaleDecision):
        store.decide(says(image_ids[0], realism=4, expected_version=0))


def test_a_request_sent_again_is_answered_as_the_first_time(store, image_ids, says):
    request = says(image_ids[0], request_id="r1")
    first = store.decide(request)
    store.decide(says(image_ids[0], "reject", "bob"))
    assert store.decide(request) == first
    store.undo("first", "ada")
    assert store.decide(request) == first, "a late retry must not bring back what was taken back"
    assert store.get(image_ids[0], "first").verdict is Verdict.REJECT
    assert len(store.decisions("first")) == 3
    assert store.decide(says(image_ids[0], request_id="r2")).sequence == 4


@pytest.mark.parametrize("change", [{"verdict": "reject"}, {"reviewer": "bob"}, {"image_id": 1}])
def test_a_request_id_names_one_decision_only(store, image_ids, change):
    asked = {"dataset": "first", "image_id": image_ids[0], "reviewer": "ada", "verdict": "accept", "request_id": "r"}
    store.decide(DecisionRequest(**asked))
    if "image_id" in change:
        change = {"image_id": image_ids[1]}
    with pytest.raises(InvalidRequest, match="another decision"):
        store.decide(DecisionRequest(**asked | change))
    assert len(store.decisions("first")) == 1


def test_the_same_said_again_without_id_and_version_is_meant(store, image_ids, says):
    assert store.decide(says(image_ids[0])).sequence == 1
    assert store.decide(says(image_ids[0])).sequence == 2


def test_of_many_who_saw_the_same_state_one_gets_in(store, image_ids, says):
    def decide(number):
        try:
            return store.decide(says(image_ids[0], "accept", f"reviewer {number}", expected_version=0))
        except StaleDecision:
            return None

    with ThreadPoolExecutor(8) as pool:
        assert sum(made is not None for made in pool.map(decide, range(8))) == 1
    assert len(store.decisions("first")) == 1


def test_a_request_sent_many_times_at_once_is_one_decision(store, image_ids, says):
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: store.decide(says(image_ids[0], request_id="r")).decision_id, range(16)))
    assert len(made) == len(store.decisions("first")) == 1


@pytest.mark.parametrize("wrong", [{"expected_version": -1}, {"expected_version": "1"}, {"request_id": ""},
                                   {"request_id": "x" * 65}])  # fmt: skip
def test_versions_and_request_ids_that_are_none_are_refused(says, wrong):
    with pytest.raises(InvalidRequest):
        says("i", **wrong)
