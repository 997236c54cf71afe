"""What an examination of the store says: one record a check, and the repairs there are. Plain data."""

from dataclasses import dataclass, field
from enum import StrEnum


class Repair(StrEnum):
    """What can be mended, each a question of its own. None of them deletes an image."""

    SCHEMA = "schema"
    VERDICTS = "verdicts"
    FILES = "files"
    ORPHANS = "orphans"
    PARTIALS = "partials"

    @property
    def question(self) -> str:
        """What the user is asked before it is done."""
        return {
            Repair.SCHEMA: "Bring the schema of the database up to date?",
            Repair.VERDICTS: "Make the derived verdicts anew from the decisions?",
            Repair.FILES: "Restore these image files where a copy is found or they can be generated again?",
            Repair.ORPHANS: "Move these files out of the pool into its quarantine folder?",
            Repair.PARTIALS: "Remove these partial files for good?",
        }[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. `says` is one line; `items` names what is wrong (ids or paths), all of it."""

    name: str
    ok: bool
    says: str
    repair: Repair | None = None
    items: tuple[str, ...] = field(default=())
