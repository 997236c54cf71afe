"""Boards of the Curate tab as a curator and two reviewers use them: datasets, virtual boards, reviews by several."""

import random

import pytest
from PIL import Image
from playwright.sync_api import expect

from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import Diagnosis, LesionSpec, typical_colours
from dermaflux.domain.records import (
    Assessment,
    GeneratedImage,
    Measurement,
    ModelIdentity,
    Prediction,
    SamplingRequest,
)
from dermaflux.services import Services
from dermaflux.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]
PATIENCE_MS = 120_000
CARD = "#curate-grid .cu-card"
DIAGNOSES = (Diagnosis.MEL, Diagnosis.NV, Diagnosis.BCC)
NUM_IMAGES = 24  # eight of each diagnosis
# What two reviewers say of twelve images: they differ on the last two.
ANN = ("accept",) * 6 + ("reject",) * 4 + ("accept", "reject")
BOB = ("accept",) * 6 + ("reject",) * 4 + ("reject", "accept")


def made(seed):
    """An image and what was found: the classifier is on the wrong side of one melanoma in two, and of no other."""
    diagnosis = DIAGNOSES[seed % 3]
    spec = LesionSpec(asymmetry=1, border=4, colours=typical_colours(2, diagnosis), diagnosis=diagnosis)
    generated = GeneratedImage(
        image=Image.frombytes("RGB", (24, 24), random.Random(seed).randbytes(1728)).resize((64, 64)),
        image_index=0, seed=seed, seconds=0.1,
        request=SamplingRequest(caption=compose(spec), spec=spec, seed=seed, num_steps=4, size_px=64),
        identity=ModelIdentity(model="nano", model_sha256="a" * 64),
    )  # fmt: skip
    right = not (diagnosis is Diagnosis.MEL and seed % 2)
    measured = Measurement(asymmetry=1.2, border=3.0, colours=(), num_colours=0, mask_area=0.3)
    malignant = 0.9 if spec.malignant is right else 0.1
    return generated, Assessment(measurement=measured, prediction=Prediction(malignant=malignant, threshold=0.5))


def fill(services):
    """The images, and three datasets: `two` reviewed by both, `dark` the same but blinded, `by verdict` untouched."""
    ids = [services._store().add_image(*made(seed)).image_id for seed in range(NUM_IMAGES)]
    for name, blinded in (("two", False), ("dark", True), ("by verdict", False)):
        services.create_dataset(name, "olga")
        services.set_review_plan(name, reviewers_per_image=2, blinded=blinded)
    for reviewer, verdicts in (("ann", ANN), ("bob", BOB)):
        for image_id, verdict in zip(ids, verdicts, strict=False):
            services.decide("two", image_id, reviewer, verdict)
            services.decide("dark", image_id, reviewer, verdict)


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    with Services(Settings(data_dir=tmp_path_factory.mktemp("boards") / "data")) as services:
        fill(services)
        yield services


@pytest.fixture(scope="module")
def url(services, run_program):
    with run_program("tests/browser/serve_with_users.py", services.settings.data_dir) as url:
        yield url


@pytest.fixture
def visit(browser, url):
    """Open the Curate tab as a user of `serve_with_users`, on a dataset."""
    opened, problems = [], []

    def visit(name, dataset, view=None):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(PATIENCE_MS)
        opened.append(context)
        assert context.request.post(f"{url}/login", form={"username": name, "password": "reading"}).ok
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
        page.goto(url)
        page.get_by_role("tab", name="Curate").click()
        field = page.locator("#curate-dataset input")
        field.fill(dataset)
        field.press("Enter")
        in_dataset(page, dataset)
        if view:
            page.locator("#curate-views").get_by_role("tab", name=view).click()
        return page

    yield visit
    for context in opened:
        context.close()
    assert problems == []


def in_dataset(page, name):
    page.wait_for_function("name => document.querySelector('#curate-grid .cu')?.dataset.dataset === name", arg=name)


def board(page, name):
    return page.locator(".cu-board").filter(has=page.get_by_text(name, exact=True))


def hits(page):
    return page.locator("#curate-grid .cu-hits")


def offered(page):
    """The datasets in the picker's list."""
    field = page.locator("#curate-dataset input")
    field.click()
    options = page.locator("#curate-dataset").get_by_role("option")
    expect(options.first).to_be_visible()
    names = [name.strip().removeprefix("✓").strip() for name in options.all_inner_texts()]
    field.press("Escape")
    return names


def test_a_virtual_board_sets_the_filter_counts_as_verdicts_come_and_is_left_by_a_click(visit):
    page = visit("ann", "by verdict")
    expect(board(page, "Melanoma").locator("b")).to_have_text("8")
    expect(board(page, "Classifier disagrees").locator("b")).to_have_text("4")
    expect(board(page, "All images")).to_have_attribute("aria-pressed", "true")
    board(page, "Melanoma").click()
    expect(hits(page)).to_have_text("1–8 of 8")
    expect(page.locator(".cu-side").get_by_label("Melanoma")).to_be_checked()  # one and the same filter
    expect(board(page, "Melanoma")).to_have_attribute("aria-pressed", "true")
    page.locator(".cu-side select[name=agrees]").select_option("false")
    expect(hits(page)).to_have_text("1–4 of 4")
    expect(page.locator(".cu-chip.is-board")).to_contain_text("Board: Melanoma")  # narrowed, and still open
    board(page, "To review").click()
    expect(hits(page)).to_have_text("1–24 of 24")
    page.locator(CARD).first.click()
    page.keyboard.press("a")
    page.keyboard.press("r")
    expect(board(page, "To review").locator("b")).to_have_text("22")
    expect(board(page, "Accepted").locator("b")).to_have_text("1")
    board(page, "Rejected").click()
    expect(hits(page)).to_have_text("1–1 of 1")
    page.locator(".cu-chip.is-board").click()
    expect(hits(page)).to_have_text("1–24 of 24")
    expect(page.locator(".cu-board[aria-pressed=true]")).to_have_text("All images24")
    page.keyboard.press("Control+z")
    expect(board(page, "Rejected").locator("b")).to_have_text("0")


def test_where_reviewers_disagree_is_a_board_and_a_filter_that_can_be_saved(visit, services):
    page = visit("vic", "two")
    board(page, "Reviewers disagree").click()
    expect(hits(page)).to_have_text("1–2 of 2")
    board(page, "Reviewers disagree").click()  # the open one is left by itself
    expect(hits(page)).to_have_text("1–24 of 24")
    page.locator(".cu-side select[name=reviewers_agree]").select_option("true")
    expect(hits(page)).to_have_text("1–10 of 10")
    page.locator(".cu-side select[name=reviewers_agree]").select_option("false")
    expect(page.locator(".cu-chip.is-board")).to_contain_text("Board: Reviewers disagree")
    page.get_by_label("Name of the filter to save").fill("to discuss")
    page.locator(".cu-side").get_by_role("button", name="Save").click()
    saved = page.locator(".cu-side").get_by_label("Use a saved filter")
    expect(saved.locator("option", has_text="to discuss")).to_have_count(1)
    assert services.saved_filters("vic")[0].words == {"reviewers_agree": False}


def test_a_blinded_reviewer_is_not_told_where_reviewers_disagree(visit):
    page = visit("bob", "dark")
    expect(board(page, "Accepted")).to_be_visible()
    expect(board(page, "Reviewers disagree")).to_have_count(0)
    expect(page.locator(".cu-side select[name=reviewers_agree]")).to_be_hidden()
    # By hand all the same, as a saved filter from another dataset would.
    page.locator(".cu-side select[name=reviewers_agree]").evaluate(
        "node => { node.value = 'false'; node.dispatchEvent(new Event('change', { bubbles: true })); }"
    )
    expect(page.locator("#curate-grid .cu-empty")).to_contain_text("only curators see where reviewers agree")
    expect(page.locator(CARD)).to_have_count(0)
    page = visit("olga", "dark")
    expect(board(page, "Reviewers disagree").locator("b")).to_have_text("2")


def test_a_dataset_is_made_shared_opened_archived_and_brought_back(visit, services):
    olga = visit("olga", "two", "Boards")
    row = olga.locator("#boards tr").filter(has=olga.get_by_role("button", name="warts", exact=True))
    olga.locator("#new-board-name").get_by_role("textbox").fill("warts")
    olga.locator("#new-board-about").get_by_role("textbox").fill("On <b>hands</b>")
    olga.locator("#new-board-private").get_by_role("checkbox").check()
    olga.locator("#board-create").click()
    expect(row).to_contain_text("private")
    expect(row).to_contain_text("On <b>hands</b>")
    expect(olga.locator("#curate-dataset input")).to_have_value("warts")

    bob = visit("bob", "two", "Boards")
    expect(bob.locator("#boards")).to_contain_text("by verdict")
    expect(bob.locator("#boards")).not_to_contain_text("warts")
    expect(bob.locator("#board-save")).to_be_visible()
    expect(bob.locator("#board-name").get_by_role("textbox")).to_be_disabled()  # somebody else's
    olga.locator("#board-private").get_by_role("checkbox").uncheck()
    olga.locator("#board-save").click()
    expect(row).to_contain_text("shared")

    bob.locator("#curate-views").get_by_role("tab", name="Grid").click()
    bob.locator("#curate-views").get_by_role("tab", name="Boards").click()
    bob.get_by_role("button", name="warts", exact=True).click()
    in_dataset(bob, "warts")
    bob.locator(CARD).first.click()
    bob.keyboard.press("a")
    expect(board(bob, "Accepted").locator("b")).to_have_text("1")

    olga.locator("#board-archive").click()
    expect(row).to_contain_text("archived")
    bob.keyboard.press("r")
    expect(bob.locator(".cu-say")).to_contain_text("archived, so it takes no more verdicts")
    assert services.counts("warts").decided == 1
    later = visit("bob", "two")
    assert "warts" not in offered(later)
    olga.locator("#board-archive").click()
    expect(olga.locator("#board-note")).to_contain_text("It is back")
    assert "warts" in offered(visit("bob", "two"))


def test_two_reviewers_agree_by_known_figures_and_a_dispute_is_settled(visit, services):
    olga = visit("olga", "two", "Reviews")
    figures = olga.locator("#agreement table")
    expect(figures).to_contain_text("12 images judged by two or more of 2 reviewers")
    # Ten of twelve alike; each says accept seven times: kappa (10/12 - 74/144) / (1 - 74/144).
    expect(figures.locator("tr", has_text="Equal verdicts")).to_contain_text("0.83")
    expect(figures.locator("tr", has_text="Cohen's kappa, ann and bob")).to_contain_text("0.66")
    rows = olga.locator("#disputes .cu-row")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("ann: accept")
    expect(rows.first).to_contain_text("bob: reject")
    expect(olga.locator("#plan-note")).to_contain_text("2 disputes wait")
    rows.first.get_by_role("button", name="Settle: accept").click()
    expect(olga.locator("#plan-note")).to_contain_text("Settled")
    assert services.num_disputes("two") == 1
    assert services.counts("two").accept == 7

    ann = visit("ann", "two", "Reviews")
    expect(ann.locator("#agreement table")).to_contain_text("Equal verdicts")  # an open review
    expect(ann.locator("#disputes")).to_contain_text("settled by curators")
    dark = visit("ann", "dark", "Reviews")
    expect(dark.locator("#plan-number input")).to_have_value("2")
    expect(dark.locator("#plan-blinded").get_by_role("checkbox")).to_be_checked()
    expect(dark.locator("#agreement table")).to_have_count(0)
    expect(dark.locator("#plan-note")).not_to_contain_text("dispute")


def test_a_plan_is_set_and_hands_out_what_is_left(visit, services):
    olga = visit("olga", "by verdict", "Reviews")
    expect(olga.locator("#plan-number input")).to_have_value("2")
    olga.locator("#plan-number input").fill("1")
    olga.locator("#plan-number input").press("Tab")
    olga.locator("#plan-save").click()
    expect(olga.locator("#plan-note")).to_contain_text("The plan is set")
    assert services.review_plan("by verdict").reviewers_per_image == 1
    left = NUM_IMAGES - services.counts("by verdict").decided
    bob = visit("bob", "by verdict")
    bob.get_by_role("button", name="My next images").click()
    expect(bob.locator(".cu-chip")).to_contain_text(f"Handed out to you: {left}")
    expect(bob.locator(CARD)).to_have_count(left)
    bob.locator("#curate-views").get_by_role("tab", name="Reviews").click()
    bob.locator("#plan-give-back").click()
    expect(bob.locator("#plan-note")).to_contain_text("Others may have your images now")
