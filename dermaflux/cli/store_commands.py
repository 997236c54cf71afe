"""The verbs that look after the store, as frozen records beside those of `commands`. It does nothing."""

from dataclasses import dataclass

from dermaflux.domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """Examine database, decisions, image files and embedded models; exit code 1 when something is wrong."""

    repair: bool = False
    """Offer to mend what can be mended, one question each. Nothing is deleted unasked."""
    yes: bool = False
    """Answer every question of --repair with yes."""
    json: bool = False
    """One JSON object a line instead of a table."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest for an answer without a question."""
        if self.yes and not self.repair:
            raise InvalidRequest("--yes answers the questions of --repair. Add --repair, or leave --yes out.")
