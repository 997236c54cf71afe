"""The Study tab: blinded reader studies. The list, the reading room over it, results, and the form for a new study."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from pages.components.study_views import reading_room, study_list
from pages.components.web import plain_html
from pages.page import IN_WORDS, QUICK
from pages.study_actions import StudyActions
from pages.study_form import IMPORT_NOTE, StudyFormActions, note, study_form, study_line

if TYPE_CHECKING:
    from dermaflux.services import Services

_ONE_AT_A_TIME: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 1}
_STOPPED = "Stopped. Nothing was kept."


def build(services: "Services", tab: gr.Tab) -> None:
    """Lay out the tab in the current Blocks context and wire it."""
    actions = StudyActions(services)
    listed = study_list()
    room = reading_room()
    download = plain_html("", elem_id="study-download")
    results = plain_html("", elem_id="study-results")
    tab.select(actions.studies, None, listed, **IN_WORDS)
    listed.opened(actions.open, None, room, **IN_WORDS)
    room.answered(actions.answer, None, room, **QUICK, trigger_mode="multiple")
    room.left(actions.studies, None, listed, **IN_WORDS)
    listed.looked(actions.results, None, [results, listed], **IN_WORDS, scroll_to_output=True)
    listed.exported(actions.export, None, [download, listed], **IN_WORDS, scroll_to_output=True)
    listed.closed(actions.close, None, listed, **IN_WORDS)
    listed.removed(actions.remove, None, [listed, results, download], **IN_WORDS)
    _new_study(services, tab, listed)


def _new_study(services: "Services", tab: gr.Tab, listed: gr.HTML) -> None:
    """The form for curators, and the taking in of real pictures under it."""
    actions = StudyFormActions(services)
    with gr.Accordion("New study", open=False, elem_id="study-new", elem_classes="df-study-form") as panel:
        form = study_form()
        with gr.Row(elem_classes="df-study-actions"):
            create = gr.Button("Make the study", variant="primary", elem_id="study-create", min_width=140, scale=0)
            stop = gr.Button("Stop", elem_id="study-stop", min_width=60, scale=0)
            report = note()
        with gr.Accordion("Take in real pictures from a folder of the server", open=False, elem_id="study-import"):
            with gr.Row():
                folder = gr.Textbox(label="Folder or zip on the server", elem_id="study-folder")
                name = gr.Textbox(label="What to call the set", elem_id="study-set-name")
            with gr.Row(elem_classes="df-study-actions"):
                take = gr.Button("Take in", elem_id="study-take-in", min_width=100, scale=0)
                halt = gr.Button("Stop", elem_id="study-halt", min_width=60, scale=0)
                taken = plain_html(study_line(IMPORT_NOTE), elem_id="study-taken")
    tab.select(actions.offers, [form.dataset, form.real], [panel, form.dataset, form.real, report], **IN_WORDS)
    making = create.click(actions.create, form.components(), [report, listed], **_ONE_AT_A_TIME)
    taking = take.click(actions.take_in, [folder, name], [taken, form.real], **_ONE_AT_A_TIME)
    for button, line, running in ((stop, report, making), (halt, taken, taking)):
        running.failure(lambda: study_line("Nothing was made."), None, line, **IN_WORDS)
        button.click(lambda: study_line(_STOPPED), None, line, cancels=running, **IN_WORDS)
