"""Three small components of the Curate tab: rows of pictures with deeds, the map, and the coverage table.

Each is a template, a script and an event; what their values mean stands at the top of the scripts.
"""

from typing import Any

import gradio as gr

from pages.components.web import read_web


def picture_rows(*, elem_id: str, empty: str) -> gr.HTML:
    """Rows of pictures. Event: `done` (deed, key, chosen, ids, version, dataset, batch)."""
    return _panel("rows", elem_id, {"rows": [], "empty": empty}, refused=None)


def point_map(*, elem_id: str, empty: str) -> gr.HTML:
    """A map with a lasso. Event: `lassoed` (ids)."""
    return _panel("map", elem_id, {"points": [], "empty": empty}, before=("map_points.js",))


def coverage_table(*, elem_id: str) -> gr.HTML:
    """A table of counts. Event: `filled` (diagnosis, attribute, level, skin_tone, num_images)."""
    return _panel("coverage", elem_id, None)


def _panel(name: str, elem_id: str, value: Any, before: tuple[str, ...] = (), **more: Any) -> gr.HTML:
    return gr.HTML(
        value=value,
        html_template=read_web(f"{name}.html"),
        js_on_load=read_web("card.js", *before, f"{name}.js"),
        apply_default_css=False,
        elem_id=elem_id,
        **more,
    )
