"""The log-in page and its two requests: POST login (a form of username and password), POST logout.

The same address serves people and `gradio_client(auth=...)`: who does not ask for HTML gets JSON.
"""

import html
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from dermaflux.domain.errors import DermaFluxError, NotAllowed, TooManyAttempts
from dermaflux.domain.records import DISCLAIMER
from pages.admission import SESSION_COOKIE
from pages.components.web import read_web

if TYPE_CHECKING:
    from dermaflux.services import Services

_MAX_FORM_BYTES = 10_000


def login_routes(services: "Services") -> list[Route]:
    """The routes of an app with local accounts, to stand before Gradio's own of the same names."""
    door = Door(services)
    return [
        Route("/login", door.show, methods=["GET"]),
        Route("/login", door.log_in, methods=["POST"]),
        Route("/logout", door.log_out, methods=["POST"]),
    ]


class Door:
    """The handlers."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    async def show(self, request: Request) -> Response:
        """The page."""
        return _page()

    async def log_in(self, request: Request) -> Response:
        """A session for a name and a password, or why not. Every refusal of a name takes as long."""
        if int(request.headers.get("content-length") or _MAX_FORM_BYTES + 1) > _MAX_FORM_BYTES:
            return _refused(request, InvalidForm(), 413)
        form = await request.form()
        name, password = (str(form.get(field, "")) for field in ("username", "password"))
        try:
            key = await run_in_threadpool(self._services.log_in, name, password)
        except TooManyAttempts as error:
            return _refused(request, error, 429, {"Retry-After": f"{error.wait_seconds:.0f}"})
        except NotAllowed as error:
            return _refused(request, error, 401)
        except DermaFluxError as error:
            return _refused(request, error, 503)
        return self._with_session(request, key)

    async def log_out(self, request: Request) -> Response:
        """End the session of this browser."""
        if key := request.cookies.get(SESSION_COOKIE):
            await run_in_threadpool(self._services.log_out, key)
        response = RedirectResponse("login", status_code=303)
        response.delete_cookie(SESSION_COOKIE)
        return response

    def _with_session(self, request: Request, key: str) -> Response:
        query = request.url.query
        response: Response = JSONResponse({"success": True})
        if _wants_page(request):
            response = RedirectResponse(f"./?{query}" if query else "./", status_code=303)
        scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
        response.set_cookie(
            SESSION_COOKIE, key, max_age=round(self._services.settings.session_hours * 3600),
            httponly=True, samesite="lax", secure=scheme == "https",
        )  # fmt: skip
        return response


class InvalidForm(DermaFluxError):
    """The form is larger than a name and a password can be."""

    def __init__(self) -> None:
        super().__init__("The form is too large. Send username and password only.")


def _refused(request: Request, error: DermaFluxError, status: int, headers: dict[str, str] | None = None) -> Response:
    if _wants_page(request):
        return _page(str(error), status, headers)
    return JSONResponse({"detail": str(error)}, status, headers)


def _page(problem: str = "", status: int = 200, headers: dict[str, str] | None = None) -> Response:
    said = f'<p class="df-login-problem" role="alert">{html.escape(problem)}</p>' if problem else ""
    page = read_web("login.html")
    for mark, text in (
        ("{{style}}", read_web("theme.css", "login.css")),
        ("{{script}}", read_web("shell.js")),
        ("{{problem}}", said),
        ("{{disclaimer}}", html.escape(DISCLAIMER)),
    ):
        page = page.replace(mark, text)
    return HTMLResponse(page, status, {**(headers or {}), "Cache-Control": "no-store"})


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
