"""The door over HTTP, with a plain page behind it in Gradio's place and real accounts on a real database."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dermaflux.services import Services
from dermaflux.settings import Settings
from pages.access import Access
from pages.admission import LOOPBACK_HEADER, SESSION_COOKIE, admitted_name

PASSWORD = "correct horse battery"
PAGE = {"accept": "text/html"}


async def tell_name(request):
    return JSONResponse({"name": admitted_name(request)})


@pytest.fixture
def behind_the_door(tmp_path):
    """Start a page behind the door: `open_door(auth="local")` gives a client, the services and the Access."""
    opened = []

    def open_door(peer="127.0.0.1", **settings):
        services = Services(Settings(data_dir=tmp_path / "data", **settings))
        opened.append(services)
        if not services.accounts():
            for name, role in (("root", "admin"), ("cura", "curator"), ("look", "viewer")):
                services.add_account(name, role, PASSWORD)
        access = Access(services)
        extra = access.launch_options()["app_kwargs"]
        page = Route("/{path:path}", tell_name, methods=["GET", "POST"])
        session = Middleware(SessionMiddleware, secret_key="for tests only")
        app = Starlette(routes=[*extra["routes"], page], middleware=[session, *extra["middleware"]])
        return TestClient(app, follow_redirects=False, client=(peer, 1234)), services, access

    yield open_door
    for services in opened:
        services.close()


def log_in(client, name, password=PASSWORD, **headers):
    return client.post("/login", data={"username": name, "password": password}, headers=headers)


def test_without_a_log_in_nothing_but_the_log_in_answers(behind_the_door):
    client, *_ = behind_the_door(auth="local")
    for path in ("/config", "/gradio_api/info", "/gradio_api/mcp/", "/gradio_api/file=/etc/passwd", "/assets/x.js"):
        answer = client.get(path)
        assert answer.status_code == 401 and "Not logged in" in answer.json()["error"]
    page = client.get("/?image=7", headers=PAGE)
    assert (page.status_code, page.headers["location"]) == (303, "login?image=7")
    shown = client.get("/login", headers=PAGE)
    assert "Not a medical device" in shown.text
    assert "{{" not in shown.text and "http" not in shown.text  # nothing is left to fill in, nothing comes from outside


def test_people_log_in_stay_and_log_out(behind_the_door):
    client, _, _ = behind_the_door(auth="local")
    entered = log_in(client, "CURA", **PAGE)
    assert (entered.status_code, entered.headers["location"]) == (303, "./")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    assert client.get("/").json() == {"name": "cura"}
    assert client.post("/logout").status_code == 303
    assert client.get("/config").status_code == 401


def test_a_session_is_secure_behind_https_and_outlives_the_app(behind_the_door):
    client, *_ = behind_the_door(auth="local")
    entered = log_in(client, "cura", **{"x-forwarded-proto": "https"})
    assert "secure" in entered.headers["set-cookie"].lower() and entered.json() == {"success": True}
    again, *_ = behind_the_door(auth="local")  # the app was started anew
    cookie = {"cookie": f"{SESSION_COOKIE}={entered.cookies[SESSION_COOKIE]}"}
    assert again.get("/", headers=cookie).json() == {"name": "cura"}


def test_wrong_passwords_are_refused_alike_and_then_made_to_wait(behind_the_door):
    client, *_ = behind_the_door(auth="local")
    said = {log_in(client, name, "wrong").text for name in ("cura", "nobody")}
    assert len(said) == 1
    assert log_in(client, "<script>", "wrong", **PAGE).status_code == 401
    for _ in range(12):  # a slow machine takes longer for an attempt than the first pauses last
        if (waiting := log_in(client, "nobody", "wrong", **PAGE)).status_code == 429:
            break
    assert waiting.status_code == 429 and int(waiting.headers["retry-after"]) >= 0
    assert "Too many wrong passwords" in waiting.text
    assert client.post("/login", content=b"x" * 20_000).status_code == 413


def test_a_key_in_the_header_stands_for_its_user_until_shut_out(behind_the_door):
    client, services, _ = behind_the_door(auth="local")
    header = {"Authorization": f"Bearer {services.issue_key('cura', 'a script', 1)[0]}"}
    assert client.get("/gradio_api/mcp/", headers=header).json() == {"name": "cura"}
    services.set_disabled("cura", True)
    assert client.get("/gradio_api/mcp/", headers=header).status_code == 401


def test_only_the_app_itself_is_let_in_as_nobody(behind_the_door):
    client, _, access = behind_the_door(auth="local")
    assert client.get("/config", headers={LOOPBACK_HEADER: "guessed"}).status_code == 401
    assert client.get("/config", headers={LOOPBACK_HEADER: ""}).status_code == 401
    assert client.get("/config", headers={LOOPBACK_HEADER: access._secret}).json() == {"name": ""}


def test_an_export_is_for_curators_however_its_path_is_written(behind_the_door, tmp_path):
    client, services, _ = behind_the_door(auth="local")
    exports = tmp_path / "data" / "exports"
    exports.mkdir(parents=True)
    paths = (exports / "a.zip", f"{exports}/../exports/a.zip", f"{exports}/%2e%2e/exports/a.zip")
    for name, codes in (("look", {403}), ("cura", {200})):
        header = {"Authorization": f"Bearer {services.issue_key(name, '', 1)[0]}"}
        routes = [f"/gradio_api/file{mark}{path}" for mark in "=/" for path in paths]
        assert {client.get(route, headers=header).status_code for route in routes} == codes
        elsewhere = client.get(f"/gradio_api/file={tmp_path}/elsewhere", headers=header)
        assert elsewhere.status_code == 200  # Gradio's to judge


def test_a_proxys_header_counts_from_the_proxy_only(behind_the_door):
    settings = {"auth": "proxy", "proxy_addresses": "10.1.0.0/24", "proxy_header": "X-Remote-User"}
    client, services, _ = behind_the_door(peer="10.1.0.7", **settings)
    assert client.get("/", headers={"X-Remote-User": "ann"}).json() == {"name": "ann"}
    assert client.get("/", headers=PAGE).status_code == 401
    assert client.get("/", headers={"X-Forwarded-User": "ann"}).status_code == 401
    stranger, *_ = behind_the_door(peer="10.2.0.7", **settings)
    forged = {"X-Remote-User": "root", "X-Forwarded-For": "10.1.0.7"}
    assert stranger.get("/", headers=forged).status_code == 401
    key = {"Authorization": f"Bearer {services.issue_key('cura', '', 1)[0]}"}
    assert stranger.get("/", headers=key).json() == {"name": "cura"}


def test_on_spaces_a_session_names_who_logged_in_until_it_runs_out(behind_the_door, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/derma")
    monkeypatch.setenv("SYSTEM", "spaces")
    client, *_ = behind_the_door(auth="spaces")
    assert client.get("/").json() == {"name": ""}
    assert client.get("/", headers={"X-Forwarded-User": "owner"}).json() == {"name": ""}
    for expires_at, name in ((4_000_000_000, "ann"), (1, "")):
        login = {"oauth_info": {"expires_at": expires_at, "userinfo": {"preferred_username": "ann"}}}
        assert client.get("/", headers={"cookie": f"session={signed(login)}"}).json() == {"name": name}
    assert client.get("/", headers={"cookie": f"session={signed(login)}x"}).json() == {"name": ""}


def signed(values):
    """A cookie as SessionMiddleware signs one."""
    import base64
    import json

    import itsdangerous

    signer = itsdangerous.TimestampSigner("for tests only")
    return signer.sign(base64.b64encode(json.dumps(values).encode())).decode()
