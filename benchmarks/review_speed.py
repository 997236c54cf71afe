"""Prints how fast reviews by several people are: agreement, assignments, disputes, blinded pages, on made-up verdicts.

    python -m benchmarks.review_speed [--images 10000] [--judged 1.0]

Three reviewers an image, blinded; `judged` is the share of the images that they have judged, the oldest first, but
for one in a hundred that the third has left. Everything lies in a temporary folder.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine, insert, select

from benchmarks.curation_speed import fill_pool, line, timed
from dermaflux.curation.records import ImageFilter
from dermaflux.curation.review_records import ReviewPlan
from dermaflux.curation.store import CurationStore, migrate, open_engine
from dermaflux.curation.tables import DatasetRow, DecisionRow, ImageRow
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.records import Verdict

NUM_REVIEWERS = 3
DATASET = "large"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill a database and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--judged", type=float, default=1.0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        engine = open_engine(f"sqlite:///{Path(name) / 'dermaflux.db'}")
        migrate(engine)
        store = CurationStore(engine, Path(name) / "images")
        line("what", "figure")
        fill_pool(engine, chosen.images)
        store.create_dataset(DATASET)
        store.set_review_plan(DATASET, ReviewPlan(reviewers_per_image=NUM_REVIEWERS, blinded=True))
        _judge(engine, chosen.judged)
        store.rebuild_verdicts()
        _measure(store)
        store.close()


def _judge(engine: Engine, share: float) -> None:
    """Put events into the table as they are: hashing them one by one is measured elsewhere."""
    with engine.begin() as connection:
        dataset_id = connection.scalars(select(DatasetRow.id)).one()
        image_ids = connection.scalars(select(ImageRow.id).order_by(ImageRow.id)).all()
        events = _events(dataset_id, image_ids[: round(share * len(image_ids))])
        while rows := list(islice(events, 5000)):
            connection.execute(insert(DecisionRow), rows)


def _events(dataset_id: str, image_ids: Sequence[str]) -> Iterator[dict[str, object]]:
    rng, sequence = random.Random(0), 0
    for place, image_id in enumerate(image_ids):
        for reviewer in range(NUM_REVIEWERS - (place % 100 == 0)):
            sequence += 1
            yield {
                "id": new_id(),
                "sequence": sequence,
                "created_at": datetime.now(UTC),
                "reviewer": f"reviewer {reviewer}",
                "dataset_id": dataset_id,
                "image_id": image_id,
                "verdict": rng.choice(tuple(Verdict)).value,
                "realism": rng.randint(1, 5),
                "tags": [],
                "note": "",
                "previous_hash": "",
                "hash": str(sequence),
            }


def _measure(store: CurationStore) -> None:
    line("all figures of agreement", timed(lambda: store.agreement(DATASET)))
    for reviewer in ("reviewer 0", "reviewer 2", "a new reviewer"):
        line(f"ten assignments, {reviewer}", timed(lambda who=reviewer: _assign_anew(store, who)))
    line("disputes", timed(lambda: store.disputes(DATASET)))
    for label, filters in {
        "all": ImageFilter(viewer="reviewer 0"),
        "undecided": ImageFilter(viewer="reviewer 0", undecided=True),
        "accepted": ImageFilter(viewer="reviewer 0", verdict=Verdict.ACCEPT),
        "reviewers disagree": ImageFilter(viewer="reviewer 0", reviewers_agree=False),
    }.items():
        line(f"blinded page of 120: {label}", timed(lambda shown=filters: store.page(DATASET, shown)))
    line("blinded counts", timed(lambda: store.counts(DATASET, viewer="reviewer 0")))
    line("counts of virtual boards", timed(lambda: store.board_counts(DATASET, "reviewer 0", compared=True)))


def _assign_anew(store: CurationStore, reviewer: str) -> None:
    store.give_back_assignments(DATASET, reviewer)
    store.next_assignments(DATASET, reviewer)


if __name__ == "__main__":
    main()
