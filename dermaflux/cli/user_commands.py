"""The verbs of `users`, as frozen records read by tyro. A password is asked for or read from stdin, never a flag.

They do nothing, like `dermaflux.cli.commands`, whose union these join.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional, subcommand

RoleName = Literal["viewer", "reviewer", "curator", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersAdd:
    """Add a user. The password is asked for, or read from stdin as one line."""

    name: Positional[str]
    """What verdicts and jobs are signed with."""
    role: RoleName = "reviewer"
    """viewer looks; reviewer also generates and judges; curator also makes datasets, exports, trains; admin all."""
    no_password: bool = False
    """For one who is let in by a proxy or by the hub, and only has a role here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersList:
    """List the users with their roles."""

    json: bool = False
    """One JSON object a line instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersRole:
    """Give a user another role; it counts from the next click on."""

    name: Positional[str]
    """The user."""
    role: Positional[RoleName]
    """The new role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersPassword:
    """Set a user's password, asked for or read from stdin. Log-ins and keys of the user end."""

    name: Positional[str]
    """The user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersDisable:
    """Shut a user out at once. What the user made and judged stays (`forget` removes it)."""

    name: Positional[str]
    """The user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersEnable:
    """Let a disabled user in again."""

    name: Positional[str]
    """The user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersKey:
    """Make a key for a program of a user, and write it to stdout: it is shown this once."""

    name: Positional[str]
    """The user the program acts for."""
    label: str = "command line"
    """What it is for."""
    days: int = 90
    """How long it lasts."""


Users = (
    Annotated[UsersAdd, subcommand("add")]
    | Annotated[UsersList, subcommand("list")]
    | Annotated[UsersRole, subcommand("role")]
    | Annotated[UsersPassword, subcommand("password")]
    | Annotated[UsersDisable, subcommand("disable")]
    | Annotated[UsersEnable, subcommand("enable")]
    | Annotated[UsersKey, subcommand("key")]
)
