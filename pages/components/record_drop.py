"""Where a DermaFlux PNG is dropped. The browser reads the record inside it; the picture never leaves the computer.

Event: `record_read` (record, the JSON text; name, of the file). A file without a record is refused on the spot.
"""

import gradio as gr

from pages.components.web import read_web


def record_drop(*, elem_id: str) -> gr.HTML:
    """The zone; files dropped anywhere on the panel around it count too."""
    return gr.HTML(
        value="",
        html_template=read_web("record_drop.html"),
        js_on_load=read_web("record_drop.js"),
        apply_default_css=False,
        elem_id=elem_id,
    )
