"""What every page shares: errors in words, the name of the queue for followers, the disclaimer, who asks.

The only place where a DermaFluxError becomes something a visitor reads. It knows no tab.
"""

import functools
import html
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import gradio as gr
from starlette.requests import HTTPConnection

from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.records import DISCLAIMER
from dermaflux.domain.roles import Role, Visitor
from pages.admission import admitted_name
from pages.components.web import plain_html

if TYPE_CHECKING:
    from dermaflux.services import Services

Params = ParamSpec("Params")
Result = TypeVar("Result")

# A follower waits for the worker most of its life: any number may wait side by side, apart from all other handlers.
FOLLOW_QUEUE = "follow"
# How a handler is called. Gradio shows the errors of queued handlers only, so whatever may refuse is queued, where
# nobody waits in line, since any number may run at once; QUICK is for the few that never refuse or say it in band.
QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
IN_WORDS: dict[str, Any] = {**QUICK, "queue": True, "concurrency_limit": None}
# For what follows a choice: Gradio drops what comes while an earlier one is answered, unless a change alone triggers.
LATEST: dict[str, Any] = {**IN_WORDS, "trigger_mode": "always_last"}


def in_words(handler: Callable[Params, Result]) -> Callable[Params, Result]:
    """The handler with DermaFluxError shown as a notice; anything else is our fault and goes on to the log."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def stream(*args: Params.args, **kwargs: Params.kwargs) -> Iterator[Any]:
            try:
                yield from handler(*args, **kwargs)
            except DermaFluxError as error:
                raise _notice(error) from error

        return stream  # type: ignore[return-value] - a generator function stays one

    @functools.wraps(handler)
    def call(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        try:
            return handler(*args, **kwargs)
        except DermaFluxError as error:
            raise _notice(error) from error

    return call


def visitor_of(services: "Services", request: gr.Request | None) -> Visitor:
    """Who asks, with their role; raises NotAllowed for nobody where one has to log in.

    Every handler that changes or shows anything asks this itself: an endpoint that no page shows can still be called.
    """
    if isinstance(request, HTTPConnection):  # how Gradio's MCP server calls what is not queued
        return services.visitor(admitted_name(request))
    return services.visitor(request.username if request else None)


def visitor_in(services: "Services", request: gr.Request | None, dataset: str, role: Role, what: str) -> Visitor:
    """Who asks to do something in a dataset. Raises NotAllowed below the role, DataNotFound when it is not theirs."""
    visitor = visitor_of(services, request).require(role, what)
    services.open_dataset(dataset, visitor)
    return visitor


def disclaimer() -> gr.HTML:
    """The banner that stands beside every prediction."""
    first, _, rest = DISCLAIMER.partition(". ")
    return plain_html(
        f'<p class="df-notice" role="note"><span><strong>{html.escape(first)}.</strong> {html.escape(rest)}</span></p>'
    )


def _notice(error: DermaFluxError) -> gr.Error:
    return gr.Error(str(error), print_exception=False)
