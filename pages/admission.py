"""Finds out who asks, once for every HTTP request and before anything else answers it.

Gradio's own `auth=` guards its pages but not what is mounted beside them (MCP), knows no header, and cannot be joined
with `auth_dependency`. So one ASGI layer guards everything, in every mode, and Gradio is told the name it found.
It knows no role: what somebody may do is asked by each handler.
"""

import hmac
import ipaddress
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from starlette._utils import get_route_path
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dermaflux.domain.errors import DermaFluxError, InvalidRequest

if TYPE_CHECKING:
    from dermaflux.services import Services

SESSION_COOKIE = "dermaflux-session"
LOOPBACK_HEADER = "x-dermaflux-loopback"
NOBODY = ""  # let in without a name; `services.visitor` decides what that means
_SCOPE_KEY = "dermaflux_name"
# What Gradio asks of itself at start, and what a browser asks for by itself.
_OPEN_PATHS = frozenset({"/login", "/favicon.ico", "/robots.txt", "/gradio_api/startup-events"})

_FILE_ROUTE = re.compile(r"/gradio_api/file[=/](.*)", re.DOTALL)
_NOT_YOURS = "Your role does not cover this file. Ask an administrator."


class Gate(Protocol):
    """Who is let in, and what somebody without a name is shown."""

    has_login_page: bool

    def name_of(self, connection: HTTPConnection, from_ourselves: bool) -> str | None:
        """The name of who asks; None: nobody who may come in. from_ourselves: an MCP call passed on by this app."""
        ...


class LocalGate:
    """People with a session of the log-in page, programs with a key."""

    has_login_page = True

    def __init__(self, services: "Services") -> None:
        self._services = services

    def name_of(self, connection: HTTPConnection, from_ourselves: bool) -> str | None:
        """The account of the key in the header, else of the cookie."""
        key = _bearer_key(connection) or connection.cookies.get(SESSION_COOKIE)
        return self._services.name_of_key(key) if key else None


class ProxyGate:
    """People named by a header of a reverse proxy at one of some addresses, programs with a key."""

    has_login_page = False

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._header = services.settings.proxy_header
        parts = [part.strip() for part in services.settings.proxy_addresses.split(",") if part.strip()]
        try:
            self._networks = [ipaddress.ip_network(part, strict=False) for part in parts]
        except ValueError as error:
            raise InvalidRequest(
                f"DERMAFLUX_PROXY_ADDRESSES: {error}. Give addresses or networks, with commas between."
            ) from error

    def name_of(self, connection: HTTPConnection, from_ourselves: bool) -> str | None:
        """The account of a key, else the name in the header when it was the proxy that sent it."""
        if key := _bearer_key(connection):
            return self._services.name_of_key(key)
        if not (from_ourselves or self._is_proxy(connection)):
            return None
        return connection.headers.get(self._header, "").strip() or None

    def _is_proxy(self, connection: HTTPConnection) -> bool:
        peer = connection.client.host if connection.client else ""
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


class SpacesGate:
    """Everybody may look; who has logged in at Hugging Face has a name. Built on Spaces only."""

    has_login_page = False

    def name_of(self, connection: HTTPConnection, from_ourselves: bool) -> str | None:
        """The hub's name of the visitor, else NOBODY."""
        login = connection.scope.get("session", {}).get("oauth_info") or {}
        if login.get("expires_at") is not None and login["expires_at"] < time.time():
            return NOBODY
        return str((login.get("userinfo") or {}).get("preferred_username") or NOBODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one deployment's door goes by. may_fetch: whether a name may read a file of the disk by Gradio's route."""

    gate: Gate
    loopback_secret: str
    may_fetch: Callable[[str, str], bool]


class Admission:
    """ASGI layer: nobody without a name gets further than the log-in page, and no one to files that are not theirs."""

    def __init__(self, app: ASGIApp, *, rules: Rules) -> None:
        self._app = app
        self._gate = rules.gate
        self._may_fetch = rules.may_fetch
        self._loopback_secret = rules.loopback_secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the name in the scope and go on, or answer in its place."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            scope[_SCOPE_KEY] = name = await run_in_threadpool(self._name, HTTPConnection(scope))
        except DermaFluxError as error:
            await JSONResponse({"error": str(error)}, 503)(scope, receive, send)
            return
        path = get_route_path(scope)
        file = _FILE_ROUTE.match(path)
        if name is not None and file and not await run_in_threadpool(self._may_fetch, name, file[1]):
            await JSONResponse({"error": _NOT_YOURS}, 403)(scope, receive, send)
        elif name is not None or path in _OPEN_PATHS:
            await self._app(scope, receive, send)
        else:
            await self._turned_away(HTTPConnection(scope))(scope, receive, send)

    def _name(self, connection: HTTPConnection) -> str | None:
        claimed = connection.headers.get(LOOPBACK_HEADER, "").encode()
        from_ourselves = hmac.compare_digest(claimed, self._loopback_secret)
        name = self._gate.name_of(connection, from_ourselves)
        return NOBODY if name is None and from_ourselves else name

    def _turned_away(self, connection: HTTPConnection) -> Response:
        is_page = get_route_path(connection.scope) in ("", "/") and "text/html" in connection.headers.get("accept", "")
        if is_page and self._gate.has_login_page:
            query = connection.url.query
            return RedirectResponse(f"login?{query}" if query else "login", status_code=303)
        where = "Log in" if self._gate.has_login_page else "Come through the log-in of the reverse proxy"
        said = f"Not logged in. {where}, or send a key: Authorization: Bearer dfx_..."
        return JSONResponse({"error": said}, 401, {"WWW-Authenticate": "Bearer"})


def new_secret() -> str:
    """What the app knows itself by, as long as it runs."""
    return secrets.token_urlsafe(32)


def admitted_name(connection: HTTPConnection) -> str | None:
    """The name that was found for a request; None without log-ins."""
    return connection.scope.get(_SCOPE_KEY)


def _bearer_key(connection: HTTPConnection) -> str | None:
    kind, _, key = connection.headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" and key.strip().startswith("dfx_") else None
