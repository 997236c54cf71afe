"""Who a visitor is. Without accounts everybody at this deployment is its one local user, who may do everything."""

from dermaflux.domain.roles import Role, Visitor

LOCAL_USER = "local"


class Visiting:
    """Names that front ends were given -> visitors with a role."""

    def visitor(self, name: str | None) -> Visitor:
        """The visitor of a log-in name; None: nobody logged in."""
        return Visitor(name=name or LOCAL_USER, role=Role.ADMIN)
