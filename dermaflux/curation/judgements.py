"""Who said what of an image, as it may leave the house: standing verdicts under pseudonyms, never names or notes.

A pseudonym is the same for one reviewer throughout a dataset and another in the next; it cannot be turned back into
the name without the database, since its key is the dataset's random id.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from dermaflux.curation.tables import AdjudicationRow, CurrentDecisionRow, DecisionRow
from dermaflux.domain.records import Verdict

_PSEUDONYM = re.compile(r"reviewer-[0-9a-f]{16}")
_IMPORTED = re.compile(r"Imported from an export; decided at (\S+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One reviewer's standing verdict. `decided_at` is ISO 8601 in UTC, `reviewer` a pseudonym.

    `adjudicates` marks the verdict that settled a dispute; it outweighs the others and is no rating.
    """

    reviewer: str
    verdict: Verdict
    realism: int | None
    tags: tuple[str, ...]
    decided_at: str
    adjudicates: bool = False

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "reviewer": self.reviewer,
            "verdict": str(self.verdict),
            "realism": self.realism,
            "tags": list(self.tags),
            "decided_at": self.decided_at,
            "adjudicates": self.adjudicates,
        }


def pseudonym(dataset_id: str, reviewer: str) -> str:
    """The reviewer's name in exports of that dataset; who came in under a pseudonym keeps it."""
    if is_pseudonym(reviewer):
        return reviewer
    return f"reviewer-{hmac.digest(dataset_id.encode(), reviewer.encode(), hashlib.sha256).hex()[:16]}"


def is_pseudonym(reviewer: str) -> bool:
    """Whether a name is one of those that `pseudonym` gives."""
    return _PSEUDONYM.fullmatch(reviewer) is not None


def import_note(decided_at: str) -> str:
    """The note of an imported decision: the chain's own time says when it came in, this says when it was made."""
    return f"Imported from an export; decided at {decided_at}."


def standing(session: Session, dataset_id: str) -> Iterator[tuple[str, Judgement]]:
    """(image id, judgement) of every standing verdict of a dataset, those of one image by time."""
    shown = [
        select(table.decision_id).where(table.dataset_id == dataset_id)
        for table in (CurrentDecisionRow, AdjudicationRow)
    ]
    query = (
        select(*_COLUMNS)
        .where(DecisionRow.dataset_id == dataset_id, DecisionRow.id.in_(union_all(*shown)))
        .order_by(DecisionRow.sequence)
        .execution_options(yield_per=2000)
    )
    for row in session.execute(query):
        imported = _IMPORTED.fullmatch(row.note)
        judgement = Judgement(
            reviewer=pseudonym(dataset_id, row.reviewer),
            verdict=Verdict(row.verdict),
            realism=row.realism,
            tags=tuple(row.tags),
            decided_at=imported[1] if imported else row.created_at.isoformat(),
            adjudicates=row.adjudicates,
        )
        yield row.image_id, judgement


_COLUMNS = (
    DecisionRow.image_id,
    DecisionRow.reviewer,
    DecisionRow.verdict,
    DecisionRow.realism,
    DecisionRow.tags,
    DecisionRow.note,
    DecisionRow.created_at,
    DecisionRow.adjudicates,
)
