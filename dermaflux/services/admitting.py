"""Logging in and out, accounts and keys: what the log-in page, the Account tab and `users` of the CLI ask for.

Whether somebody may ask is for the front end to check. Thin, so that no front end sees the tables.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from dermaflux.accounts.records import AccessKey, Account, KeyKind
from dermaflux.domain.errors import DataNotFound, InvalidRequest, NotAllowed
from dermaflux.domain.lesion import choice
from dermaflux.domain.roles import Role
from dermaflux.services.visiting import Visiting

if TYPE_CHECKING:
    from dermaflux.curation.records import ForgottenUser


class Admitting(Visiting):
    """The account tables behind plain calls. Raises InvalidRequest, DataNotFound, NotAllowed as they do."""

    def check_ready(self) -> None:
        """Raise InvalidRequest when nobody could ever log in."""
        if self.settings.auth == "local" and not self._accounts().has_admin():
            raise InvalidRequest(
                "DERMAFLUX_AUTH is local, but no administrator has a password. "
                "Make one: python -m dermaflux users add NAME --role admin"
            )

    def log_in(self, name: str, password: str) -> str:
        """The key of a new browser session. Raises NotAllowed, TooManyAttempts."""
        account = self._accounts().check_password(name, password)
        lasts = timedelta(hours=self.settings.session_hours)
        return self._keys().issue(account.name, KeyKind.SESSION, "browser", lasts)[0]

    def log_out(self, key: str) -> None:
        """End a browser session."""
        self._keys().end_session(key)

    def name_of_key(self, key: str) -> str | None:
        """Whose key it is, None when it is nobody's (any more)."""
        return self._keys().name_of(key)

    def accounts(self) -> tuple[Account, ...]:
        """All accounts by name."""
        return self._accounts().accounts()

    def add_account(self, name: str, role: str, password: str | None) -> Account:
        """A new account. Without a password only a proxy or the hub can let it in."""
        return self._accounts().add(name, choice("role", role, Role), password)

    def set_role(self, name: str, role: str) -> Account:
        """Give an account another role, from its next request on."""
        return self._accounts().set_role(name, choice("role", role, Role))

    def set_password(self, name: str, password: str) -> Account:
        """Give an account another password; its log-ins and keys end."""
        return self._accounts().set_password(name, password)

    def change_password(self, name: str, present: str, new: str) -> Account:
        """Change one's own password. Raises NotAllowed when the present one is wrong."""
        self._accounts().check_password(name, present)
        return self._accounts().set_password(name, new)

    def set_disabled(self, name: str, disabled: bool) -> Account:
        """Shut an account out at once, or let it in again."""
        return self._accounts().set_disabled(name, disabled)

    def issue_key(self, name: str, label: str, days: int) -> tuple[str, AccessKey]:
        """A key for a program of an account, told this once. Raises NotAllowed where there is no account."""
        try:
            return self._keys().issue(name, KeyKind.PROGRAM, label, timedelta(days=days))
        except DataNotFound as error:
            raise NotAllowed(f"{name} has no account here, so no key. Ask an administrator for one.") from error

    def keys(self, name: str) -> tuple[AccessKey, ...]:
        """The keys of an account's programs."""
        return self._keys().of(name)

    def end_key(self, name: str, key_id: str) -> None:
        """End one key of an account."""
        self._keys().end(name, key_id)

    def forget(self, user: str) -> "ForgottenUser":
        """Also remove the user's account and keys."""
        forgotten = super().forget(user)  # type: ignore[misc] - of Retaining, which `Services` joins in after this
        if self._accounts().get(user) is not None:
            self._accounts().remove(user)
        return forgotten
