"""The curation store: images in, decisions on them, and what follows from both. The front door of this package.

Short transactions, one a call; records cross the border, ORM objects never do. It runs no model and no page.
Safe to use from many threads; writers of one process queue on a lock, those of several on the database.
"""

from collections.abc import Iterator, Sequence
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
from dermaflux.curation.board_store import BoardStore
from dermaflux.curation.database import migrate, open_engine
from dermaflux.curation.grid_records import Outcomes
from dermaflux.curation.grid_store import GridStore
from dermaflux.curation.import_store import ImportStore
from dermaflux.curation.records import (
    ChainReport,
    Decision,
    DecisionRequest,
    VerdictCounts,
    checked_reviewer,
)
from dermaflux.curation.review_store import ReviewStore
from dermaflux.curation.study_store import StudyStore
from dermaflux.curation.tables import DecisionRow, ImageRow
from dermaflux.domain.errors import DataNotFound, DermaFluxError, InvalidRequest, StaleDecision
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.records import StoredImage

__all__ = ["CurationStore", "migrate", "open_engine"]


class CurationStore(BoardStore, GridStore, ReviewStore, ImportStore, StudyStore):
    """Images, datasets and decisions in one migrated database, image files in one folder."""

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

    def decide_all(self, requests: Sequence[DecisionRequest]) -> Outcomes:
        """Append several verdicts in the order given, in one transaction; each as by `decide`.

        One that cannot be (gone, or decided on since it was seen) is refused for itself; the others are stored.
        """
        stored: list[Decision] = []
        refused: dict[str, DermaFluxError] = {}
        with self._write() as session:
            for request in requests:
                try:
                    stored.append(_decide_in(session, request, adjudicates=False))
                except (DataNotFound, InvalidRequest, StaleDecision) as error:
                    refused[request.image_id] = error
        return Outcomes(stored=tuple(stored), refused=refused)

    def _decide(self, request: DecisionRequest, adjudicates: bool) -> Decision:
        with self._write() as session:
            return _decide_in(session, request, adjudicates)

    def undo(self, dataset: str, reviewer: str) -> Decision:
        """Take back the reviewer's last decision in the dataset that still stands, by a compensating event.

        Called again it goes one further back. Of decisions given together all are taken back; the answer is the event
        for the last of them. Raises InvalidRequest when nothing is left to undo.
        """
        return self.undo_together(dataset, reviewer)[0]

    def undo_together(self, dataset: str, reviewer: str, batch_id: str | None = None) -> tuple[Decision, ...]:
        """The same; every event, that for the last verdict first. batch_id: what was given under it, not the last."""
        reviewer = checked_reviewer(reviewer)
        with self._write() as session:
            row = lookups.dataset_row(session, dataset)
            last = verdicts.last_standing(session, row.id, reviewer, batch_id)
            if last is None:
                raise InvalidRequest(f"{reviewer} has no decision in {row.name} left to undo.")
            together = verdicts.given_with(session, last)
            return tuple(rows.decision(_take_back(session, one), row.name) for one in together)

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


def _append(session: Session, event: DecisionRow, image_sha256: str) -> None:
    chain.append(session, event, image_sha256)
    verdicts.refresh(session, event)


def _decide_in(session: Session, request: DecisionRequest, adjudicates: bool) -> Decision:
    """Whatever is refused is refused before anything is written."""
    dataset = lookups.dataset_row(session, request.dataset)
    if first := submission.first_answer(session, dataset.id, request, adjudicates):
        return rows.decision(first, dataset.name)
    sha256 = lookups.image_sha256(session, request.image_id)
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
        batch_id=request.batch_id,
    )
    _append(session, event, sha256)
    return rows.decision(event, dataset.name)


def _take_back(session: Session, decision: DecisionRow) -> DecisionRow:
    event = DecisionRow(
        id=new_id(),
        created_at=datetime.now(UTC),
        reviewer=decision.reviewer,
        dataset_id=decision.dataset_id,
        image_id=decision.image_id,
        tags=[],
        note="",
        undoes=decision.id,
        adjudicates=decision.adjudicates,
    )
    _append(session, event, lookups.image_sha256(session, event.image_id))
    return event
