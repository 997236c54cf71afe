"""Reader studies in a real database: orders, answers once, stopping and going on, closing, forgetting, removing."""

import threading

import pytest

from dermaflux.curation.study_order import LEAST_GAP, order_for
from dermaflux.curation.study_records import ItemKind, StudyItem
from dermaflux.curation.study_store import NewStudy
from dermaflux.domain.errors import DataNotFound, DermaFluxError, InvalidRequest, NotAllowed
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.study import LesionQuestion, Source, StudyAnswer, StudyPlan


def items_of(num_each=8, num_repeats=2, num_checks=2, study="trial"):
    def item(kind, number, **more):
        item_id, sha256 = f"{kind}{number:03}-{study}", "s" * 64
        return StudyItem(item_id=item_id, kind=kind, sha256=sha256, origin_sha256=sha256, **more)

    pictures = [item(kind, n) for kind in (ItemKind.REAL, ItemKind.SYNTHETIC) for n in range(num_each)]
    repeats = [item(ItemKind.REPEAT, n, repeats=pictures[n * 3].item_id) for n in range(num_repeats)]
    checks = [item(ItemKind.CHECK, n, wanted=(Source.SYNTHETIC, 4)) for n in range(num_checks)]
    return [*repeats, *pictures, *checks]


def new_study(name="trial", **plan):
    return NewStudy(
        study_id=f"id-{name}", name=name, owner="olga", seed=3, plan=StudyPlan(num_of_each=8, **plan),
        sources={"dataset": "first", "real": "clinic"}, items=items_of(study=name),
    )  # fmt: skip


@pytest.fixture
def trial(store):
    store.add_study(new_study())
    return store


def says(position, source="real", **more):
    return StudyAnswer(position=position, source=source, confidence=3, browser_ms=1200, **more)


def read_all(store, reader, name="trial"):
    turn = store.begin_reading(name, reader)
    while turn.current:
        turn = store.answer_study(name, reader, says(turn.position))
    return turn


def test_a_study_comes_back_as_it_was_made(trial):
    study = trial.study(" trial ")
    assert (study.owner, study.seed, study.plan, study.is_open) == ("olga", 3, StudyPlan(num_of_each=8), True)
    assert trial.study_items("trial") == tuple(sorted(items_of(), key=lambda item: item.item_id))
    with pytest.raises(InvalidRequest, match="already"):
        trial.add_study(new_study("TRIAL"))
    with pytest.raises(InvalidRequest, match="cannot name a study"):
        trial.check_study_name("a/b")
    with pytest.raises(DataNotFound, match="no study 'other'"):
        trial.study("other")


def test_each_reader_has_another_order_and_keeps_it(trial):
    first = {name: trial.begin_reading("trial", name).current.item_id for name in ("ann", "bob", "cem", "dee")}
    assert len(set(first.values())) > 1
    assert {name: trial.begin_reading("trial", name).current.item_id for name in first} == first


def test_an_order_holds_everything_once_repeats_far_behind_and_checks_spread():
    items = items_of(num_each=40, num_repeats=8, num_checks=4)
    originals = {item.item_id: item.repeats for item in items if item.repeats}
    for reader in ("ann", "bob", "cem"):
        order = order_for(items, 1, reader)
        assert sorted(order) == sorted(item.item_id for item in items)
        assert all(order.index(repeat) - order.index(original) >= LEAST_GAP for repeat, original in originals.items())
        checks = [place for place, item_id in enumerate(order) if item_id.startswith("check")]
        assert checks[0] > 0
        assert [place * 4 // len(order) for place in checks] == [0, 1, 2, 3]
        assert order == order_for(list(reversed(items)), 1, reader) != order_for(items, 2, reader)


def test_kinds_are_anywhere_in_an_order():
    items = items_of(num_each=40, num_repeats=0, num_checks=0)
    places = [
        place for n in range(40) for place, item_id in enumerate(order_for(items, n, "ann")) if item_id[:4] == "real"
    ]
    assert sum(places) / len(places) == pytest.approx(39.5, abs=1.0)


def test_answers_are_stored_once_and_reading_goes_on_where_it_stopped(trial):
    turn = trial.begin_reading("trial", "ann")
    assert (turn.position, turn.total) == (0, 20)
    following = turn.following
    turn = trial.answer_study("trial", "ann", says(0, "synthetic"))
    assert (turn.position, turn.current) == (1, following)
    again = trial.answer_study("trial", "ann", says(0, "real"))  # sent twice
    ahead = trial.answer_study("trial", "ann", says(7))
    assert again.position == ahead.position == trial.begin_reading("trial", "ann").position == 1
    (stored,) = trial.study_answers("trial")
    assert (stored.answer.source, stored.answer.browser_ms) == (Source.SYNTHETIC, 1200)
    assert 0 <= stored.server_ms < 60_000


def test_two_windows_of_one_reader_answer_each_picture_once(trial):
    trial.begin_reading("trial", "ann")
    threads = [threading.Thread(target=trial.answer_study, args=("trial", "ann", says(0))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trial.study_answers("trial")) == 1


def test_at_the_end_a_reader_is_finished(trial):
    end = read_all(trial, "ann")
    assert (end.position, end.current, end.following) == (20, None, None)
    (reader,) = trial.study_readers("trial")
    assert (reader.num_answered, reader.num_shown, reader.finished_at is not None) == (20, 20, True)


def test_a_closed_study_takes_no_answer_and_no_reader(trial):
    trial.begin_reading("trial", "ann")
    trial.close_study("trial")
    for refused in (
        lambda: trial.answer_study("trial", "ann", says(0)),
        lambda: trial.begin_reading("trial", "ann"),
        lambda: trial.begin_reading("trial", "bob"),
    ):
        with pytest.raises(InvalidRequest, match="closed"):
            refused()
    assert trial.study_answers("trial") == ()


def test_who_has_looked_can_no_longer_read_and_who_has_finished_may_look(trial):
    read_all(trial, "ann")
    trial.note_unblinded("trial", "ann")
    trial.note_unblinded("trial", "olga")
    assert [one.unblinded_at is not None for one in trial.study_readers("trial")] == [False, True]
    with pytest.raises(NotAllowed, match="looked at the results"):
        trial.begin_reading("trial", "olga")
    with pytest.raises(InvalidRequest, match="not begun"):
        trial.answer_study("trial", "olga", says(0))
    with pytest.raises(InvalidRequest, match="not begun"):
        trial.answer_study("trial", "nobody", says(0))


def test_the_lesion_is_answered_where_it_is_asked(store):
    store.add_study(new_study("side", question=LesionQuestion.SIDE))
    store.begin_reading("side", "ann")
    for lesion in (None, Diagnosis.NV):
        with pytest.raises(InvalidRequest, match="benign, malignant"):
            store.answer_study("side", "ann", says(0, lesion=lesion))
    assert store.answer_study("side", "ann", says(0, lesion=Diagnosis.BENIGN)).position == 1
    store.add_study(new_study("plain"))
    store.begin_reading("plain", "ann")
    with pytest.raises(InvalidRequest, match="asks nothing"):
        store.answer_study("plain", "ann", says(0, lesion=Diagnosis.BENIGN))


@pytest.mark.parametrize(
    "wrong",
    [{"confidence": 0}, {"confidence": 2.5}, {"source": "fake"}, {"browser_ms": -1}, {"position": True}, {"zoomed": 1}],
)
def test_an_answer_that_cannot_be_is_refused(wrong):
    with pytest.raises(DermaFluxError):
        StudyAnswer(**({"position": 0, "source": "real", "confidence": 3} | wrong))


def test_a_forgotten_reader_leaves_answers_without_a_name(store):
    store.add_study(new_study(readers=("ann", "bob")))
    read_all(store, "ann")
    store.forget("ann", [])
    (reader,) = store.study_readers("trial")
    assert reader.reader.startswith("former reviewer")
    assert {one.reader for one in store.study_answers("trial")} == {reader.reader}
    assert set(store.study("trial").plan.readers) == {reader.reader, "bob"}
    store.forget("olga", [])
    assert store.study("trial").owner.startswith("former reviewer")


def test_a_removed_study_is_gone_with_all_that_hung_on_it(trial):
    read_all(trial, "ann")
    assert trial.remove_study("trial") == "id-trial"
    assert trial.studies() == ()
    assert trial.add_study(new_study()).name == "trial"
    assert trial.study_answers("trial") == ()
