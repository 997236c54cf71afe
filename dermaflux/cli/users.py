"""The verbs of `users`: who runs the command line has the data folder, and so may change every account."""

import getpass
import sys
from dataclasses import asdict

from dermaflux.cli import user_commands as verbs
from dermaflux.cli.output import write_json, write_line, write_table
from dermaflux.domain.errors import InvalidRequest
from dermaflux.services import Services


def usersadd(services: Services, command: verbs.UsersAdd) -> None:
    """Add a user."""
    password = None if command.no_password else _password(command.name)
    account = services.add_account(command.name, command.role, password)
    write_line(f"{account.name} was added as {account.role}.")


def userslist(services: Services, command: verbs.UsersList) -> None:
    """List the users."""
    accounts = services.accounts()
    if command.json:
        for account in accounts:
            write_json({name: _plain(value) for name, value in asdict(account).items()})
    elif not accounts:
        write_line("There are no users yet. Add one: python -m dermaflux users add NAME --role admin")
    else:
        rows = [
            (a.name, a.role, "disabled" if a.disabled else "", "yes" if a.has_password else "no",
             f"{a.last_seen_at:%Y-%m-%d %H:%M} UTC" if a.last_seen_at else None)
            for a in accounts
        ]  # fmt: skip
        write_table(("name", "role", "state", "password", "last seen"), rows)


def usersrole(services: Services, command: verbs.UsersRole) -> None:
    """Change a role."""
    account = services.set_role(command.name, command.role)
    write_line(f"{account.name} is now {account.role}.")


def userspassword(services: Services, command: verbs.UsersPassword) -> None:
    """Set a password."""
    account = services.set_password(command.name, _password(command.name))
    write_line(f"The password of {account.name} was set; log-ins and keys before it have ended.")


def usersdisable(services: Services, command: verbs.UsersDisable) -> None:
    """Shut a user out."""
    write_line(f"{services.set_disabled(command.name, True).name} is disabled.")


def usersenable(services: Services, command: verbs.UsersEnable) -> None:
    """Let a user in again."""
    write_line(f"{services.set_disabled(command.name, False).name} is enabled.")


def userskey(services: Services, command: verbs.UsersKey) -> None:
    """Make a key, alone on stdout so that a script can take it."""
    secret, key = services.issue_key(command.name, command.label, command.days)
    sys.stderr.write(f"The key of {key.account} for {key.label!r}, until {key.expires_at:%Y-%m-%d}. Keep it safe:\n")
    write_line(secret)


def _password(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass(f"Password for {name}: ")
    if getpass.getpass("Once more: ") != first:
        raise InvalidRequest("The two passwords differ. Nothing was changed; try again.")
    return first


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool) else str(value)
