"""Who may read in a study, and who may look at its results. Pure rules over records; it asks no store.

Nobody looks before they have read to the end, the owner included. An owner who does not read may look at any time,
and can then no longer read.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from dermaflux.curation.study_records import Study, StudyReader
from dermaflux.domain.errors import NotAllowed
from dermaflux.domain.roles import Role, Visitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What one visitor may do with one study; `reading` is None when they have not begun."""

    study: Study
    visitor: Visitor
    reading: StudyReader | None

    @classmethod
    def of(cls, study: Study, visitor: Visitor, readers: Iterable[StudyReader]) -> "Access":
        """The visitor's access, given everybody who began or looked."""
        mine = next((one for one in readers if one.reader == visitor.name), None)
        return cls(study=study, visitor=visitor, reading=mine)

    @property
    def is_owner(self) -> bool:
        """Whether the study is theirs to manage; an admin manages all."""
        return self.visitor.may_see(self.study.owner)

    @property
    def is_reader(self) -> bool:
        """Whether they are invited, or the study is for every reviewer."""
        invited = self.study.plan.readers
        return self.visitor.role.includes(Role.REVIEWER) and (not invited or self.visitor.name in invited)

    @property
    def is_known(self) -> bool:
        """Whether they may know of the study at all."""
        return self.is_owner or self.is_reader or self.reading is not None

    @property
    def is_finished(self) -> bool:
        """Whether they have read to the end."""
        return self.reading is not None and self.reading.finished_at is not None

    @property
    def is_unblinded(self) -> bool:
        """Whether they have looked without having read to the end."""
        return self.reading is not None and self.reading.unblinded_at is not None

    @property
    def may_read(self) -> bool:
        """Whether there is something left for them to read."""
        return self.is_reader and self.study.is_open and not self.is_finished and not self.is_unblinded

    @property
    def is_bound_to_read(self) -> bool:
        """Whether they have begun or were named as a reader, so that looking has to wait."""
        begun = self.reading is not None and not self.is_unblinded
        return self.may_read and (begun or self.visitor.name in self.study.plan.readers)

    @property
    def may_look(self) -> bool:
        """Whether they may see results now: the owner, or who has read to the end, or begun in what is closed now."""
        took_part = self.is_finished or (self.reading is not None and not self.study.is_open)
        return not self.is_bound_to_read and (self.is_owner or took_part)

    @property
    def loses_reading(self) -> bool:
        """Whether looking now would end their chance to read."""
        return self.may_look and self.may_read

    def require_owner(self, what: str) -> None:
        """Raise NotAllowed unless the study is theirs; what: the deed in words."""
        if not self.is_owner:
            raise NotAllowed(f"Only {self.study.owner}, whose study this is, or an administrator may {what}.")

    def require_look(self) -> None:
        """Raise NotAllowed unless results may be seen now."""
        if self.is_bound_to_read:
            raise NotAllowed(
                f"Read {self.study.name!r} to the end first: until then its results are hidden from you, so that "
                "nothing but the pictures guides your answers."
            )
        if not self.may_look:
            raise NotAllowed("The results are for the study's owner and for those who have read it to the end.")

    def require_reader(self) -> None:
        """Raise NotAllowed unless the visitor is a reader of the study."""
        if not self.is_reader:
            raise NotAllowed(f"You are not among the readers of {self.study.name!r}. Ask its owner to invite you.")
