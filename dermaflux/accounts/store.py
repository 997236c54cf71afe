"""The accounts of one database: add, change, check a password. One administrator always stays.

It knows rows and rules, and no request. Safe from any thread.
"""

from datetime import UTC, datetime

from sqlalchemy import Engine, delete, func, select, text
from sqlalchemy.orm import Session

from dermaflux.accounts.passwords import PasswordCheck, Pauses
from dermaflux.accounts.records import Account, checked_name, checked_password, key_of
from dermaflux.accounts.tables import AccessKeyRow, AccountRow
from dermaflux.domain.errors import DataNotFound, InvalidRequest, NotAllowed
from dermaflux.domain.roles import Role
from dermaflux.transactions import Transactions

_WRONG = "The name or the password is wrong. Try again, or ask an administrator to set a new password."


class AccountStore:
    """The accounts of one database, already migrated."""

    def __init__(self, engine: Engine) -> None:
        self._database = Transactions(engine, "The accounts")
        self._passwords = PasswordCheck()
        self._pauses = Pauses()

    def add(self, name: str, role: Role, password: str | None = None) -> Account:
        """A new account; without a password it logs in elsewhere (a proxy, a hub). Raises InvalidRequest."""
        name = checked_name(name)
        hashed = self._passwords.hash(checked_password(password, name)) if password is not None else None
        with self._database.writing() as session:
            if session.get(AccountRow, key_of(name)) is not None:
                raise InvalidRequest(f"There is a user {name!r} already. Choose another name, or change that one.")
            row = AccountRow(
                key=key_of(name), name=name, role=str(role), password_hash=hashed, disabled=False, created_at=_now()
            )
            session.add(row)
            session.flush()
            return row.to_record()

    def get(self, name: str) -> Account | None:
        """The account of a name, None when there is none."""
        with self._database.reading() as session:
            row = session.get(AccountRow, key_of(name))
            return row.to_record() if row else None

    def accounts(self) -> tuple[Account, ...]:
        """All accounts by name."""
        with self._database.reading() as session:
            rows = session.scalars(select(AccountRow).order_by(AccountRow.key)).all()
            return tuple(row.to_record() for row in rows)

    def has_admin(self) -> bool:
        """Whether an administrator could log in with a password."""
        return any(
            a.role is Role.ADMIN and not a.disabled and a.has_password for a in self.accounts()
        )

    def set_role(self, name: str, role: Role) -> Account:
        """Another role, from the next request on. Raises DataNotFound, or InvalidRequest for the last administrator."""
        with self._database.writing() as session:
            row = existing(session, name)
            if role is not Role.ADMIN:
                _check_admin_stays(session, row)
            row.role = str(role)
            return row.to_record()

    def set_password(self, name: str, password: str) -> Account:
        """Another password; every log-in and key of the account ends. Raises DataNotFound, InvalidRequest."""
        hashed = self._passwords.hash(checked_password(password, name))
        with self._database.writing() as session:
            row = existing(session, name)
            row.password_hash = hashed
            _end_keys(session, row)
            self._pauses.succeeded(row.key)
            return row.to_record()

    def set_disabled(self, name: str, disabled: bool) -> Account:
        """Shut an account out, at once and with all its keys, or let it in again. Raises as `set_role` does."""
        with self._database.writing() as session:
            row = existing(session, name)
            if disabled:
                _check_admin_stays(session, row)
                _end_keys(session, row)
            row.disabled = disabled
            return row.to_record()

    def remove(self, name: str) -> bool:
        """Delete an account and its keys; whether there was one. The last administrator stays: InvalidRequest."""
        with self._database.writing() as session:
            row = session.get(AccountRow, key_of(name))
            if row is None:
                return False
            _check_admin_stays(session, row)
            _end_keys(session, row)
            session.delete(row)
            return True

    def check_password(self, name: str, password: str) -> Account:
        """The account that logs in. Raises NotAllowed, or TooManyAttempts while the name has to wait.

        It takes as long for a name that is not there, and says the same.
        """
        key = key_of(name)[:64]
        self._pauses.begin(key)
        with self._database.reading() as session:
            row = session.get(AccountRow, key)
        if not self._passwords.matches(password, row.password_hash if row else None) or row is None:
            raise NotAllowed(_WRONG)
        if row.disabled:
            raise NotAllowed(f"The user {row.name} is disabled. Ask an administrator.")
        self._pauses.succeeded(key)
        return row.to_record()

def existing(session: Session, name: str) -> AccountRow:
    """The row of a name. Raises DataNotFound."""
    row = session.get(AccountRow, key_of(name))
    if row is None:
        raise DataNotFound(f"There is no user {name!r}. The list of users shows who there is.")
    return row


def _check_admin_stays(session: Session, row: AccountRow) -> None:
    if row.role != Role.ADMIN or row.disabled:
        return
    if session.connection().dialect.name == "postgresql":  # two administrators must not remove each other at once
        session.execute(text("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE"))
    enabled = select(func.count()).where(
        AccountRow.role == str(Role.ADMIN), AccountRow.disabled.is_(False), AccountRow.key != row.key
    )
    if not session.scalar(enabled):
        raise InvalidRequest(f"{row.name} is the only administrator. Make another user one first.")


def _end_keys(session: Session, row: AccountRow) -> None:
    session.execute(delete(AccessKeyRow).where(AccessKeyRow.account_key == row.key))


def _now() -> datetime:
    return datetime.now(UTC)
