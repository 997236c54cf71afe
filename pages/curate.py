"""The Curate tab: the grid and what leads to it, near-duplicates, a map, the coverage planner, reviews and boards."""

from typing import TYPE_CHECKING

import gradio as gr

from pages.components.dataset_picker import counts_html, dataset_picker, wire_picker
from pages.components.grid import curation_grid
from pages.components.web import plain_html
from pages.curate_boards import boards_view
from pages.curate_coverage import coverage_view
from pages.curate_grid import GridActions, wire_grid
from pages.curate_groups import groups_view
from pages.curate_map import map_view
from pages.curate_reviews import reviews_view
from pages.page import IN_WORDS

if TYPE_CHECKING:
    from dermaflux.services import Services


def build(services: "Services", app: gr.Blocks, tab: gr.Tab) -> gr.HTML:
    """Lay out the tab in the current Blocks context and wire it; its grid."""
    with gr.Row(elem_classes="df-bar"):
        dataset = dataset_picker(services.shared_datasets(), elem_id="curate-dataset")
        counts = plain_html(counts_html(None), elem_id="curate-counts")
    actions = GridActions(services)
    with gr.Tabs(elem_id="curate-views") as views:
        with gr.Tab("Grid", id="grid") as grid_tab:
            grid = curation_grid(elem_id="curate-grid", calibration=services.calibration_note())
        with gr.Tab("Near-duplicates", id="groups"):
            settled = groups_view(services, dataset)
        with gr.Tab("Map", id="map") as map_tab:
            map_view(services, dataset, map_tab, views, grid)
        with gr.Tab("Coverage", id="coverage") as coverage_tab:
            coverage_view(services, dataset, coverage_tab)
        with gr.Tab("Reviews", id="reviews") as reviews_tab:
            reviews_view(services, dataset, reviews_tab)
        with gr.Tab("Boards", id="boards") as boards_tab:
            boards_view(services, dataset, boards_tab, views)
    wire_grid(actions, grid, dataset, counts)
    wire_picker(services, dataset, app, tab)
    gr.on([tab.select, grid_tab.select], actions.show, dataset, grid, **IN_WORDS)
    tab.select(actions.counts, dataset, counts, **IN_WORDS)
    settled.then(actions.counts, dataset, counts, **IN_WORDS)
    return grid
