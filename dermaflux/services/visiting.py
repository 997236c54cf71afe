"""Who a visitor is, and which role they have, as the settings say.

none: everybody is the one local user. local: who has an account here. proxy and spaces: whoever was let in
elsewhere, with the role of their account here, else as the settings list them. It knows no request.
"""

import os
from typing import TYPE_CHECKING

from dermaflux.accounts.records import Account
from dermaflux.domain.errors import NotAllowed
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services.wiring import Once, Wiring
from dermaflux.settings import Settings

if TYPE_CHECKING:
    from dermaflux.accounts.keys import KeyStore
    from dermaflux.accounts.store import AccountStore

LOCAL_USER = "local"
ANONYMOUS = "anonymous"  # on Spaces, before logging in; no account may be called so


class Visiting(Wiring):
    """Names that front ends were given -> visitors with a role."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self._accounts = Once(self._build_accounts)
        self._keys = Once(self._build_keys)

    def visitor(self, name: str | None) -> Visitor:
        """The visitor of a log-in name; None or an empty one: nobody logged in.

        Raises NotAllowed for nobody where one has to log in, and for a disabled account. It looks anew each time, so
        that a change of role counts at once.
        """
        if self.settings.auth == "none":
            return Visitor(name=name or LOCAL_USER, role=Role.ADMIN)
        if not name:
            return self._nobody()
        account = self._accounts().get(name)
        if account is None:
            return self._from_elsewhere(name)
        if account.disabled:
            raise NotAllowed(f"The user {account.name} is disabled. Ask an administrator.")
        return Visitor(name=account.name, role=account.role)

    def account(self, name: str) -> Account | None:
        """The account of a name, None where the visitor has none here."""
        return None if self.settings.auth == "none" else self._accounts().get(name)

    def _nobody(self) -> Visitor:
        if self.settings.auth == "spaces":
            return Visitor(name=ANONYMOUS, role=Role.VIEWER)
        raise NotAllowed("Nobody is logged in. Log in first; programs send a key or a name and a password.")

    def _from_elsewhere(self, name: str) -> Visitor:
        settings = self.settings
        if settings.auth == "local":
            raise NotAllowed(f"There is no user {name} here (any more). Log in again, or ask an administrator.")
        for role, names in (
            (Role.ADMIN, f"{settings.admins},{self._space_owner()}"),
            (Role.CURATOR, settings.curators),
            (Role.REVIEWER, settings.reviewers),
        ):
            if name.casefold() in listed(names):
                return Visitor(name=name, role=role)
        return Visitor(name=name, role=Role(settings.default_role))

    def _space_owner(self) -> str:
        return os.environ.get("SPACE_ID", "").partition("/")[0] if self.settings.auth == "spaces" else ""

    def _build_accounts(self) -> "AccountStore":
        from dermaflux.accounts.store import AccountStore

        return AccountStore(self._engine())

    def _build_keys(self) -> "KeyStore":
        from dermaflux.accounts.keys import KeyStore

        return KeyStore(self._engine())


def listed(names: str) -> frozenset[str]:
    """The names of a setting with commas between, in small letters."""
    return frozenset(name.strip().casefold() for name in names.split(",") if name.strip())
