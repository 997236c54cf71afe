"""Keys that stand for an account for a while: a browser's log-in, or a program's own.

It knows a key by its hash only, and no cookie and no header. Safe from any thread.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, delete, select

from dermaflux.accounts.records import AccessKey, KeyKind, key_of
from dermaflux.accounts.store import existing
from dermaflux.accounts.tables import AccessKeyRow, AccountRow
from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.identifiers import new_id
from dermaflux.transactions import Transactions

KEY_PREFIX = "dfx_"  # so that a leaked key is recognised as one
MAX_KEY_DAYS = 3650
_SEEN_EVERY = timedelta(minutes=5)  # a key in use is written down this often, not at every request


class KeyStore:
    """The access keys of one database."""

    def __init__(self, engine: Engine) -> None:
        self._database = Transactions(engine, "The accounts")

    def issue(self, name: str, kind: KeyKind, label: str, lasts: timedelta) -> tuple[str, AccessKey]:
        """A new key and what is known of it; the key itself is told this once. Raises DataNotFound, InvalidRequest."""
        if not timedelta(0) < lasts <= timedelta(days=MAX_KEY_DAYS):
            raise InvalidRequest(f"A key lasts 1 to {MAX_KEY_DAYS} days. Give another number.")
        secret, now = KEY_PREFIX + secrets.token_urlsafe(32), _now()
        with self._database.writing() as session:
            account = existing(session, name)
            session.execute(delete(AccessKeyRow).where(AccessKeyRow.expires_at < now))
            row = AccessKeyRow(
                id=new_id(), account_key=account.key, kind=str(kind), label=label.strip()[:64] or str(kind),
                sha256=_sha256(secret), created_at=now, expires_at=now + lasts, last_used_at=None,
            )  # fmt: skip
            session.add(row)
            account.last_seen_at = now if kind is KeyKind.SESSION else account.last_seen_at
            return secret, row.to_record(account.name)

    def name_of(self, secret: str) -> str | None:
        """The name of the enabled account a key stands for, None when it stands for none (any more)."""
        now = _now()
        found = select(AccessKeyRow, AccountRow).join(AccountRow, AccountRow.key == AccessKeyRow.account_key)
        found = found.where(AccessKeyRow.sha256 == _sha256(secret))
        with self._database.reading() as session:
            row = session.execute(found).one_or_none()
        if row is None or row[0].expires_at < now or row[1].disabled:
            return None
        used = row[0].last_used_at
        if used is None or now - used > _SEEN_EVERY:
            self._note_use(row[0].id, now)
        return row[1].name

    def of(self, name: str, kind: KeyKind = KeyKind.PROGRAM) -> tuple[AccessKey, ...]:
        """The keys of an account, the newest first."""
        wanted = select(AccessKeyRow).where(AccessKeyRow.account_key == key_of(name), AccessKeyRow.kind == str(kind))
        with self._database.reading() as session:
            rows = session.scalars(wanted.order_by(AccessKeyRow.id.desc())).all()
            return tuple(row.to_record(name) for row in rows)

    def end(self, name: str, key_id: str) -> None:
        """End one key of an account. Raises DataNotFound when the account has no such key."""
        theirs = delete(AccessKeyRow).where(AccessKeyRow.id == key_id, AccessKeyRow.account_key == key_of(name))
        with self._database.writing() as session:
            if not session.execute(theirs.returning(AccessKeyRow.id)).all():
                raise DataNotFound(f"{name} has no such key. It may have ended already.")

    def end_session(self, secret: str) -> None:
        """Log a browser out; a key that is not there is none the less gone."""
        with self._database.writing() as session:
            session.execute(delete(AccessKeyRow).where(AccessKeyRow.sha256 == _sha256(secret)))

    def _note_use(self, key_id: str, now: datetime) -> None:
        with self._database.writing() as session:
            row = session.get(AccessKeyRow, key_id)
            if row is not None:
                row.last_used_at = now
                account = session.get(AccountRow, row.account_key)
                assert account is not None
                account.last_seen_at = now


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
