"""A real Chromium on the real app. Without Chromium these tests skip, but not in CI."""

import os
import shutil

import pytest

pytest.importorskip("playwright")

# The machine is shared with the app under test and with whatever else runs; a wait costs nothing when it is not needed.
PATIENCE_MS = 120_000
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)

    executable = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if executable is None:
        why = "no Chromium is installed on this machine"
        pytest.fail(f"{why}, but CI must run these tests") if os.environ.get("CI") else pytest.skip(
            why
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app_url(start_app, tmp_path_factory, repository):
    """The app as shipped, embedded models and all, with a queue of two, over an empty data directory.

    The directory is named relative to the app's, as the default one is.
    """
    data_dir, models_dir = tmp_path_factory.mktemp("browser") / "data", repository / "assets" / "models"
    with start_app(os.path.relpath(data_dir, repository), max_waiting=2, models_dir=models_dir) as url:
        yield url


@pytest.fixture
def open_page(browser, app_url):
    """Open the app in a fresh visitor's window; every page is checked for errors and outside requests at the end."""
    opened, problems = [], []

    def note_request(request):
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            problems.append(f"outside request: {request.url}")

    def open_page(url=app_url, **options):
        context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("request", note_request)
        page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
        page.goto(url, timeout=PATIENCE_MS)
        page.locator("#generate").wait_for()
        opened.append(context)
        return page

    yield open_page
    for context in opened:
        context.close()
    assert problems == []


@pytest.fixture
def page(open_page):
    return open_page()
