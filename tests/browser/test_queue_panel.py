"""The queue as a visitor uses it: a job is found again after a refresh, paused, resumed, cancelled and tried again."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
CARD = "#board .df-card"
ROW = "#queue [aria-label^='Your jobs'] .df-queue-row"


def set_number(page, elem_id, value):
    field = page.locator(f"#{elem_id} input[type=number]")
    field.fill(str(value))
    field.press("Tab")


def generate(page, num_images):
    set_number(page, "num-images", num_images)
    page.locator("#generate").click()


def expect_strip(page, words):
    expect(page.locator("#board .df-strip-title")).to_have_text(re.compile(words))


def press(page, name):
    page.locator(ROW).first.get_by_role("button", name=re.compile(f"^{name}")).click()


def test_a_job_is_found_again_paused_resumed_cancelled_and_tried_again(page):
    expect(page.locator("#queue .df-queue-summary")).to_contain_text("nothing of yours waits")
    page.locator("#queue summary").click()
    page.get_by_role("button", name="Model and sampling").click()
    set_number(page, "steps", 60)  # long enough to be cancelled on a fast machine too
    generate(page, 12)
    row = page.locator(ROW).first
    expect(row).to_contain_text("12 × melanoma · asymmetry 1.5")
    expect(page.locator(f"{CARD}[data-state=done]").first).to_be_visible()

    page.reload()
    expect(row).to_be_visible()  # the panel is open as before
    expect(page.locator(CARD)).to_have_count(12)
    expect(row).to_have_attribute("data-state", "running")

    press(page, "Pause")
    expect_strip(page, "Paused")
    expect(row).to_have_attribute("data-state", "paused")
    kept = page.locator(f"{CARD}[data-state=done]").count()
    assert 1 <= kept < 12
    expect(row).to_contain_text(f"Paused · {kept} of 12 done")

    press(page, "Resume")
    expect_strip(page, "Sampling")
    expect(page.locator(f"{CARD}[data-state=done]").nth(kept)).to_be_visible()
    press(page, "Cancel")
    expect_strip(page, "Stopped")
    expect(row).to_have_attribute("data-state", "cancelled")
    cancelled_with = page.locator(f"{CARD}[data-state=done]").count()
    assert kept < cancelled_with < 12

    known = page.locator(ROW).count()  # without a log-in everybody's jobs are one list
    generate(page, 1)
    expect(page.locator(ROW)).to_have_count(known + 1)
    expect_strip(page, "Done")
    page.locator(ROW).nth(1).get_by_role("button", name=re.compile("^Try again")).click()
    expect(page.locator(CARD)).to_have_count(12)
    expect(page.locator(f"{CARD}[data-state=done]").nth(cancelled_with - 1)).to_be_visible()
    expect(page.locator(ROW).nth(1)).to_contain_text(re.compile(r"Done · 12 images|about \d+"))
    page.locator(ROW).nth(1).get_by_role("button", name=re.compile("^Cancel")).click()

    page.locator(ROW).first.get_by_role("button", name=re.compile("^Show")).click()
    expect(page.locator(CARD)).to_have_count(1)
    page.get_by_role("button", name="Clear finished").click()
    expect(page.locator(ROW)).to_have_count(0)


def test_the_whole_queue_is_paused_and_resumed(page):
    page.locator("#queue summary").click()
    page.get_by_role("button", name="Pause the whole queue").click()
    expect(page.locator("#queue .df-queue-note")).to_contain_text("paused by an administrator")
    generate(page, 1)
    expect(page.locator(ROW).first).to_contain_text("the queue is paused")
    page.get_by_role("button", name="Resume the whole queue").click()
    expect_strip(page, "Done")
    expect(page.locator("#queue .df-queue-note")).to_have_count(0)
