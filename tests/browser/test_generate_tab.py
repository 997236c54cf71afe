"""The main path as a visitor walks it: sliders, caption, previews, verdicts, undo, export; stop, refresh, errors."""

import json
import re
import zipfile

import pytest
from playwright.sync_api import expect

from dermaflux.domain.caption import parse
from dermaflux.generation import ModelCatalogue
from dermaflux.provenance import read_provenance, verify

pytestmark = pytest.mark.browser
PATIENCE_MS = 120_000
CARD = "#board .df-card"
# Keeps every preview a card ever showed, so that frames seen for a moment only are counted too.
WATCH_PREVIEWS = """() => {
  window.seenPreviews = new Set();
  new MutationObserver(() => {
    for (const image of document.querySelectorAll('#board .df-picture'))
      if (image.src.startsWith('data:image/jpeg')) window.seenPreviews.add(image.src);
  }).observe(document.querySelector('#board'), { subtree: true, childList: true, attributes: true });
}"""


def caption(page):
    return page.locator("#caption textarea")


def set_number(page, elem_id, value):
    field = page.locator(f"#{elem_id} input[type=number]")
    field.fill(str(value))
    field.press("Tab")


def expect_state(page, words, timeout=PATIENCE_MS):
    expect(page.locator("#board .df-strip-title")).to_have_text(re.compile(words), timeout=timeout)


def generate(page, num_images, *, steps=None):
    set_number(page, "num-images", num_images)
    if steps is not None:
        if not page.locator("#steps").is_visible():
            page.get_by_role("button", name="Model and sampling").click()
        set_number(page, "steps", steps)
    page.locator("#generate").click()


def counts(page, where="generate-counts"):
    text = page.locator(f"#{where}").inner_text()
    return [int(number) for number in re.findall(r"\d+", text)]


def use_dataset(page, name):
    field = page.locator("#generate-dataset input")
    field.fill(name)
    field.press("Enter")


def test_controls_move_the_caption_the_words_and_the_score(page):
    page.get_by_label("Nevus", exact=True).check()
    set_number(page, "asymmetry", 0)
    set_number(page, "border", 8)
    page.get_by_role("checkbox", name="Red").uncheck()
    expect(caption(page)).to_have_value(
        re.compile("perfectly symmetrical, highly irregular jagged border, three colours")
    )
    said = parse(caption(page).input_value())
    assert (said.diagnosis, said.asymmetry, said.border) == ("nv", 0, 8)
    expect(page.locator("#border-word")).to_contain_text("Highly irregular jagged border")
    expect(page.locator("#score")).to_contain_text("2.30")


def test_an_edited_caption_is_noted_kept_and_can_set_the_controls(page):
    text = caption(page).input_value().replace("notable asymmetry", "perfectly symmetrical")
    caption(page).fill(text)
    expect(page.locator("#caption-note")).to_contain_text(
        "No longer matches the sliders (asymmetry)"
    )
    set_number(page, "border", 0)
    expect(page.locator("#caption-note")).to_contain_text("asymmetry, border")
    assert caption(page).input_value() == text
    page.locator("#to-sliders").click()
    expect(page.locator("#asymmetry input[type=number]")).to_have_value("0")
    expect(page.locator("#caption-note")).to_contain_text("Matches the sliders")
    caption(page).fill("a mole like no other")
    expect(page.locator("#caption-note")).to_contain_text("Free text")
    page.locator("#compose").click()
    expect(page.locator("#caption-note")).to_contain_text("Matches the sliders")


def show_each_side(card):
    """Where the classifier disagrees with the request, the card offers both sides, and each has its own map."""
    sides, disagrees = card.locator(".df-side-button"), "disagrees" in card.inner_text()
    expect(sides).to_have_count(2 if disagrees else 0)
    if not disagrees:
        return
    requested = card.locator(".df-overlay").get_attribute("src")
    card.get_by_role("button", name="Predicted benign").click()
    expect(card.locator(".df-saliency-note")).to_contain_text("What speaks for benign, predicted")
    expect(sides.nth(1)).to_have_attribute("aria-pressed", "true")
    assert card.locator(".df-overlay").get_attribute("src") != requested


def test_from_sliders_to_a_zip_with_provenance(page):
    use_dataset(page, "main path")
    page.evaluate(WATCH_PREVIEWS)
    generate(page, 2)
    expect_state(page, "Done")
    cards = page.locator(CARD)
    expect(cards).to_have_count(2)
    assert page.evaluate("window.seenPreviews.size") > 3
    expect(cards.first).to_contain_text("1.5 →")
    assert cards.first.locator(".df-picture").get_attribute("src").startswith("data:image/png")

    cards.first.get_by_role("button", name="Show saliency").click()
    expect(cards.first.locator(".df-overlay")).to_be_visible()
    expect(cards.first.locator(".df-saliency-note")).to_contain_text("What speaks for malignant, requested")
    expect(cards.first.locator(".df-saliency-note")).to_contain_text("deletion")
    show_each_side(cards.first)
    cards.first.get_by_role("button", name="Accept").click()
    expect(cards.first.locator(".df-verdict")).to_have_text("✓ accepted")
    cards.nth(1).focus()
    page.keyboard.press("r")
    expect(cards.nth(1).locator(".df-verdict")).to_have_text("✕ rejected")
    expect(page.locator("#generate-counts .is-reject")).to_contain_text("1", timeout=PATIENCE_MS)
    page.keyboard.press("Control+z")
    expect(cards.nth(1).locator(".df-verdict")).to_be_hidden()
    cards.nth(1).focus()
    page.keyboard.press("r")
    expect(cards.nth(1).locator(".df-verdict")).to_have_text("✕ rejected")
    expect(page.locator("#generate-counts .is-reject")).to_contain_text("1")
    assert counts(page)[:3] == [1, 1, 0]

    page.get_by_role("tab", name="Dataset").click()
    field = page.locator("#dataset-name input")
    field.fill("main path")
    field.press("Enter")
    expect(page.locator("#dataset-counts .is-accept")).to_contain_text("1")
    page.locator("#export").click()
    with page.expect_download() as downloading:
        page.locator("#export-file a[download]").first.click()
    check_export(downloading.value.path())


def check_export(path):
    with zipfile.ZipFile(path) as archive:
        listing = next(name for name in archive.namelist() if name.endswith("metadata.jsonl"))
        rows = [json.loads(line) for line in archive.read(listing).decode().splitlines()]
        assert len(rows) == 1
        picture = archive.read(
            next(name for name in archive.namelist() if name.endswith(rows[0]["file_name"]))
        )
    record = read_provenance(picture)
    assert verify(picture)
    assert record.spec is not None and record.spec.diagnosis == "mel"


def test_stop_ends_the_job_within_a_step_and_the_next_one_runs(page):
    generate(page, 40, steps=100)
    expect(page.locator(CARD).first).to_have_attribute(
        "data-state", re.compile("sampling|done"), timeout=PATIENCE_MS
    )
    page.locator("#stop").click()
    expect_state(page, "Stopped", timeout=30_000)
    expect(page.locator("#stop")).to_be_disabled()
    generate(page, 1, steps=2)
    expect_state(page, "Done")


def test_the_image_that_is_drawn_is_skipped_by_keyboard_and_the_others_are_made(page):
    generate(page, 3, steps=20)
    first = page.locator(CARD).first
    skip = first.get_by_role("button", name=re.compile("^Skip Image 1"))
    expect(skip).to_be_visible()
    assert page.locator(".df-skip:visible").count() == 1, "only the image that is drawn has one"
    skip.focus()
    page.keyboard.press("Enter")
    expect(first).to_have_attribute("data-state", "skipped")
    expect(first.locator(".df-progress-text")).to_have_text("Skipped")
    assert page.evaluate("document.activeElement.classList.contains('df-card')"), "the focus is not lost"
    expect(page.locator(f"{CARD}[data-state=sampling]")).to_have_count(1)
    expect_state(page, "Done")
    for _ in range(2):
        states = [card.get_attribute("data-state") for card in page.locator(CARD).all()]
        assert states == ["skipped", "done", "done"]
        expect(first).to_contain_text("Skipped")
        expect(page.locator("#board .df-strip-note")).to_have_text("2 of 3 images · 1 skipped")
        expect(page.locator("#queue")).to_contain_text("Done · 2 images · 1 skipped")
        page.reload()
        expect_state(page, "Done")
        expect(page.locator(CARD)).to_have_count(3)
    assert page.locator(".df-skip:visible").count() == 0


def test_a_refreshed_page_finds_its_job_again(page):
    generate(page, 40, steps=100)
    expect(page.locator(f"{CARD}[data-state=done]").first).to_be_visible()
    page.reload()
    expect(page.locator(CARD)).to_have_count(40)
    expect_state(page, "Sampling image")
    page.locator("#stop").click()
    expect_state(page, "Stopped")
    kept = page.locator(f"{CARD}[data-state=done]").count()
    page.reload()
    expect(page.locator(f"{CARD}[data-state=done]")).to_have_count(kept)


def test_of_several_candidates_one_is_kept_and_says_so(page):
    set_number(page, "candidates", 2)
    generate(page, 1, steps=2)
    expect_state(page, "Done")
    expect(page.locator(CARD)).to_have_count(1)
    page.locator(f"{CARD} .df-figure").click()
    expect(page.locator("#board .df-zoom dl")).to_contain_text("2 candidates")


def test_a_strip_shows_its_curves_as_they_come_and_in_words(page):
    page.get_by_role("button", name="Model and sampling").click()
    set_number(page, "steps", 8)
    page.locator("#mode label", has_text="Strip").click()
    page.locator("#draw-strip").click()
    said = page.locator("#strip-said")
    expect(said.locator("svg")).to_have_count(2)
    expect(page.locator("#strip-board .df-strip-title")).to_have_text(re.compile("Done"))
    expect(page.locator("#strip-board .df-card[data-state=done]")).to_have_count(5)
    expect(said).to_contain_text("P(malignant) along asymmetry from 0 to 2")
    expect(said).to_contain_text("Measured asymmetry along asymmetry")
    expect(said).to_contain_text("Not a diagnosis")


def test_an_adapter_made_for_few_steps_brings_its_own_settings_and_takes_them_along(page):
    page.get_by_role("button", name="Model and sampling").click()
    steps, contrast = (page.locator(f"#{name} input[type=number]") for name in ("steps", "contrast"))
    expect(steps).to_have_value("20")
    expect(contrast).to_have_value(f"{ModelCatalogue().model('nano').contrast_scale:g}")
    page.locator("#adapter input").click()
    page.get_by_role("option", name="fast").click()
    expect(steps).to_have_value("4")
    expect(contrast).to_have_value("0")
    page.locator("#adapter").get_by_role("button", name="Remove").first.click()
    expect(steps).to_have_value("20")


def test_a_refused_verdict_is_taken_back_with_its_reason(page):
    generate(page, 1, steps=2)
    expect_state(page, "Done")
    use_dataset(page, "no/such:name")
    card = page.locator(CARD).first
    card.get_by_role("button", name="Accept").click()
    expect(page.locator("#board .df-say")).to_contain_text("'no/such:name' cannot name a dataset")
    expect(card.locator(".df-verdict")).to_be_hidden()


def test_an_empty_caption_and_no_colour_are_said_in_words(page):
    caption(page).fill("")
    expect(page.locator("#caption-note")).to_contain_text("The caption is empty")
    page.locator("#generate").click()
    expect(page.locator(".toast-wrap")).to_contain_text("The caption is empty")
    page.locator("#compose").click()
    for colour in ("Red", "Light brown", "Dark brown", "Blue-grey"):
        page.get_by_role("checkbox", name=colour).uncheck()
    expect(page.locator("#caption-note")).to_contain_text("colours is empty")
    page.locator("#generate").click()
    expect(page.locator(".toast-wrap")).to_contain_text("colours is empty")


def test_a_full_queue_is_said_in_words_and_the_board_goes_on(start_app, open_page, tmp_path):
    with start_app(tmp_path / "data", max_waiting=1) as url:
        page = open_page(url)
        for state in ("Starting|Sampling", "Waiting"):
            generate(page, 64, steps=100)
            expect_state(page, state)
        page.locator("#generate").click()
        expect(page.locator(".toast-wrap")).to_contain_text("The queue is full")
        expect_state(page, "Waiting|Sampling")


def test_two_visitors_have_two_boards(open_page):
    first, second = open_page(), open_page()
    generate(first, 1, steps=2)
    generate(second, 2, steps=2)
    expect_state(first, "Done")
    expect_state(second, "Done")
    expect(first.locator(CARD)).to_have_count(1)
    expect(second.locator(CARD)).to_have_count(2)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_and_says_what_it_is_not(open_page, theme):
    page = open_page(color_scheme=theme)
    expect(page.locator(".df-notice")).to_contain_text("Not a medical device")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("document.body.classList.contains('dark')") is (theme == "dark")
    expect(page.locator("#generate")).to_be_in_viewport()
    page.locator(".df-theme").click()
    expect(page.locator("body")).to_have_class(
        re.compile("dark") if theme == "light" else re.compile("^(?!.*dark)")
    )
    page.get_by_role("tab", name="About and limits").click()
    expect(page.get_by_text("Limits of use")).to_be_visible()
