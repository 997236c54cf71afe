"""Who may do what: four roles, each with all that the one before it may, and the visitor who has one.

It knows no log-in: who a visitor is and which role they have is found out by `services` and handed in.
"""

from dataclasses import dataclass
from enum import StrEnum

from dermaflux.domain.errors import NotAllowed


class Role(StrEnum):
    """viewer: looks. reviewer: also generates and judges. curator: also datasets, exports, training. admin: all."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    CURATOR = "curator"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody at a front end. `name` is what verdicts and jobs are signed with."""

    name: str
    role: Role

    def require(self, role: Role, what: str) -> "Visitor":
        """Return this visitor, or raise NotAllowed; what: the deed in words, such as "export a dataset"."""
        if not self.role.includes(role):
            raise NotAllowed(
                f"{self.name} may not {what}: that takes the role {role}, and yours is {self.role}. "
                "Ask an administrator for it."
            )
        return self

    def may_see(self, owner: str) -> bool:
        """Whether what belongs to `owner` alone is this visitor's to see: their own, or anything for an admin."""
        return self.name == owner or self.role is Role.ADMIN
