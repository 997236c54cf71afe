"""What leaves the account tables: accounts and access keys as frozen records, and what names and passwords must be.

No secret is in any record: of a password and of a key only a hash is ever stored.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.roles import Role

MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 256
_RESERVED = ("anonymous",)  # what a forgotten reviewer is called
_NAME = re.compile(r"[\w.@+-]{1,64}")


class KeyKind(StrEnum):
    """session: a browser's log-in. program: made by hand for a script or an MCP client."""

    SESSION = "session"
    PROGRAM = "program"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person or program. `name` is what verdicts and jobs are signed with."""

    name: str
    role: Role
    disabled: bool
    has_password: bool
    created_at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """What is known of a key without the key itself."""

    key_id: str
    account: str
    label: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


def checked_name(name: str) -> str:
    """The name without blanks around it. Raises InvalidRequest when it cannot be one."""
    name = name.strip()
    if not _NAME.fullmatch(name) or name.casefold() in _RESERVED:
        raise InvalidRequest(
            f"{name!r} cannot be a user's name. Give 1 to 64 letters, digits or any of . _ - + @, and not 'anonymous'."
        )
    return name


def checked_password(password: str, name: str) -> str:
    """The password as it is. Raises InvalidRequest when it is too short, too long or the name itself."""
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise InvalidRequest(
            f"The password has {len(password)} characters. Give {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH}; "
            "several words are easier to keep than signs."
        )
    if password.casefold() == name.casefold():
        raise InvalidRequest("The password is the name itself. Choose another.")
    return password


def key_of(name: str) -> str:
    """Under what an account is found: Ann and ann are one."""
    return name.strip().casefold()
