"""The view of boards: the datasets a visitor may see, and making, changing, archiving and sharing his own."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.roles import Role, Visitor
from pages.components.web import plain_html, read_web
from pages.page import IN_WORDS, LATEST, in_words, visitor_in, visitor_of
from pages.probe_panel import line

if TYPE_CHECKING:
    from dermaflux.services import Services
    from dermaflux.services.sharing import Dataset

_PRIVATE = "Private to me"


def boards_view(services: "Services", dataset: gr.Dropdown, tab: gr.Tab, views: gr.Tabs) -> None:
    """Lay out the view in the current Blocks context and wire it; `dataset` is the picker of the whole tab."""
    actions = BoardActions(services)
    table = plain_html("", elem_id="boards", js_on_load=read_web("board_table.js"))
    plain_html('<h3 class="cu-heading">The chosen dataset</h3>')
    with gr.Row(elem_classes="cu-line"):
        name = gr.Textbox(label="Name", max_length=64, elem_id="board-name", scale=1, min_width=160)
        about = gr.Textbox(label="Description", max_length=2000, elem_id="board-about", scale=3, min_width=220)
        private = gr.Checkbox(label=_PRIVATE, elem_id="board-private", scale=0, min_width=140)
        save = gr.Button("Save", elem_id="board-save", scale=0, min_width=80)
        archive = gr.Button("Archive", elem_id="board-archive", scale=0, min_width=110)
    plain_html('<h3 class="cu-heading">A new dataset</h3>')
    with gr.Row(elem_classes="cu-line"):
        new_name = gr.Textbox(label="Name", max_length=64, elem_id="new-board-name", scale=1, min_width=160)
        new_about = gr.Textbox(label="Description", max_length=2000, elem_id="new-board-about", scale=3, min_width=220)
        new_private = gr.Checkbox(label=_PRIVATE, elem_id="new-board-private", scale=0, min_width=140)
        create = gr.Button("Make", elem_id="board-create", scale=0, min_width=80)
    note = plain_html("", elem_id="board-note")
    fields = [table, name, about, private, archive]
    gr.on([tab.select, dataset.change], actions.show, dataset, fields, **LATEST)
    table.chosen(actions.open, None, [dataset, views], **IN_WORDS)
    save.click(actions.save, [dataset, name, about, private], [dataset, *fields, note], **IN_WORDS)
    archive.click(actions.archive, dataset, [dataset, *fields, note], **IN_WORDS)
    create.click(
        actions.create, [new_name, new_about, new_private], [dataset, *fields, note, new_name, new_about], **IN_WORDS
    )


class BoardActions:
    """The handlers of the view."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def show(self, dataset: str, request: gr.Request) -> tuple[Any, ...]:
        """The table of datasets and the fields of the chosen one."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "look at datasets")
        return self._fields(visitor, dataset)

    @in_words
    def open(self, evt: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """The picker on a dataset of the table, and its images in sight."""
        visitor = visitor_in(self._services, request, evt.name, Role.VIEWER, "look at datasets")
        return self._picker(visitor, evt.name), gr.Tabs(selected="grid")

    @in_words
    def save(self, dataset: str, name: str, about: str, private: bool, request: gr.Request) -> tuple[Any, ...]:
        """Rename, describe, share or hide the chosen dataset."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "change a dataset")
        changed = self._services.change_dataset(
            visitor, dataset, new_name=name, description=about, private=bool(private)
        )
        return self._all(visitor, changed.name, "Saved.")

    @in_words
    def archive(self, dataset: str, request: gr.Request) -> tuple[Any, ...]:
        """Put the chosen dataset away, or bring it back; nothing in it changes."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "archive a dataset")
        found = self._services.open_dataset(dataset, visitor)
        changed = self._services.change_dataset(visitor, dataset, archived=not (found and found.archived))
        words = "Archived: kept whole, no longer offered, no more verdicts." if changed.archived else "It is back."
        return self._all(visitor, changed.name, words)

    @in_words
    def create(self, name: str, about: str, private: bool, request: gr.Request) -> tuple[Any, ...]:
        """A new dataset of the visitor's own, and the picker on it."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "make a dataset")
        made = self._services.new_dataset(visitor, name, about, private=bool(private))
        return (*self._all(visitor, made.name, f"{made.name} is made."), "", "")

    def _all(self, visitor: Visitor, dataset: str, words: str) -> tuple[Any, ...]:
        return self._picker(visitor, dataset), *self._fields(visitor, dataset), line(words)

    def _picker(self, visitor: Visitor, dataset: str) -> gr.Dropdown:
        return gr.Dropdown(choices=sorted({*self._services.dataset_names(visitor), dataset}), value=dataset)

    def _fields(self, visitor: Visitor, dataset: str) -> tuple[Any, ...]:
        found = self._services.open_dataset(dataset, visitor)
        table = _table(self._services.datasets_of(visitor, archived=True), visitor)
        mine = bool(found and (visitor.may_see(found.owner) or not found.owner))
        return (
            table,
            gr.Textbox(value=found.name if found else dataset, interactive=mine),
            gr.Textbox(value=found.description if found else "", interactive=mine),
            gr.Checkbox(value=bool(found and found.private), interactive=mine),
            gr.Button("Bring back" if found and found.archived else "Archive", interactive=mine),
        )


def _table(datasets: "Sequence[Dataset]", visitor: Visitor) -> str:
    if not datasets:
        return '<p class="cu-note">There is no dataset yet. Make one below, or give a first verdict.</p>'
    head = "".join(f"<th>{name}</th>" for name in ("Dataset", "Owner", "Who sees it", "Made", "Description"))
    body = "".join(_row(dataset, visitor) for dataset in datasets)
    return f'<table class="df-table cu-boards"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _row(dataset: "Dataset", visitor: Visitor) -> str:
    owner = f"{dataset.owner} (you)" if dataset.owner == visitor.name else dataset.owner or "nobody"
    seen = ("private" if dataset.private else "shared") + (", archived" if dataset.archived else "")
    cells = (owner, seen, dataset.created_at[:10], dataset.description)
    name = html.escape(dataset.name)
    opens = f'<button type="button" class="cu-open" data-name="{name}" title="Show it in the grid">{name}</button>'
    return f"<tr><th>{opens}</th>{''.join(f'<td>{html.escape(c)}</td>' for c in cells)}</tr>"
