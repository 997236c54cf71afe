"""A blinded reader study as curator and readers live it in a real browser, and all that reaches the browser."""

import base64
import io
import json
import re
import zipfile

import pytest
from PIL import Image
from playwright.sync_api import expect

from dermaflux.curation.study_order import order_for
from dermaflux.curation.study_records import ItemKind
from dermaflux.services import Services
from dermaflux.settings import Settings

pytestmark = pytest.mark.browser
PATIENCE_MS = 120_000
TOLD = {"turn", "study", "position", "total", "size_px", "time_limit_s", "lesions", "pictures", "disclaimer"}
# Keeps every piece of every answer of the server, streams too, as the page itself gets them.
KEEP_BODIES = """() => {
  window.bodies = [];
  const ask = window.fetch;
  window.fetch = async (...args) => {
    const response = await ask(...args);
    const body = { text: '' };
    window.bodies.push(body);
    const reader = response.clone().body?.getReader();
    const decoder = new TextDecoder();
    const more = ({ done, value }) => {
      if (done) return null;
      body.text += decoder.decode(value, { stream: true });
      return reader.read().then(more);
    };
    if (reader) reader.read().then(more).catch(() => null);
    return response;
  };
}"""
PHASES = "(wanted) => wanted.includes(document.querySelector('.df-room').dataset.phase)"


@pytest.fixture
def services(tmp_path, fill_for_study):
    with Services(Settings(data_dir=tmp_path / "data")) as services:
        fill_for_study(services)
        yield services


@pytest.fixture
def as_user(browser, run_program, services):
    """Open the Study tab as a user of `serve_with_users`; every page is checked for errors at the end."""
    opened, problems = [], []
    with run_program("tests/browser/serve_with_users.py", services.settings.data_dir) as url:

        def open_tab(name):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            context.set_default_timeout(PATIENCE_MS)
            assert context.request.post(f"{url}/login", form={"username": name, "password": "reading"}).ok
            page = context.new_page()
            page.add_init_script(f"({KEEP_BODIES})()")
            page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
            page.on("dialog", lambda dialog: dialog.accept())
            page.goto(url, timeout=PATIENCE_MS)
            page.get_by_role("tab", name="Study").click()
            opened.append(context)
            return page

        yield open_tab
        for context in opened:
            context.close()
    assert problems == []


def open_form(page):
    """Open the form and wait until it knows what there is to choose from."""
    page.get_by_role("button", name="New study").click()
    expect(page.locator("#study-dataset input")).to_have_value("realism")
    expect(page.locator("#study-real input")).to_have_value("clinic")


def make_study(page, name="round one", num=3, question=None):
    open_form(page)
    page.locator("#study-name").get_by_role("textbox").fill(name)
    for field, value in (("num", num), ("repeats", 34), ("checks", 50), ("size", 200)):
        page.locator(f"#study-{field} input").fill(str(value))
        page.keyboard.press("Tab")
    if question:
        page.locator("#study-question input").click()
        page.get_by_role("option", name=question).click()
    page.locator("#study-create").click()
    expect(page.locator(".df-study h3")).to_have_text(name)


def in_phase(page, *phases):
    page.wait_for_function(PHASES, arg=list(phases))


def answer(page, source, confidence, *more):
    """Answer the picture that is shown, and wait for the next."""
    in_phase(page, "shown")
    page.wait_for_timeout(60)  # two frames: a picture is answered only once it is painted
    for key in (source[0], str(confidence), *more):
        page.keyboard.press(key)
    before = page.locator(".df-room-bar i").get_attribute("style")
    page.keyboard.press("Enter")
    expect(page.locator(".df-room-bar i")).not_to_have_attribute("style", before)
    in_phase(page, "shown", "done")


def shown_order(services, name, reader):
    study, items = services._store().study(name), services._store().study_items(name)
    key = {item.item_id: item for item in items}
    return [key[item_id] for item_id in order_for(items, study.seed, reader)], key


def truth(item, key):
    shown = key[item.repeats] if item.repeats else item
    return shown.wanted or (str(shown.kind), 5)


def test_two_readers_in_two_browsers_from_the_form_to_the_answers(as_user, services):
    olga, ann, bob = as_user("olga"), as_user("ann"), as_user("bob")
    make_study(olga)
    total = services._store().study("round one").plan.num_shown
    (ann_sees, key), (bob_sees, _) = (shown_order(services, "round one", name) for name in ("ann", "bob"))
    assert [i.item_id for i in ann_sees] != [i.item_id for i in bob_sees]
    for page in (ann, bob):
        expect(page.locator("#study-new")).to_have_count(0)
        page.get_by_role("tab", name="Dataset").click()
        page.get_by_role("tab", name="Study").click()
        expect(page.get_by_role("button", name="Results")).to_have_count(0)
        page.get_by_role("button", name="Read").click()
        page.locator(".df-room-begin").click()
    for item in ann_sees[:3]:
        answer(ann, *truth(item, key))
    for _ in bob_sees:
        answer(bob, "synthetic", 2)
    expect(bob.locator(".df-room-note")).to_contain_text("That was the last one")

    in_phase(ann, "shown")
    picture = ann.locator(".df-room-picture")
    assert picture.bounding_box()["width"] == picture.bounding_box()["height"] == 200
    ann.keyboard.press("Escape")
    in_phase(ann, "paused")
    expect(picture).to_be_hidden()
    ann.keyboard.press("p")
    in_phase(ann, "shown")
    ann.keyboard.press("Control+=")
    assert ann.evaluate("window.devicePixelRatio") == 1
    ann.keyboard.press("Enter")
    expect(ann.locator(".df-room-problem")).to_contain_text("Press R for real")
    ann.get_by_role("button", name="Stop for now").click()
    ann.reload()
    ann.get_by_role("tab", name="Study").click()
    ann.get_by_role("button", name="Go on reading").click()
    expect(ann.locator(".df-room-progress")).to_have_text(f"4 of {total}")
    ann.keyboard.press("Enter")
    for item in ann_sees[3:]:
        answer(ann, *truth(item, key))
    ann.get_by_role("button", name="Close").click()

    stored = [a for a in services._store().study_answers("round one") if a.reader == "ann"]
    assert [a.item_id for a in stored] == [i.item_id for i in ann_sees]
    assert all((a.answer.source, a.answer.confidence) == truth(key[a.item_id], key) for a in stored)
    assert all(50 <= a.answer.browser_ms <= a.server_ms for a in stored)
    ann.get_by_role("button", name="Results").click()
    expect(ann.locator("#study-results")).to_contain_text("1 who failed the attention checks")
    expect(ann.locator("#study-results")).not_to_contain_text("bob")

    olga.get_by_role("tab", name="Dataset").click()
    olga.get_by_role("tab", name="Study").click()
    expect(olga.locator(".df-study-progress")).to_contain_text("ann finished")
    olga.get_by_role("button", name="Results").click()
    expect(olga.locator("#study-results")).to_contain_text("ann and bob")
    expect(olga.locator("#study-results svg").first).to_have_attribute("aria-label", re.compile("ann 100 %; bob 50 %"))
    olga.get_by_role("button", name="Export answers").click()
    link = olga.locator("#study-download a")
    content = base64.b64decode(link.get_attribute("href").partition(",")[2])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("answers.csv").count(b"\n") == 2 * total + 1


def test_nothing_that_reaches_the_browser_tells_what_a_picture_is(as_user, services):
    make_study(as_user("olga"), question="One of seven diagnoses")
    ann = as_user("ann")
    ann.get_by_role("button", name="Read").click()
    ann.locator(".df-room-begin").click()
    order, key = shown_order(services, "round one", "ann")
    markup = []
    for _ in order:
        in_phase(ann, "shown")
        markup.append(ann.locator(".df-room").evaluate("(room) => room.outerHTML"))
        answer(ann, "real", 3, "n")
    bodies = ann.evaluate("window.bodies.map((body) => body.text)")
    sessions = [found for body in bodies for found in sessions_in(body)]
    assert {session["position"] for session in sessions} == set(range(len(order) + 1))

    told = "\n".join([*bodies, *markup])
    for item in key.values():
        for secret in (item.item_id, item.origin, item.sha256, item.origin_sha256):
            assert not secret or secret not in told
    pictures = {}
    for session in sessions:
        assert set(session) == TOLD
        pictures |= session.pop("pictures")
        rest = json.dumps(session | {"lesions": [], "disclaimer": ""})
        assert not re.search("real|synth|check|repeat|kind|truth|wanted|mel", rest)
    assert len(pictures) == len(order)
    assert len({len(uri) for uri in pictures.values()}) == 1
    kinds = {}
    for place, uri in pictures.items():
        with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as picture:
            kinds.setdefault(order[int(place)].kind, set()).add((picture.format, picture.size, str(picture.info)))
    assert set(kinds) == set(ItemKind)
    assert len(set.union(*kinds.values())) == 1
    without_pixels = {re.sub(r'data:[^"]*|style="[^"]*"|\d+ of \d+', "", text) for text in markup}
    assert len(without_pixels) == 1


def sessions_in(body):
    """Every session that a body of JSON, or of events with JSON, holds."""
    for line in body.splitlines():
        try:
            yield from _sessions(json.loads(line.removeprefix("data:")))
        except ValueError:
            continue


def _sessions(value):
    if isinstance(value, dict):
        if isinstance(value.get("session"), dict) and value["session"]:
            yield value["session"]
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from _sessions(part)


def test_a_viewer_has_no_form_and_a_refused_study_is_said_in_words(as_user, services):
    vic, olga = as_user("vic"), as_user("olga")
    expect(vic.locator(".df-studies-empty")).to_be_visible()
    expect(vic.locator("#study-new")).to_have_count(0)
    open_form(olga)
    olga.locator("#study-num input").fill("50")
    olga.locator("#study-name").get_by_role("textbox").fill("too large")
    olga.locator("#study-create").click()
    expect(olga.locator(".toast-wrap")).to_contain_text("6 real lesions and 6 accepted synthetic images")
    olga.get_by_role("button", name="Take in real pictures").click()
    olga.locator("#study-folder").get_by_role("textbox").fill("/nowhere/at/all")
    olga.locator("#study-set-name").get_by_role("textbox").fill("mine")
    olga.locator("#study-take-in").click()
    expect(olga.locator(".toast-wrap")).to_contain_text("The folder is neither a folder nor a zip")
    expect(olga.locator(".toast-wrap")).not_to_contain_text("nowhere")
