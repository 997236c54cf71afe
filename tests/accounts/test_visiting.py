"""Who a visitor is in each mode, and `users` of the command line on a real database."""

import io
import json
import sys

import pytest

from dermaflux.__main__ import main
from dermaflux.domain.errors import InvalidRequest, NotAllowed
from dermaflux.domain.roles import Role
from dermaflux.services import Services
from dermaflux.settings import Settings

PASSWORD = "correct horse battery"


@pytest.fixture
def services(tmp_path):
    opened = []

    def services(**settings):
        opened.append(Services(Settings(data_dir=tmp_path / "data", **settings)))
        return opened[-1]

    yield services
    for service in opened:
        service.close()


def test_without_accounts_everybody_is_the_local_administrator(services):
    visitor = services().visitor(None)
    assert (visitor.name, visitor.role) == ("local", Role.ADMIN)


def test_with_local_accounts_nobody_and_strangers_are_refused(services):
    local = services(auth="local")
    local.add_account("ann", "curator", PASSWORD)
    assert local.visitor("Ann").role is Role.CURATOR
    for name in (None, "", "eve"):
        with pytest.raises(NotAllowed):
            local.visitor(name)
    local.set_role("ann", "viewer")
    assert local.visitor("ann").role is Role.VIEWER  # at once
    local.set_disabled("ann", True)
    with pytest.raises(NotAllowed, match="disabled"):
        local.visitor("ann")


def test_names_of_a_proxy_have_the_role_of_their_account_else_of_the_settings(services):
    proxy = services(auth="proxy", admins="Root@clinic.org, ops", reviewers="rev", default_role="viewer")
    proxy.add_account("rev", "curator", None)
    roles = {name: proxy.visitor(name).role for name in ("root@clinic.org", "OPS", "rev", "guest")}
    assert list(roles.values()) == [Role.ADMIN, Role.ADMIN, Role.CURATOR, Role.VIEWER]
    with pytest.raises(NotAllowed):
        proxy.visitor(None)


def test_on_spaces_nobody_may_look_and_no_more(services, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/derma")
    monkeypatch.setenv("SYSTEM", "spaces")
    space = services(auth="spaces", curators="cur", default_role="reviewer")
    assert (space.visitor("").name, space.visitor("").role) == ("anonymous", Role.VIEWER)
    assert space.visitor("owner").role is Role.ADMIN
    assert [space.visitor(name).role for name in ("cur", "someone")] == [Role.CURATOR, Role.REVIEWER]


@pytest.mark.parametrize("name", ["SPACE_ID", "SYSTEM"])
def test_logins_of_spaces_are_never_believed_elsewhere(monkeypatch, name):
    for each, value in (("SPACE_ID", "owner/derma"), ("SYSTEM", "spaces")):
        monkeypatch.setenv(each, value)
    assert Settings.load().auth == "spaces"  # a Space is never open to everybody by oversight
    monkeypatch.delenv(name)
    assert Settings.load().auth == "none"
    with pytest.raises(InvalidRequest, match="SPACE_ID"):
        Settings.load(auth="spaces")


def test_local_accounts_need_an_administrator_before_the_app_starts(services):
    local = services(auth="local")
    local.add_account("ann", "curator", PASSWORD)
    with pytest.raises(InvalidRequest, match="users add"):
        local.check_ready()
    local.set_role("ann", "admin")
    local.check_ready()


def test_to_forget_a_user_is_to_remove_the_account_too(services):
    local = services(auth="local")
    local.add_account("root", "admin", PASSWORD)
    local.add_account("ann", "reviewer", PASSWORD)
    key = local.log_in("ann", PASSWORD)
    local.forget("ann")
    assert [account.name for account in local.accounts()] == ["root"]
    assert local.name_of_key(key) is None


@pytest.fixture
def users(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DERMAFLUX_DATA_DIR", str(tmp_path / "data"))

    def users(*words, typed=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code = main(["users", *words])
        said = capsys.readouterr()
        return code, said.out.strip(), said.err.strip()

    return users


def test_users_of_the_command_line(users):
    assert users("add", "ann", "--role", "admin", typed=PASSWORD + "\n") == (0, "ann was added as admin.", "")
    assert users("add", "proxy-user", "--no-password")[0] == 0
    assert users("role", "proxy-user", "curator")[1] == "proxy-user is now curator."
    assert users("password", "ann", typed="another long one\n")[0] == 0
    assert users("disable", "proxy-user")[0] == 0
    rows = [json.loads(line) for line in users("list", "--json")[1].splitlines()]
    assert [(r["name"], r["role"], r["disabled"], r["has_password"]) for r in rows] == [
        ("ann", "admin", False, True), ("proxy-user", "curator", True, False),
    ]  # fmt: skip
    assert "hash" not in users("list", "--json")[1]
    assert users("key", "ann")[1].startswith("dfx_")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "ann", "--role", "chief"), "chief"),
        (("add", "ann"), "0 characters"),
        (("role", "nobody", "viewer"), "no user"),
        (("rolle",), "Did you mean role"),
        (("add", "ann", "--password", "secret"), "--password is not known"),
    ],
)
def test_mistakes_are_one_line_and_code_2(users, words, said):
    code, out, err = users(*words)
    assert (code, out) == (2, "") and said in err and len(err.splitlines()) == 1
