"""Who may come in over HTTP and MCP: what `app.py` passes to launch() beside the look, and what is left to do after it.

Without log-ins it adds nothing: then everybody who reaches the address is the one local user.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware

from dermaflux.domain.errors import NotAllowed
from dermaflux.domain.roles import Role
from dermaflux.services.wiring import EXPORTS
from pages.admission import (
    LOOPBACK_HEADER,
    Admission,
    Gate,
    LocalGate,
    ProxyGate,
    Rules,
    SpacesGate,
    admitted_name,
    new_secret,
)
from pages.endpoint import wrong_arguments
from pages.login import login_routes

if TYPE_CHECKING:
    import gradio as gr

    from dermaflux.services import Services


class Access:
    """Who may come in over HTTP and MCP, as options of launch() and what is left to do after it."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._secret = new_secret()
        self._gate = self._build_gate()

    def launch_options(self) -> dict[str, Any]:
        """The options, app_kwargs among them. Raises InvalidRequest when nobody could ever log in."""
        app_kwargs: dict[str, Any] = {"exception_handlers": {TypeError: wrong_arguments}}
        options: dict[str, Any] = {"mcp_server": self._services.settings.mcp, "app_kwargs": app_kwargs}
        if self._gate is None:
            return options
        self._services.check_ready()
        rules = Rules(gate=self._gate, loopback_secret=self._secret, may_fetch=self._may_fetch)
        layer = Middleware(Admission, rules=rules)
        routes = login_routes(self._services) if self._gate.has_login_page else []
        return {
            **options,
            "app_kwargs": app_kwargs | {"middleware": [layer], "routes": routes},
            "auth_dependency": admitted_name,
        }

    def lend_to_mcp(self, app: "gr.Blocks") -> None:
        """Let Gradio's MCP server through its own door.

        It passes a queued tool's call on by a client of its own, whose reading requests carry nobody's key: with this
        header they are let in as nobody. The call itself carries the caller's headers, and so the caller's name.
        """
        server = app.mcp_server_obj
        if server is None or self._gate is None:
            return
        from gradio_client import Client

        server._client_instance = Client(
            str(app.local_url), download_files=False, verbose=False, analytics_enabled=False, _skip_components=False,
            headers={"x-gradio-user": "mcp", LOOPBACK_HEADER: self._secret},
        )  # fmt: skip

    def _may_fetch(self, name: str, path: str) -> bool:
        """Exports are for curators, whose names and places can be guessed; all else is for whoever has its address."""
        exports = (self._services.settings.data_dir / EXPORTS).resolve()
        if not Path(path).resolve().is_relative_to(exports):
            return True
        try:
            self._services.visitor(name).require(Role.CURATOR, "download an export")
        except NotAllowed:
            return False
        return True

    def _build_gate(self) -> Gate | None:
        match self._services.settings.auth:
            case "local":
                return LocalGate(self._services)
            case "proxy":
                return ProxyGate(self._services)
            case "spaces":
                return SpacesGate()
        return None
