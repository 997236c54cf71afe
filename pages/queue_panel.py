"""The queue panel of the Generate tab: a visitor's jobs and their places in line, and what can be done to them.

Layout, handlers and wiring; what is shown is made in `components.queue_view`, painted by assets/web/queue.js.
"""

from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.lesion import choice
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services.queue_records import JobAction, QueueAction
from pages.components.queue_view import Value, failed_value, queue_value
from pages.components.web import read_web
from pages.page import IN_WORDS, QUICK, in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

_REFRESH_SECONDS = 1.5
_EACH: dict[str, Any] = {**IN_WORDS, "trigger_mode": "multiple"}


def queue_panel(services: "Services", app: gr.Blocks, last_job: gr.BrowserState) -> tuple[Any, gr.Timer]:
    """Lay out the panel in the current Blocks context and wire it.

    Returns the event after which `last_job` names the job that the visitor wants to see on the board, and the timer.
    """
    actions = QueueActions(services)
    panel = gr.HTML(
        value=failed_value("") | {"summary": "", "notes": []},  # until the page has loaded
        html_template=read_web("queue.html"),
        js_on_load=read_web("queue.js"),
        apply_default_css=False,
        elem_id="queue",
    )
    seen = gr.State(None)
    timer = gr.Timer(_REFRESH_SECONDS)
    timer.tick(actions.refresh, seen, [panel, seen], **QUICK)
    app.load(actions.refresh, seen, [panel, seen], **QUICK)
    panel.acted(actions.act, None, [panel, seen], **_EACH)
    panel.steered(actions.steer, None, [panel, seen], **_EACH)
    return panel.shown(actions.show, None, [last_job, panel, seen], **_EACH), timer


class QueueActions:
    """The handlers of the panel. Each answers with the queue as it is afterwards."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def refresh(self, seen: Value | None, request: gr.Request) -> tuple[Any, Any]:
        """The queue when it has changed since `seen`. Not queued, since it is asked all the time: it never raises."""
        try:
            value = self._value(self._looking(request))
        except DermaFluxError as error:  # a notice every other second would be noise
            value = failed_value(str(error))
        return (gr.skip(), gr.skip()) if value == seen else (value, value)

    @in_words
    def act(self, evt: gr.EventData, request: gr.Request) -> tuple[Value, Value]:
        """Pause or cancel a job."""
        visitor = visitor_of(self._services, request).require(Role.REVIEWER, "change jobs in the queue")
        self._services.act_on_job(visitor, evt.job_id, choice("action", evt.action, JobAction))
        return self._twice(visitor)

    @in_words
    def show(self, evt: gr.EventData, request: gr.Request) -> tuple[str, Value, Value]:
        """Bring a job back to the board, after it was resumed or tried again when that was asked for."""
        visitor = self._looking(request)
        action = choice("action", evt.action, JobAction)
        if action is not JobAction.SHOW:
            visitor.require(Role.REVIEWER, "change jobs in the queue")
            self._services.act_on_job(visitor, evt.job_id, action)
        return self._services.job_of(visitor, evt.job_id).job_id, *self._twice(visitor)

    @in_words
    def steer(self, evt: gr.EventData, request: gr.Request) -> tuple[Value, Value]:
        """Clear the visitor's list, or pause or resume the whole queue."""
        visitor = visitor_of(self._services, request).require(Role.REVIEWER, "change the queue")
        match choice("action", evt.action, QueueAction):
            case QueueAction.CLEAR:
                self._services.clear_jobs(visitor)
            case QueueAction.PAUSE_ALL:
                self._services.pause_queue(visitor)
            case QueueAction.RESUME_ALL:
                self._services.resume_queue(visitor)
        return self._twice(visitor)

    def _looking(self, request: gr.Request) -> Visitor:
        return visitor_of(self._services, request).require(Role.VIEWER, "see the queue")

    def _value(self, visitor: Visitor) -> Value:
        return queue_value(self._services.queue_view(visitor))

    def _twice(self, visitor: Visitor) -> tuple[Value, Value]:
        value = self._value(visitor)
        return value, value
