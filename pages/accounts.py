"""The Account tab: one's own password and keys, and for administrators everybody's accounts. Layout and wiring only."""

from typing import TYPE_CHECKING

import gradio as gr

from dermaflux.domain.roles import Role
from pages.account_actions import AccountActions
from pages.components.web import plain_html
from pages.page import IN_WORDS

if TYPE_CHECKING:
    from dermaflux.services import Services

_ROLES = [(f"{role}", str(role)) for role in Role]
_ROLES_NOTE = (
    '<p class="df-note">viewer looks · reviewer also generates and judges · curator also makes datasets, exports and '
    "trains · admin all. A change counts from the next click on.</p>"
)


def has_accounts(auth: str) -> bool:
    """Whether there is anything to show: without log-ins there are no accounts."""
    return auth != "none"


def build(services: "Services", app: gr.Blocks, tab: gr.Tab) -> None:
    """Lay out the tab in the current Blocks context and wire it."""
    actions = AccountActions(services)
    is_local = services.settings.auth == "local"
    with gr.Column(elem_classes="df-accounts"):
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=320):
                who = plain_html("", elem_id="account-who")
                if is_local:
                    _password_form(actions)
            with gr.Column(scale=1, min_width=320, visible=services.settings.auth != "spaces"):
                keys = _key_form(actions)
        with gr.Column(visible=False, elem_id="accounts-admin") as administration:
            accounts = _administration(actions, has_passwords=is_local)
    shown = [who, keys, administration, accounts]
    gr.on([tab.select, app.load], actions.show, None, shown, **IN_WORDS)


def _password_form(actions: AccountActions) -> None:
    gr.Markdown("## Your password")
    present = gr.Textbox(label="Present password", type="password", elem_id="password-present")
    new = gr.Textbox(label="New password", info="At least 10 characters; several words are easy to keep",
                     type="password", elem_id="password-new")  # fmt: skip
    change = gr.Button("Change password", elem_id="password-change", elem_classes="df-minor")
    said = plain_html("", elem_id="password-said")
    change.click(actions.change_password, [present, new], [said, present, new], **IN_WORDS)


def _key_form(actions: AccountActions) -> gr.HTML:
    gr.Markdown("## Keys for programs\n\nA script or an MCP client sends `Authorization: Bearer KEY` and acts in your "
                "name and role.")  # fmt: skip
    with gr.Row(elem_classes="df-account-row"):
        label = gr.Textbox(label="For what", placeholder="My notebook", elem_id="key-label", min_width=140)
        days = gr.Number(90, label="Days", precision=0, minimum=1, maximum=3650, min_width=80, elem_id="key-days")
        issue = gr.Button("New key", elem_id="key-issue", elem_classes="df-minor", min_width=90, scale=0)
    said = plain_html("", elem_id="key-said")
    keys = plain_html("", elem_id="keys")
    with gr.Row(elem_classes="df-account-row"):
        ended = gr.Textbox(label="End the key with the number", elem_id="key-end-id", min_width=140)
        end = gr.Button("End key", elem_id="key-end", elem_classes="df-minor", min_width=90, scale=0)
    issue.click(actions.issue_key, [label, days], [said, keys], **IN_WORDS)
    end.click(actions.end_key, ended, [said, keys], **IN_WORDS)
    return keys


def _administration(actions: AccountActions, *, has_passwords: bool) -> gr.HTML:
    gr.Markdown("## Everybody's accounts")
    plain_html(_ROLES_NOTE)
    table = plain_html("", elem_id="accounts-table")
    said = plain_html("", elem_id="accounts-said")
    with gr.Row(elem_classes="df-account-row"):
        name = gr.Textbox(label="Name", elem_id="account-name", min_width=140)
        role = gr.Dropdown(_ROLES, value="reviewer", label="Role", elem_id="account-role", min_width=120)
        password = gr.Textbox(label="Password to begin with", type="password", elem_id="account-password",
                              visible=has_passwords, min_width=160)  # fmt: skip
    with gr.Row(elem_classes="df-account-row"):
        add = gr.Button("Add user", variant="primary", elem_id="account-add", min_width=100)
        change = gr.Button("Change role", elem_id="account-change", elem_classes="df-minor", min_width=100)
        reset = gr.Button("Set password", elem_id="account-reset", elem_classes="df-minor", min_width=100,
                          visible=has_passwords)  # fmt: skip
        disable = gr.Button("Disable", elem_id="account-disable", elem_classes="df-minor", min_width=80)
        enable = gr.Button("Enable", elem_id="account-enable", elem_classes="df-minor", min_width=80)
    answers = [said, table, password]
    add.click(actions.add, [name, role, password], answers, **IN_WORDS)
    change.click(actions.change_role, [name, role], answers, **IN_WORDS)
    reset.click(actions.reset_password, [name, password], answers, **IN_WORDS)
    disable.click(actions.disable, name, answers, **IN_WORDS)
    enable.click(actions.enable, name, answers, **IN_WORDS)
    return table
