"""The curation store: images in, decisions on them, and what follows from both. The front door of this package.

Short transactions, one a call; records cross the border, ORM objects never do. It runs no model and no page.
Safe to use from many threads; writers of one process queue on a lock, those of several on the database.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dermaflux.curation import (
    assignments,
    chain,
    disputes,
    lookups,
    queries,
    rows,
    submission,
    verdicts,
    visibility,
)
from dermaflux.curation.assignments import Hands
from dermaflux.curation.database import migrate, open_engine
from dermaflux.curation.import_store import ImportStore
from dermaflux.curation.records import (
    ChainReport,
    Dataset,
    Decision,
    DecisionRequest,
    VerdictCounts,
    checked_dataset_name,
    checked_reviewer,
)
from dermaflux.curation.review_store import ReviewStore
from dermaflux.curation.study_store import StudyStore
from dermaflux.curation.tables import DatasetRow, DecisionRow, ImageRow
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.records import StoredImage

__all__ = ["CurationStore", "migrate", "open_engine"]


class CurationStore(ReviewStore, ImportStore, StudyStore):
    """Images, datasets and decisions in one migrated database, image files in one folder."""

    def create_dataset(
        self, name: str, owner: str = "", description: str = "", *, exist_ok: bool = False
    ) -> Dataset:
        """A new, empty dataset; with exist_ok the one of that very name when there is one.

        Raises InvalidRequest for a bad name or one that is taken (case does not count).
        """
        name = checked_dataset_name(name)
        with self._write() as session:
            taken = session.scalars(select(DatasetRow).where(func.lower(DatasetRow.name) == name.lower())).first()
            if taken is not None and exist_ok and taken.name == name:
                return rows.dataset(taken)
            if taken is not None:
                raise InvalidRequest(
                    f"There is a dataset {taken.name!r} already. Choose another name or use that one."
                )
            row = DatasetRow(
                id=new_id(), name=name, owner=owner, description=description, created_at=datetime.now(UTC)
            )
            session.add(row)
        return rows.dataset(row)

    def datasets(self) -> tuple[Dataset, ...]:
        """All datasets by name."""
        with self._read() as session:
            return tuple(rows.dataset(row) for row in session.scalars(select(DatasetRow).order_by(DatasetRow.name)))

    def counts(self, dataset: str, reviewer: str | None = None, viewer: str | None = None) -> VerdictCounts:
        """How many images stand where, for one reviewer or for all together, as far as a viewer may see it.

        Raises DataNotFound.
        """
        with self._read() as session:
            dataset_id = lookups.dataset_row(session, dataset).id
            scope = queries.scope_of(dataset_id, reviewer, visibility.view_of(session, dataset_id, viewer))
            found = {row.verdict: row.number for row in session.execute(queries.verdict_counts(scope))}
            total = session.scalar(select(func.count(ImageRow.id))) or 0
        return VerdictCounts(**found, undecided=total - sum(found.values()))

    def accepted_ids(self, dataset: str) -> tuple[str, ...]:
        """The images all reviewers together accept, ordered by content hash, as of one moment."""
        with self._read() as session:
            dataset_id = lookups.dataset_row(session, dataset).id
            return tuple(session.scalars(queries.accepted(dataset_id)))

    def accepted(self, dataset: str) -> Iterator[StoredImage]:
        """The accepted images, ordered by content hash, loaded as they are asked for."""
        return self.get_many(self.accepted_ids(dataset))

    def decide(self, request: DecisionRequest) -> Decision:
        """Append a verdict to the chain; when it returns, the verdict is stored. The reviewer's lease ends with it.

        The same request sent again gives the first decision. Raises DataNotFound (no such dataset or image),
        StaleDecision (others decided since expected_version; nothing is stored) or StorageNotWritable.
        """
        return self._decide(request, adjudicates=False)

    def adjudicate(self, request: DecisionRequest) -> Decision:
        """Settle an image on which its reviewers disagree; the verdict outweighs theirs until it is undone.

        Raises InvalidRequest when there is nothing to settle, and as `decide` does.
        """
        return self._decide(request, adjudicates=True)

    def _decide(self, request: DecisionRequest, adjudicates: bool) -> Decision:
        with self._write() as session:
            dataset = lookups.dataset_row(session, request.dataset)
            if first := submission.first_answer(session, dataset.id, request, adjudicates):
                return rows.decision(first, dataset.name)
            submission.check_version(session, dataset.id, request)
            if adjudicates:
                plan = visibility.plan_of(session, dataset.id)
                disputes.check_disputed(session, dataset.id, request.image_id, plan.reviewers_per_image)
            else:
                assignments.give_back(session, Hands(dataset.id, request.reviewer), request.image_id)
            event = DecisionRow(
                id=new_id(),
                created_at=datetime.now(UTC),
                reviewer=request.reviewer,
                dataset_id=dataset.id,
                image_id=request.image_id,
                verdict=request.verdict.value,
                realism=request.realism,
                tags=list(request.tags),
                note=request.note,
                adjudicates=adjudicates,
                request_id=submission.request_key(request, adjudicates),
            )
            _append(session, event)
        return rows.decision(event, dataset.name)

    def undo(self, dataset: str, reviewer: str) -> Decision:
        """Take back the reviewer's last decision in the dataset that still stands, by a compensating event.

        Called again it goes one further back. Raises InvalidRequest when nothing is left to undo.
        """
        reviewer = checked_reviewer(reviewer)
        with self._write() as session:
            row = lookups.dataset_row(session, dataset)
            last = verdicts.last_standing(session, row.id, reviewer)
            if last is None:
                raise InvalidRequest(f"{reviewer} has no decision in {row.name} left to undo.")
            event = DecisionRow(
                id=new_id(),
                created_at=datetime.now(UTC),
                reviewer=reviewer,
                dataset_id=row.id,
                image_id=last.image_id,
                tags=[],
                note="",
                undoes=last.id,
                adjudicates=last.adjudicates,
            )
            _append(session, event)
        return rows.decision(event, row.name)

    def decisions(
        self, dataset: str, image_id: str | None = None, viewer: str | None = None
    ) -> tuple[Decision, ...]:
        """Every event of a dataset, or of one image in it, oldest first, as far as a viewer may see it."""
        with self._read() as session:
            row = lookups.dataset_row(session, dataset)
            query = select(DecisionRow).where(DecisionRow.dataset_id == row.id).order_by(DecisionRow.sequence)
            if image_id is not None:
                query = query.where(DecisionRow.image_id == image_id)
            if view := visibility.view_of(session, row.id, viewer):
                query = query.where(visibility.events_shown(view))
            return tuple(rows.decision(event, row.name) for event in session.scalars(query))

    def verify_chain(self) -> ChainReport:
        """Check every decision's hash, then that the derived verdicts are what the decisions say."""
        with self._read() as session:
            report = chain.check(session)
            if report.problem is None and (problem := verdicts.disagreement(session)):
                return ChainReport(num_decisions=report.num_decisions, head=report.head, problem=problem)
        return report

    def rebuild_verdicts(self) -> None:
        """Make the derived verdicts anew from the decisions."""
        with self._write() as session:
            verdicts.rebuild(session)


def _append(session: Session, event: DecisionRow) -> None:
    chain.append(session, event, lookups.image_sha256(session, event.image_id))
    verdicts.refresh(session, event)
