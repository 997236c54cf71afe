"""What the Account tab and the account corner do: each handler asks who is there, then the services.

A password or a key is in no answer but the one that makes the key.
"""

import html
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import NotAllowed
from dermaflux.domain.roles import Role, Visitor
from pages.page import in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

Said = tuple[str, str, str]  # a line, the table, the emptied password field
_ADMINISTER = "administer accounts"


class AccountActions:
    """The handlers."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def show(self, request: gr.Request) -> tuple[str, str, Any, str]:
        """Who is there, their keys, and for administrators all accounts."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "see an account")
        is_admin = visitor.role is Role.ADMIN
        return (
            f"<h2>You are {html.escape(visitor.name)}</h2><p>Your role is <b>{visitor.role}</b>.</p>",
            self._keys_html(visitor),
            gr.Column(visible=is_admin),
            self._table() if is_admin else "",
        )

    @in_words
    def change_password(self, present: str, new: str, request: gr.Request) -> tuple[str, str, str]:
        """One's own password; every log-in ends with the old one, this one too."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "change a password")
        if self._services.settings.auth != "local":
            raise NotAllowed("Passwords are not kept here. Change yours where you log in.")
        self._services.change_password(visitor.name, present, new)
        return _line("Your password was changed and every log-in has ended. Reload the page to log in again."), "", ""

    @in_words
    def issue_key(self, label: str, days: float | None, request: gr.Request) -> tuple[str, str]:
        """A key of one's own, shown this once."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "make a key")
        secret, key = self._services.issue_key(visitor.name, label, int(days or 0))
        return (
            f'<p role="status">Copy it now, it is shown this once: <code class="df-key">{html.escape(secret)}</code> '
            f"(until {key.expires_at:%Y-%m-%d})</p>",
            self._keys_html(visitor),
        )

    @in_words
    def end_key(self, number: str, request: gr.Request) -> tuple[str, str]:
        """End one of one's own keys, by the number in the list."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "end a key")
        keys = self._services.keys(visitor.name)
        position = int(number) if (number or "").strip().isdigit() else 0
        if not 1 <= position <= len(keys):
            raise NotAllowed(f"You have no key number {number!r}. Take a number from the list.")
        self._services.end_key(visitor.name, keys[position - 1].key_id)
        return _line("The key has ended."), self._keys_html(visitor)

    @in_words
    def add(self, name: str, role: str, password: str, request: gr.Request) -> Said:
        """A new account."""
        self._administrator(request)
        has_password = self._services.settings.auth == "local"
        account = self._services.add_account(name, role, password if has_password else None)
        return self._said(f"{account.name} was added as {account.role}.")

    @in_words
    def change_role(self, name: str, role: str, request: gr.Request) -> Said:
        """Another role for an account."""
        self._administrator(request)
        account = self._services.set_role(name, role)
        return self._said(f"{account.name} is now {account.role}.")

    @in_words
    def reset_password(self, name: str, password: str, request: gr.Request) -> Said:
        """Another password for an account, whose log-ins and keys end."""
        self._administrator(request)
        account = self._services.set_password(name, password)
        return self._said(f"{account.name} has a new password; log-ins and keys before it have ended.")

    @in_words
    def disable(self, name: str, request: gr.Request) -> Said:
        """Shut an account out at once."""
        self._administrator(request)
        return self._said(f"{self._services.set_disabled(name, True).name} is disabled.")

    @in_words
    def enable(self, name: str, request: gr.Request) -> Said:
        """Let a disabled account in again."""
        self._administrator(request)
        return self._said(f"{self._services.set_disabled(name, False).name} is enabled.")

    def _administrator(self, request: gr.Request) -> Visitor:
        return visitor_of(self._services, request).require(Role.ADMIN, _ADMINISTER)

    def _said(self, text: str) -> Said:
        return _line(text), self._table(), ""

    def _table(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in ("Name", "Role", "State", "Last seen"))
        rows = "".join(
            f'<tr><th scope="row">{html.escape(a.name)}</th><td>{a.role}</td>'
            f"<td>{'disabled' if a.disabled else 'enabled'}</td>"
            f"<td>{f'{a.last_seen_at:%Y-%m-%d %H:%M} UTC' if a.last_seen_at else 'never'}</td></tr>"
            for a in self._services.accounts()
        )
        return f'<table class="df-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'

    def _keys_html(self, visitor: Visitor) -> str:
        keys = self._services.keys(visitor.name)
        if not keys:
            return '<p class="df-note">You have no keys.</p>'
        rows = "".join(
            f'<tr><th scope="row">{number}</th><td>{html.escape(key.label)}</td><td>{key.expires_at:%Y-%m-%d}</td>'
            f"<td>{f'{key.last_used_at:%Y-%m-%d %H:%M} UTC' if key.last_used_at else 'never'}</td></tr>"
            for number, key in enumerate(keys, start=1)
        )
        head = "".join(f'<th scope="col">{name}</th>' for name in ("No.", "For", "Until", "Last used"))
        return f'<table class="df-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _line(text: str) -> str:
    return f'<p role="status">{html.escape(text)}</p>'
