"""What may go, goes whole; what others rely on stays, and the chain of decisions can still be checked."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from dermaflux.curation.database import downgrade, migrate
from dermaflux.curation.tables import ChainRewriteRow, PurgedImageRow
from dermaflux.domain.errors import DataNotFound, InvalidRequest

NOW = datetime.now(UTC)
LATER, EARLIER = NOW + timedelta(days=1), NOW - timedelta(days=1)


def files(store):
    return sorted(path.name for path in store.pool.folder.rglob("*.png"))


def test_rejected_images_are_those_rejected_everywhere_and_long_enough_ago(filled, image_ids, says):
    rejected, unsure = image_ids[4], image_ids[5]
    assert filled.rejected_before(LATER) == (rejected,)
    assert filled.rejected_before(EARLIER) == ()
    filled.create_dataset("second")
    filled.decide(says(unsure, "reject", dataset="second"))  # unsure in the first
    filled.decide(says(rejected, "accept", dataset="second"))
    assert filled.rejected_before(LATER) == ()
    filled.undo("second", "ada")
    assert filled.rejected_before(LATER) == (rejected,)


def test_a_purged_image_is_gone_with_its_file_and_its_decisions_can_be_checked(filled, image_ids, engine, says):
    gone = image_ids[4]
    before, decisions = files(filled), filled.decisions("first")
    assert filled.purge([gone], "rejected") == 1
    assert len(files(filled)) == len(before) - 1
    with pytest.raises(DataNotFound):
        filled.get(gone)
    assert gone not in {image.image_id for image in filled.page("first").images}
    assert filled.counts("first").reject == 0
    assert filled.decisions("first") == decisions
    assert filled.verify_chain().intact
    filled.rebuild_verdicts()
    assert filled.verify_chain().intact
    with pytest.raises(DataNotFound):
        filled.decide(says(gone, "accept"))
    with engine.connect() as connection:
        (mark,) = connection.execute(select(PurgedImageRow.id, PurgedImageRow.reason)).all()
    assert tuple(mark) == (gone, "rejected")
    assert filled.purge([gone], "again") == 0


def test_undo_passes_over_what_was_purged(filled, image_ids):
    filled.purge([image_ids[5]], "unsure and last")
    assert filled.undo("first", "ada").image_id == image_ids[4]


def test_a_purged_image_that_is_made_again_is_a_new_one(filled, image_ids, sample):
    filled.purge([image_ids[0]], "test")
    again = filled.add_image(sample(0))
    assert again.image_id != image_ids[0]
    assert filled.read_png(again)
    assert filled.verify_chain().intact


def test_a_file_that_comes_in_again_while_it_is_purged_is_not_lost(filled, image_ids, sample):
    """The row is gone, the file not yet; the same image comes in; then the files are removed."""
    path = filled.get(image_ids[0]).path
    name = str(path).removeprefix(str(filled.pool.folder) + "/")
    filled.purge([image_ids[0]], "test")
    stored = filled.add_image(sample(0))
    filled._remove_files([name])
    assert filled.read_png(stored)


def test_a_forgotten_user_leaves_no_name_and_no_note_and_the_chain_holds(filled, image_ids, engine, says):
    filled.decide(says(image_ids[0], "accept", reviewer="bob", note="bob thinks so"))
    filled.decide(says(image_ids[1], "reject", reviewer="ada", note="ada thinks so"))
    old_head = filled.verify_chain().head
    before = filled.counts("first")
    forgotten = filled.forget("ada", job_ids=[])
    assert (forgotten.num_images_removed, forgotten.num_decisions_anonymous) == (0, 7)
    report = filled.verify_chain()
    assert report.intact
    assert report.head != old_head
    assert filled.counts("first") == before
    reviewers = {decision.reviewer for decision in filled.decisions("first")}
    assert len(reviewers) == 2
    assert "bob" in reviewers
    notes = {decision.note for decision in filled.decisions("first")}
    assert notes == {"", "bob thinks so"}
    with engine.connect() as connection:
        (rewrite,) = connection.execute(select(ChainRewriteRow.old_head, ChainRewriteRow.new_head)).all()
        names = ("decisions", "datasets", "leases")
        tables = [connection.execute(text(f"SELECT * FROM {name}")).all() for name in names]
    assert tuple(rewrite) == (old_head, report.head)
    assert "'ada'" not in str(tables)
    assert "ada thinks" not in str(tables)


def test_forgetting_removes_what_only_the_user_made_and_judged(filled, image_ids, says):
    for image_id in image_ids[:2]:
        filled.decide(says(image_id, "accept", reviewer="bob"))
    forgotten = filled.forget("ada", job_ids=["job"])
    assert (forgotten.num_images_removed, forgotten.num_images_kept) == (4, 2)
    assert {image.image_id for image in filled.page("first").images} == set(image_ids[:2])
    assert len(files(filled)) == 2
    assert filled.verify_chain().intact


def test_whoever_did_nothing_is_forgotten_without_a_trace(filled):
    head = filled.verify_chain().head
    assert filled.forget("nobody", job_ids=[]).num_decisions_anonymous == 0
    assert filled.verify_chain().head == head
    with pytest.raises(InvalidRequest):
        filled.forget(" ", job_ids=[])


@pytest.mark.parametrize("purged", [True, False])
def test_going_down_and_up_keeps_what_was_purged_checkable(filled, image_ids, engine, purged):
    if purged:
        filled.purge([image_ids[4]], "rejected")
    before = filled.decisions("first"), filled.counts("first")
    downgrade(engine, "0004")
    migrate(engine)
    assert (filled.decisions("first"), filled.counts("first")) == before
    assert filled.verify_chain().intact
