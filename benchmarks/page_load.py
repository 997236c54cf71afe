"""How long the page takes in a real Chromium, with Gradio's status of hidden progress on nothing and on all. One table.

    python -m benchmarks.page_load [--loads 3]

Seconds until the Generate button can be seen; those the page's main thread worked until four seconds later, and while
eight images were drawn. Medians over fresh visitors of one app, its models warm. "on all" is Gradio's default.
"""

import argparse
import shutil
import statistics
import sys
import time
from typing import Any

from benchmarks.served_app import served

WAYS = {
    "on all": "import pages.shell; pages.shell._hide_without_cost = lambda app: None; import app; app.main()",
    "on nothing": "import app; app.main()",
}
_WARM_UP_S = 25
_AFTER_S = 4.0
_NUM_IMAGES = 8
_WAIT_MS = 300_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=3)
    loads = parser.parse_args().loads
    found = {way: _loads(program, loads) for way, program in WAYS.items()}
    before, now = found.values()
    sys.stdout.write("| seconds | " + " | ".join(found) + " | ratio |\n|---|---|---|---|\n")
    for row, what in enumerate(("until Generate is seen", "at work while it loads", "at work while images are drawn")):
        sys.stdout.write(f"| {what} | {before[row]:.2f} | {now[row]:.2f} | {now[row] / before[row]:.2f} |\n")


def _loads(program: str, loads: int) -> list[float]:
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with served(("-c", program)) as (url, _), sync_playwright() as playwright:
        time.sleep(_WARM_UP_S)
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        figures = list(zip(*(_visit(browser, url) for _ in range(loads)), strict=True))
        browser.close()
    return [statistics.median(each) for each in figures]


def _visit(browser: Any, url: str) -> tuple[float, float, float]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(_WAIT_MS)
    page = context.new_page()
    inside = context.new_cdp_session(page)
    inside.send("Performance.enable")
    began = time.perf_counter()
    page.goto(url)
    page.locator("#generate").wait_for()
    seen = time.perf_counter() - began
    time.sleep(_AFTER_S)
    loaded = _worked(inside)
    page.locator("#num-images input[type=number]").fill(str(_NUM_IMAGES))
    page.locator("#generate").click()
    page.locator("#board .df-strip-title", has_text="Done").wait_for()
    drawn = _worked(inside) - loaded
    context.close()
    return seen, loaded, drawn


def _worked(inside: Any) -> float:
    figures = {each["name"]: each["value"] for each in inside.send("Performance.getMetrics")["metrics"]}
    return figures["TaskDuration"]


if __name__ == "__main__":
    main()
