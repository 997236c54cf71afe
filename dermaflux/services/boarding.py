"""Virtual boards of a dataset: filters of the grid that everybody wants, each with the number of images that pass.

A board is the words of a filter and nothing else: what is on it is what the grid shows for these words. Names are the
front end's, as those of all filters are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dermaflux.curation.grid_records import BoardCounts
from dermaflux.domain.errors import NotAllowed
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Verdict
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services.browsing import Browsing
from dermaflux.services.filtering import UNDECIDED, Words
from dermaflux.services.reviewing import Reviewing

_COMPARES = "reviewers_agree"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualBoard:
    """The words of a filter, and how many images pass it."""

    words: Words
    number: int


class Boarding(Browsing, Reviewing):
    """Raises DataNotFound as browsing does."""

    def virtual_boards(self, dataset: str, visitor: Visitor) -> tuple[VirtualBoard, ...]:
        """By verdict, disagreement and requested diagnosis (those that occur), as far as the visitor may see."""
        name = self._existing(dataset)
        compared = name is not None and self.may_compare(name, visitor)
        return tuple(_boards(self._store().board_counts(name, visitor.name, compared=compared)))

    def check_words(self, dataset: str, words: Words, visitor: Visitor) -> None:
        """Raise NotAllowed for a filter that would tell the visitor what is hidden from him."""
        if words.get(_COMPARES) is None or self._existing(dataset) is None or self.may_compare(dataset, visitor):
            return
        raise NotAllowed(
            f"{dataset} is reviewed blindly, so only curators see where reviewers agree. Remove that filter."
        )

    def may_compare(self, dataset: str, visitor: Visitor) -> bool:
        """Whether a visitor may see how far reviewers agree. Raises DataNotFound.

        While a review is blinded such figures would say what the others said, and sway who still judges.
        """
        return visitor.role.includes(Role.CURATOR) or not self.review_plan(dataset).blinded


def _boards(counts: BoardCounts) -> Iterator[VirtualBoard]:
    for verdict in (UNDECIDED, *Verdict):
        yield VirtualBoard(words={"verdict": str(verdict)}, number=getattr(counts.verdicts, verdict))
    if counts.reviewers_disagree is not None:
        yield VirtualBoard(words={_COMPARES: False}, number=counts.reviewers_disagree)
    yield VirtualBoard(words={"agrees": False}, number=counts.classifier_disagrees)
    for diagnosis in Diagnosis:
        if number := counts.diagnoses.get(diagnosis):
            yield VirtualBoard(words={"diagnoses": [str(diagnosis)]}, number=number)
