"""The tables of accounts and their keys as typed ORM classes. Migrations own the schema; this maps it."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dermaflux.accounts.records import AccessKey, Account
from dermaflux.columns import UtcDateTime
from dermaflux.domain.roles import Role

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
}


class Base(DeclarativeBase):
    """Names of constraints, and the type of time."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar = {datetime: UtcDateTime()}


class AccountRow(Base):
    """One account. `key` is the name in small letters."""

    __tablename__ = "accounts"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    disabled: Mapped[bool]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]

    def to_record(self) -> Account:
        """The row as the rest of the product sees it."""
        return Account(
            name=self.name,
            role=Role(self.role),
            disabled=self.disabled,
            has_password=self.password_hash is not None,
            created_at=self.created_at,
            last_seen_at=self.last_seen_at,
        )


class AccessKeyRow(Base):
    """One key of an account. `sha256` is of the key, which is random and long, so that a slow hash adds nothing."""

    __tablename__ = "access_keys"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_key: Mapped[str] = mapped_column(ForeignKey("accounts.key", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]

    def to_record(self, account: str) -> AccessKey:
        """The row as the rest of the product sees it; account: the name of whose it is."""
        return AccessKey(
            key_id=self.id,
            account=account,
            label=self.label,
            created_at=self.created_at,
            expires_at=self.expires_at,
            last_used_at=self.last_used_at,
        )
