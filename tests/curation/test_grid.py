"""What the grid of curation asks of the store: orders by keyset, filters, verdicts together, saved filters, boards."""

from datetime import UTC, datetime, timedelta

import pytest

from dermaflux.curation import paging
from dermaflux.curation.database import downgrade, migrate
from dermaflux.curation.records import ImageFilter, Order
from dermaflux.curation.review_records import ReviewPlan
from dermaflux.domain.errors import DataNotFound, InvalidRequest, StaleDecision

FIGURES = (0.9, 0.1, 0.5, 0.5, 0.5, None, 0.3)


@pytest.fixture
def ranked(store, sample, assessed):
    """Images with P(malignant) of FIGURES, some of them equal and one without."""
    store.create_dataset("first", owner="ada")
    return [
        store.add_image(sample(seed), None if p is None else assessed(malignant=p)).image_id
        for seed, p in enumerate(FIGURES)
    ]


def walk(store, order, limit=2):
    found, after = [], None
    while True:
        page = store.page("first", ImageFilter(order=order), after=after, limit=limit)
        found += [image.image_id for image in page.images]
        after = page.next_after
        if after is None:
            return found


@pytest.mark.parametrize("order", [o for o in Order if not o.by_realism])
def test_every_order_shows_each_image_once_page_by_page(store, ranked, order):
    found = walk(store, order)
    assert sorted(found) == sorted(ranked)
    assert found == walk(store, order, limit=7)


def test_figures_are_in_order_and_images_without_one_come_last(store, ranked):
    by_id = dict(zip(ranked, FIGURES, strict=True))
    falling = [by_id[i] for i in walk(store, Order.MOST_MALIGNANT)]
    rising = [by_id[i] for i in walk(store, Order.LEAST_MALIGNANT)]
    assert falling == [0.9, 0.5, 0.5, 0.5, 0.3, 0.1, None]
    assert rising == [0.1, 0.3, 0.5, 0.5, 0.5, 0.9, None]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True, scope="session")
@pytest.mark.parametrize("order", [o for o in Order if o not in (Order.NEWEST, Order.OLDEST) and not o.by_realism])
def test_a_sort_by_a_figure_reads_no_captions(engine, order):
    query = paging.slice_of(ImageFilter(order=order), None, None, 0, 120)
    plain = query.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {plain}")]
    assert plan[0] == "SCAN images USING COVERING INDEX ix_images_figures"


def test_realism_sorts_rated_images_and_counts_only_them(store, ranked, says):
    for image_id, realism in zip(ranked[:3], (2, 5, None), strict=True):
        store.decide(says(image_id, realism=realism))
    page = store.page("first", ImageFilter(order=Order.MOST_REALISTIC))
    assert [image.image_id for image in page.images] == [ranked[1], ranked[0]]
    assert page.total == 2
    with pytest.raises(InvalidRequest, match="no realism"):
        ImageFilter(order=Order.MOST_REALISTIC, undecided=True)


def test_a_cursor_of_another_order_is_refused(store, ranked):
    cursor = store.page("first", limit=2).next_after
    with pytest.raises(InvalidRequest, match="another order"):
        store.page("first", ImageFilter(order=Order.FARTHEST), after=cursor)


def test_filters_by_agreement_day_and_picked_images(store, ranked):
    # All ask for melanoma, the threshold is 0.5: 0.1 and 0.3 disagree.
    def ids(**wanted):
        return {image.image_id for image in store.page("first", ImageFilter(**wanted)).images}

    assert ids(agrees=False) == {ranked[1], ranked[6]}
    assert len(ids(agrees=True)) == 4
    today = datetime.now(UTC).date()
    assert ids(made_from=today, made_until=today) == set(ranked)
    assert ids(made_until=today - timedelta(days=1)) == ids(made_from=today + timedelta(days=1)) == set()
    assert ids(image_ids=(ranked[2], "none")) == {ranked[2]}


def test_older_images_get_their_facts_when_the_schema_comes(store, ranked, engine):
    def facts():
        agreeing = store.page("first", ImageFilter(agrees=True)).images
        return walk(store, Order.FARTHEST), {image.image_id for image in agreeing}

    before = facts()
    downgrade(engine, "0005")
    migrate(engine)
    assert facts() == before


def test_verdicts_together_are_stored_in_order_and_taken_back_together(store, image_ids, says):
    store.decide(says(image_ids[0], "unsure"))
    done = store.decide_all([says(i, "reject", batch_id="b1") for i in image_ids])
    assert [decision.image_id for decision in done.stored] == image_ids
    assert store.counts("first").reject == 6
    undone = store.undo_together("first", "ada")
    assert {one.image_id for one in undone} == set(image_ids)
    assert (store.counts("first").reject, store.counts("first").unsure) == (0, 1)
    assert store.verify_chain().intact


def test_verdicts_of_a_batch_are_taken_back_whatever_came_after(store, image_ids, says):
    store.decide_all([says(i, "reject", batch_id="b1") for i in image_ids[:2]])
    store.decide(says(image_ids[2], "accept"))
    assert len(store.undo_together("first", "ada", "b1")) == 2
    assert (store.counts("first").reject, store.counts("first").accept) == (0, 1)
    with pytest.raises(InvalidRequest, match="left to undo"):
        store.undo_together("first", "ada", "b1")
    with pytest.raises(InvalidRequest, match="left to undo"):
        store.undo_together("first", "ben", "b1")


def test_one_stale_verdict_of_several_is_refused_and_says_why(store, image_ids, says):
    store.decide(says(image_ids[1], "reject", "ben"))
    done = store.decide_all([says(i, "accept", expected_version=0) for i in image_ids[:3]])
    assert list(done.refused) == [image_ids[1]]
    assert isinstance(done.refused[image_ids[1]], StaleDecision)
    assert "ben said reject" in str(done.refused[image_ids[1]])
    assert store.counts("first").accept == 2


def test_verdicts_sent_again_are_stored_once(store, image_ids, says):
    sent = [says(i, request_id=f"r-{i}") for i in image_ids]
    first, second = store.decide_all(sent), store.decide_all(sent)
    assert [one.decision_id for one in first.stored] == [one.decision_id for one in second.stored]
    assert len(store.decisions("first")) == len(image_ids)


def test_saved_filters_are_ones_own(store):
    store.save_filter("ada", " mine ", {"verdict": "undecided"})
    store.save_filter("ada", "mine", {"verdict": "accept"})
    store.save_filter("ben", "mine", {"text": "jagged"})
    assert [(one.name, one.words) for one in store.saved_filters("ada")] == [("mine", {"verdict": "accept"})]
    with pytest.raises(DataNotFound):
        store.delete_filter("cem", "mine")
    store.delete_filter("ada", "mine")
    assert store.saved_filters("ada") == ()
    assert len(store.saved_filters("ben")) == 1


def test_what_is_no_duplicate_is_remembered_until_the_image_goes(store, image_ids):
    store.say_distinct(image_ids[:3], "ada")
    store.say_distinct(image_ids[:2], "ben")
    assert len(store.distinct_pairs(image_ids)) == 3
    assert store.distinct_pairs(image_ids[1:3]) == {tuple(sorted(image_ids[1:3]))}
    store.unsay_distinct(image_ids[:2], "ada")  # ben said it last
    assert len(store.distinct_pairs(image_ids)) == 3
    store.unsay_distinct(image_ids[1:3], "ada")
    assert len(store.distinct_pairs(image_ids)) == 2
    store.purge(image_ids[:1], "a test")
    assert store.distinct_pairs(image_ids) == frozenset()


def test_a_dataset_is_renamed_hidden_and_archived_with_its_decisions(filled):
    changed = filled.change_dataset("first", new_name="Second", description="d", private=True, archived=True)
    assert (changed.name, changed.private, changed.archived) == ("Second", True, True)
    assert filled.counts("Second").accept == 4
    with pytest.raises(DataNotFound) as caught:
        filled.counts("first")
    assert "Second" not in str(caught.value)  # a private name is told to nobody
    filled.create_dataset("third")
    with pytest.raises(InvalidRequest, match="already"):
        filled.change_dataset("third", new_name="second")


def test_cells_count_by_standing_as_a_viewer_may_see_it(filled, image_ids):
    def accepted(viewer):
        cells = filled.cell_counts("first", "asymmetry", viewer)
        return sum(cell.number for cell in cells if cell.verdict == "accept")

    assert {cell.level for cell in filled.cell_counts(None, "asymmetry", "x")} == {1.0}
    assert accepted("ada") == accepted("ben") == 4
    filled.set_review_plan("first", ReviewPlan(reviewers_per_image=2, blinded=True))
    assert (accepted("ada"), accepted("ben")) == (4, 0)
