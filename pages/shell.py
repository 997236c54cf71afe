"""The one page: header, notice, tabs. Each tab is built by its own module; this one only sets them side by side."""

import html
import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from dermaflux.domain.roles import Role, Visitor
from pages import about, accounts, curate, dataset, evaluate, generate, study, train
from pages.api import add_api
from pages.components.web import plain_html, read_web
from pages.page import IN_WORDS, QUICK, disclaimer, in_words, visitor_of
from pages.reuse import wire_reuse

if TYPE_CHECKING:
    from dermaflux.services import Services
    from dermaflux.services.limits import DiskUse

TITLE = "DermaFlux"
_KEEP_CACHE_S = 24 * 3600


def build_app(services: "Services") -> gr.Blocks:
    """The app over these services; nothing is launched and no model is loaded."""
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(3600, _KEEP_CACHE_S), fill_width=True
    ) as app:
        greeting = Greeting(services)
        header = plain_html(greeting.html(None), elem_id="header")
        if accounts.has_accounts(services.settings.auth):
            app.load(greeting.header, outputs=header, **IN_WORDS)
        if services.settings.auth == "spaces" and os.environ.get("OAUTH_CLIENT_ID"):
            gr.LoginButton(size="sm", elem_id="log-in", min_width=200)
        disclaimer()
        disk_note = plain_html("", elem_id="disk-note")
        app.load(greeting.disk_note, outputs=disk_note, **IN_WORDS)
        add_api(services)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Generate", id="generate") as generate_tab:
                reuse, queue_timer = generate.build(services, app, generate_tab)
            with gr.Tab("Curate", id="curate") as curate_tab:
                wire_reuse(reuse, curate.build(services, app, curate_tab), tabs)
            with gr.Tab("Dataset", id="dataset") as dataset_tab:
                dataset.build(services, app, dataset_tab)
            with gr.Tab("Study", id="study") as study_tab:
                study.build(services, study_tab)
            with gr.Tab("Train", id="train") as train_tab:
                train_timer = train.build(services, app, train_tab)
            with gr.Tab("Evaluate", id="evaluate") as evaluate_tab:
                evaluate_timer = evaluate.build(services, app, evaluate_tab)
            if accounts.has_accounts(services.settings.auth):
                with gr.Tab("Account", id="account") as account_tab:
                    accounts.build(services, app, account_tab)
            with gr.Tab("About and limits", id="about"):
                about.build()
        _tick_where_seen(tabs, {generate_tab: queue_timer, train_tab: train_timer, evaluate_tab: evaluate_timer})
    _hide_without_cost(app)
    return app


def _hide_without_cost(app: gr.Blocks) -> None:
    """Where progress is hidden Gradio's status is shown on nothing.

    With every message of every handler its page tells each part that ever had a status of it, hidden or not, and looks
    each up in its whole tree: a third of the work of a first page, and a quarter of it while images are drawn.
    """
    for handler in app.fns.values():
        if handler.show_progress == "hidden":
            handler.show_progress_on = []


def _tick_where_seen(tabs: gr.Tabs, timers: dict[gr.Tab, gr.Timer]) -> None:
    """What nobody looks at is not asked for: a timer runs while its tab is in front."""
    for shown in (child for child in tabs.children if isinstance(child, gr.Tab)):
        in_front = [tab is shown for tab in timers]
        shown.select(partial(_set_timers, in_front), None, list(timers.values()), **QUICK)


def _set_timers(in_front: Sequence[bool]) -> list[gr.Timer]:
    return [gr.Timer(active=active) for active in in_front]


def disk_note_html(use: "DiskUse | None") -> str:
    """What is said above the tabs when the disk budget is nearly used up, else nothing."""
    warning = use and use.warning
    return f'<p class="df-notice" role="alert"><span>{html.escape(warning)}</span></p>' if warning else ""


class Greeting:
    """The top of the page as a visitor sees it: who is logged in, and what is said about the disk."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def header(self, request: gr.Request) -> str:
        """The header with the visitor's own corner."""
        return self.html(visitor_of(self._services, request).require(Role.VIEWER, "see the page"))

    @in_words
    def disk_note(self, request: gr.Request) -> str:
        """What is said about the disk, to whom it concerns."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "see the page")
        return disk_note_html(self._services.disk_use()) if visitor.role.includes(Role.REVIEWER) else ""

    def html(self, visitor: Visitor | None) -> str:
        """The header; without a visitor the corner stays empty."""
        model = html.escape(self._services.settings.model)
        corner = _corner(visitor, can_log_out=self._services.settings.auth == "local") if visitor else ""
        return read_web("header.html").replace("{{model}}", model).replace("{{account}}", corner)


def _corner(visitor: Visitor, *, can_log_out: bool) -> str:
    who = f"<b>{html.escape(visitor.name)}</b><span>{visitor.role}</span>"
    leave = '<button type="submit">Log out</button>' if can_log_out else ""
    return f'<form class="df-account" method="post" action="logout" aria-label="Your account">{who}{leave}</form>'
