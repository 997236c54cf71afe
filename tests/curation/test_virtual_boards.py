"""Where reviewers agree, as a filter, and the counts of the virtual boards: what the filters themselves let pass."""

import pytest

from dermaflux.curation.records import ImageFilter
from dermaflux.curation.review_records import ReviewPlan
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Verdict


@pytest.fixture
def judged(store, image_ids, says):
    """Image 0 disputed, 1 agreed on, 2 judged by ada alone, 3 disputed and settled, 4 disputed by all three."""
    for image, verdict, reviewer in (
        (0, "accept", "ada"), (0, "reject", "bob"), (1, "accept", "ada"), (1, "accept", "bob"), (2, "unsure", "ada"),
        (3, "accept", "bob"), (3, "unsure", "cem"), (4, "accept", "ada"), (4, "reject", "bob"), (4, "unsure", "cem"),
    ):  # fmt: skip
        store.decide(says(image_ids[image], verdict, reviewer))
    store.set_review_plan("first", ReviewPlan(reviewers_per_image=2))
    store.adjudicate(says(image_ids[3], "reject", "dee"))
    return store


def listed(store, image_ids, **filters):
    page = store.page("first", ImageFilter(**filters))
    assert page.total == len(page.images)
    return sorted(image_ids.index(image.image_id) for image in page.images)


def test_reviewers_agree_or_not_where_two_or_more_have_judged(judged, image_ids):
    assert listed(judged, image_ids, reviewers_agree=False) == [0, 3, 4]
    assert listed(judged, image_ids, reviewers_agree=True) == [1]
    assert listed(judged, image_ids, reviewers_agree=False, verdict="reject") == [0, 3, 4]
    assert listed(judged, image_ids, reviewers_agree=False, reviewer="ada", verdict="accept") == [0, 4]
    assert listed(judged, image_ids, reviewers_agree=False, reviewer="ada", undecided=True) == [3]
    assert listed(judged, image_ids, reviewers_agree=False, diagnoses=("mel",)) == [0, 3]
    assert judged.matching_ids("first", ImageFilter(reviewers_agree=False, order="oldest"), 2) == (
        image_ids[0], image_ids[3],
    )  # fmt: skip
    judged.undo("first", "bob")  # the one on image 4: ada and cem are left
    assert listed(judged, image_ids, reviewers_agree=False) == [0, 3, 4]
    judged.undo("first", "cem")
    assert listed(judged, image_ids, reviewers_agree=False) == [0, 3]


def test_in_a_blinded_review_they_are_compared_once_enough_are_in(judged, image_ids):
    judged.set_review_plan("first", ReviewPlan(reviewers_per_image=3, blinded=True))
    for viewer in ("ada", "cem", "nobody yet"):
        assert listed(judged, image_ids, viewer=viewer, reviewers_agree=False) == [4]
        assert listed(judged, image_ids, viewer=viewer, reviewers_agree=True) == []
        assert judged.board_counts("first", viewer, compared=True).reviewers_disagree == 1
    assert listed(judged, image_ids, reviewers_agree=False) == [0, 3, 4]
    judged.set_review_plan("first", ReviewPlan(reviewers_per_image=1, blinded=True))
    assert listed(judged, image_ids, viewer="ada", reviewers_agree=True) == [1]  # not image 2, which one has judged


@pytest.mark.parametrize("plan", [ReviewPlan(), ReviewPlan(reviewers_per_image=3, blinded=True)])
@pytest.mark.parametrize("viewer", ["ada", "bob", "nobody yet"])
def test_boards_count_what_their_filters_let_pass(judged, sample, assessed, plan, viewer):
    judged.set_review_plan("first", plan)
    judged.add_image(sample(99, Diagnosis.NV), assessed(malignant=0.9))  # the classifier disagrees
    judged.add_image(sample(98, Diagnosis.NV))  # it was not asked
    found = judged.board_counts("first", viewer, compared=True)

    def total(**filters):
        return judged.page("first", ImageFilter(viewer=viewer, **filters)).total

    assert {v: getattr(found.verdicts, v) for v in Verdict} == {v: total(verdict=v) for v in Verdict}
    assert found.verdicts.undecided == total(undecided=True)
    assert found.diagnoses == {d: n for d in Diagnosis if (n := total(diagnoses=(d,)))}
    assert found.classifier_disagrees == total(agrees=False) > 0
    assert found.reviewers_disagree == total(reviewers_agree=False) > 0


def test_without_a_dataset_or_the_right_nobody_is_compared(judged, image_ids):
    assert judged.board_counts("first", "ada", compared=False).reviewers_disagree is None
    none = judged.board_counts(None, "ada", compared=False)
    assert (none.verdicts.undecided, none.verdicts.decided) == (len(image_ids), 0)
    assert sum(none.diagnoses.values()) == len(image_ids)
