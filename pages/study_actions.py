"""What the Study tab does: the list, the reading room, results, the export. Each handler asks who is there first."""

import base64
import html
import secrets
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.roles import Role
from dermaflux.domain.study import StudyAnswer
from pages.components.study_results import results_html
from pages.components.study_views import list_value, session_value
from pages.page import in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

_ANSWER = ("position", "source", "confidence", "lesion", "browser_ms", "num_pauses", "zoomed")


class StudyActions:
    """The handlers of the list, the room and the results."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def studies(self, request: gr.Request) -> dict[str, Any]:
        """The studies this visitor may know of."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "see the studies")
        return list_value(self._services.studies(visitor))

    @in_words
    def open(self, evt: gr.EventData, request: gr.Request) -> Any:
        """The first turn of a session: this picture and the next."""
        visitor = visitor_of(self._services, request).require(Role.REVIEWER, "read in a study")
        return gr.HTML(session=session_value(self._services.read_study(_told(evt, "study"), visitor)), problem={})

    def answer(self, evt: gr.EventData, request: gr.Request) -> Any:
        """Store an answer; the next turn, or in words why it was refused.

        Not queued, so that no time of other work comes between two pictures; so a refusal goes to the room itself.
        """
        try:
            visitor = visitor_of(self._services, request).require(Role.REVIEWER, "read in a study")
            told: dict[str, Any] = {name: getattr(evt, name, None) for name in _ANSWER}
            turn = self._services.answer_study(_told(evt, "study"), visitor, StudyAnswer(**told))
            return gr.HTML(session=session_value(turn))
        except DermaFluxError as error:
            return gr.HTML(problem={"text": str(error), "told": secrets.token_hex(4)})

    @in_words
    def results(self, evt: gr.EventData, request: gr.Request) -> tuple[str, dict[str, Any]]:
        """The results as far as the visitor may see them, and the list, which may have changed by looking."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "see results")
        report = self._services.study_results(_told(evt, "study"), visitor, gives_up_reading=_gives_up(evt))
        return results_html(report), list_value(self._services.studies(visitor))

    @in_words
    def export(self, evt: gr.EventData, request: gr.Request) -> tuple[str, dict[str, Any]]:
        """A link that holds the zip itself, so that no file of it lies where others could fetch it; and the list."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "export the answers of a study")
        name = _told(evt, "study")
        content = self._services.export_study(name, visitor, gives_up_reading=_gives_up(evt))
        return _download(f"{name}-answers.zip", content), list_value(self._services.studies(visitor))

    @in_words
    def close(self, evt: gr.EventData, request: gr.Request) -> dict[str, Any]:
        """Take no more answers in a study; the list."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "close a study")
        self._services.close_study(_told(evt, "study"), visitor)
        return list_value(self._services.studies(visitor))

    @in_words
    def remove(self, evt: gr.EventData, request: gr.Request) -> tuple[dict[str, Any], str, str]:
        """Remove a study for good; the list, and nothing left of what was shown of it."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "remove a study")
        self._services.remove_study(_told(evt, "study"), visitor)
        return list_value(self._services.studies(visitor)), "", ""


def _told(evt: gr.EventData, name: str) -> str:
    """A text that came with an event; empty where none did, which names nothing."""
    return str(getattr(evt, name, ""))


def _gives_up(evt: gr.EventData) -> bool:
    return getattr(evt, "gives_up_reading", False) is True


def _download(name: str, content: bytes) -> str:
    data = base64.b64encode(content).decode("ascii")
    label = html.escape(name)
    size = f"{max(1, round(len(content) / 1000)):,} kB"
    return (
        f'<p class="df-study-download" role="status"><a download="{label}" href="data:application/zip;base64,{data}">'
        f"Save {label}</a> ({size}): answers.csv, study.json with the key, results.json. It names the readers.</p>"
    )
