"""The view of the map: stored images by verdict and real pictures on a plane; a lasso picks what the grid shows."""

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.roles import Role
from dermaflux.services.records import ProbeStep
from pages.components.panels import point_map
from pages.components.web import plain_html
from pages.curate_grid import GridActions
from pages.page import IN_WORDS, in_words, visitor_in, visitor_of
from pages.probe_panel import PROBE_QUEUE, line, progress, stop_button, wire_stop

if TYPE_CHECKING:
    from dermaflux.services import Services

_NOTE = "Describes every picture once by the classifier, at most 5,000 images, then lays them out."
_NOT_YET = "No map was drawn yet."
_NO_IMAGE = "There is no image yet. Generate some first."
_NO_SET = [("none", "")]
_METHODS = (("Main axes (PCA), fast", "pca"), ("Neighbours (t-SNE), slow", "t-sne"))


def map_view(services: "Services", dataset: gr.Dropdown, tab: gr.Tab, views: gr.Tabs, grid: gr.HTML) -> None:
    """Lay out the view in the current Blocks context and wire it; what is picked is shown in the grid's view."""
    actions = MapActions(services, GridActions(services))
    with gr.Row(elem_classes="cu-line"):
        real = gr.Dropdown(_NO_SET, value="", label="Beside real pictures", elem_id="map-real", scale=0, min_width=200)
        method = gr.Dropdown(_METHODS, value="pca", label="Layout", elem_id="map-method", scale=0, min_width=220)
        draw = gr.Button("Draw the map", elem_id="draw-map", scale=0, min_width=140)
        stop = stop_button(elem_id="map-stop")
        note = plain_html(line(_NOTE), elem_id="map-note")
    points = point_map(elem_id="map", empty=_NOT_YET)
    tab.select(actions.real_sets, real, real, **IN_WORDS)
    running = draw.click(actions.draw, [dataset, real, method], [points, note, stop], show_progress="hidden",
                         api_visibility="private", concurrency_id=PROBE_QUEUE, concurrency_limit=1)  # fmt: skip
    running.failure(_not_drawn, None, [points, note], **IN_WORDS)
    wire_stop(running, stop, note)
    dataset.change(_not_drawn, None, [points, note], **IN_WORDS)
    points.lassoed(actions.pick, None, [views, grid], **IN_WORDS)


def _not_drawn() -> tuple[Any, str]:
    """As before anything was drawn: the verdicts of another dataset must not stay in sight."""
    return {"points": [], "empty": _NOT_YET}, line(_NOTE)


class MapActions:
    """The handlers of the view."""

    def __init__(self, services: "Services", grid: GridActions) -> None:
        self._services = services
        self._grid = grid

    @in_words
    def real_sets(self, current: str, request: gr.Request) -> Any:
        """The sets of real pictures there are now."""
        visitor_of(self._services, request).require(Role.VIEWER, "look at the map")
        names = self._services.real_sets()
        return gr.Dropdown(choices=[*_NO_SET, *((n, n) for n in names)], value=current if current in names else "")

    @in_words
    def draw(self, dataset: str, real: str, method: str, request: gr.Request) -> Iterator[tuple[Any, Any, Any]]:
        """How far it is, then the points."""
        from dermaflux.figures.words import of_map

        visitor = visitor_in(self._services, request, dataset, Role.VIEWER, "look at the map")
        yield gr.skip(), line("Beginning ..."), gr.Button(interactive=True)
        for event in self._services.map_points(dataset, {}, visitor.name, real or None, method):
            if isinstance(event, ProbeStep):
                yield gr.skip(), line(progress(event)), gr.skip()
            else:
                points = [[p.x, p.y, p.kind, p.diagnosis, p.image_id] for p in event]
                says = of_map(p.kind for p in event) if points else ""
                drawn = {"points": points, "empty": _NO_IMAGE, "says": says, "number": secrets.token_hex(4)}
                yield drawn, line(f"{len(points):,} pictures, with the verdicts of {dataset}."), gr.skip()

    @in_words
    def pick(self, evt: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """Show the selected images in the grid."""
        visitor_of(self._services, request).require(Role.VIEWER, "look at images")
        return gr.Tabs(selected="grid"), self._grid.picked(evt.ids, "From the map")
