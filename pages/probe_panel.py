"""The panel "Does it help?" of the Dataset tab: a quick head with and without the accepted images, as a table."""

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.events import Dependency

from dermaflux.domain.roles import Role
from dermaflux.services.records import ProbeRequest, ProbeStep
from pages.components.web import plain_html
from pages.page import IN_WORDS, in_words, visitor_in, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services
    from dermaflux.services.probing import ProbeReport

PROBE_QUEUE = "probe"  # one at a time, of programs and visitors together: describing pictures takes all cores
_SIZES = (("250 at a time", 250), ("500 at a time", 500), ("all", 0))
_NOTE = (
    "Trains a quick head on real pictures with and without the accepted images, and judges both on held-out real ones. "
    "The first answer describes every picture once and may take minutes."
)
_NO_REAL = (
    "No real pictures are known here. Take some in under Study, or: python -m dermaflux import-real FOLDER --name NAME"
)
_STOPPED = "Stopped. What was done is kept, so the next answer comes sooner."


def probe_panel(services: "Services", dataset: gr.Dropdown, tab: gr.Tab) -> None:
    """Lay out the panel in the current Blocks context and wire it to the chosen dataset."""
    actions = ProbeActions(services)
    with gr.Row(elem_classes="df-export df-helps"):
        real = gr.Dropdown(services.real_sets(), label="Real pictures", elem_id="probe-real")
        size = gr.Dropdown(_SIZES, value=_SIZES[0][1], label="Learned from", elem_id="probe-size")
        button = gr.Button("Does it help?", elem_id="probe", min_width=120, scale=0)
        stop = stop_button(elem_id="probe-stop")
        report = plain_html(line(_NOTE), elem_id="probe-report")
    table = plain_html("", elem_id="probe-table")
    tab.select(actions.choices, real, [real, report], **IN_WORDS)
    running = button.click(
        actions.probe, [dataset, real, size], [report, table, stop], show_progress="hidden", api_visibility="private",
        concurrency_id=PROBE_QUEUE, concurrency_limit=1,
    )  # fmt: skip
    running.failure(lambda: line(_NOTE), None, report, **IN_WORDS)
    wire_stop(running, stop, report)


class ProbeActions:
    """The handlers of the panel."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def choices(self, current: str | None, request: gr.Request) -> tuple[Any, Any]:
        """The sets of real pictures there are now, and what to do when there is none."""
        visitor_of(self._services, request).require(Role.VIEWER, "see the sets of real pictures")
        names = self._services.real_sets()
        value = current if current in names else next(iter(names), None)
        return gr.Dropdown(choices=names, value=value), gr.skip() if names else line(_NO_REAL)

    @in_words
    def probe(
        self, dataset: str, real: str | None, num_real: int, request: gr.Request
    ) -> Iterator[tuple[Any, Any, Any]]:
        """How far it is, then the answer as a sentence and a table."""
        visitor_in(self._services, request, dataset, Role.CURATOR, "train a head on a dataset")
        yield line("Beginning ..."), "", gr.Button(interactive=True)
        asked = ProbeRequest(dataset=dataset, real=self._services.real_set(real), num_real=num_real or None)
        for event in self._services.probe(asked):
            if isinstance(event, ProbeStep):
                yield line(progress(event)), gr.skip(), gr.skip()
            else:
                yield line(event.headline), _table(event), gr.skip()


def progress(step: ProbeStep) -> str:
    """How far long work is, in words."""
    return f"{step.doing}: {step.done:,} of {step.total:,}" if step.total else f"{step.doing} ..."


def _table(report: "ProbeReport") -> str:
    """Every figure of a report: without, with, the change and its interval, and how many pictures are behind it."""
    head = "".join(f"<th>{name}</th>" for name in ("", "without", "with", "change (95 %)", "judged on", "added"))
    body = "".join(_row(*row) for row in report.rows())
    return f'<table class="df-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _row(name: str, figure: Any, num_held_out: int, num_added: int) -> str:
    tone = "is-up" if figure.delta.low > 0 else "is-down" if figure.delta.high < 0 else "is-open"
    title = html.escape(name[:1].upper() + name[1:])
    return (
        f"<tr><th>{title}</th><td>{figure.without:.3f}</td><td>{figure.with_added:.3f}</td>"
        f'<td class="{tone}">{figure.change}</td><td>{num_held_out:,}</td><td>{num_added:,}</td></tr>'
    )


def line(text: str) -> str:
    """A line of status as HTML."""
    return f'<span role="status">{html.escape(text)}</span>'


def stop_button(*, elem_id: str) -> gr.Button:
    """A button that stops long work; it can be pressed only while that runs."""
    return gr.Button("Stop", elem_id=elem_id, min_width=60, scale=0, interactive=False)


def wire_stop(running: Dependency, stop: gr.Button, note: gr.HTML) -> None:
    """Let the button stop what runs, and rest when that has ended, also badly: `then` is called after success only."""
    running.then(idle_stop, None, stop, **IN_WORDS)
    running.failure(idle_stop, None, stop, **IN_WORDS)
    stop.click(stopped, None, [note, stop], cancels=running, **IN_WORDS)


def idle_stop() -> gr.Button:
    """The button when nothing runs."""
    return gr.Button(interactive=False)


def stopped() -> tuple[str, gr.Button]:
    """What is said after a stop, and the button."""
    return line(_STOPPED), idle_stop()
