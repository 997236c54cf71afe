"""The Curate tab as two reviewers use it: by keyboard, together, blinded, with filters of their own."""

import json
import random
import shutil

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

# The machine is shared with the app under test: two hundred keys take a second on a free one, minutes on a busy one.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]
NUM_IMAGES = 240
NUM_VERDICTS = 200
CARD = "#curate-grid .cu-card"
CYCLE = "aru"
VERDICTS = {"a": "accept", "r": "reject", "u": "unsure"}


def made(seed):
    diagnosis = (Diagnosis.MEL, Diagnosis.NV, Diagnosis.BCC)[seed % 3]
    spec = LesionSpec(asymmetry=1, border=4, colours=typical_colours(2, diagnosis), diagnosis=diagnosis)
    return GeneratedImage(
        image=Image.frombytes("RGB", (24, 24), random.Random(seed).randbytes(1728)).resize((64, 64)),
        image_index=0, seed=seed, seconds=0.1,
        request=SamplingRequest(caption=compose(spec), spec=spec, seed=seed, num_steps=4, size_px=64),
        identity=ModelIdentity(model="nano", model_sha256="a" * 64),
    )  # fmt: skip


def found(seed):
    measured = Measurement(asymmetry=1.2, border=3.0, colours=(), num_colours=0, mask_area=0.3)
    return Assessment(measurement=measured, prediction=Prediction(malignant=(seed % 10) / 10, threshold=0.5))


@pytest.fixture(scope="module")
def services(tmp_path_factory, tiny_models):
    """The store of the app under test, read and filled from outside."""
    folder = tmp_path_factory.mktemp("curate")
    shutil.copytree(tiny_models, folder / "models")
    config = folder / "models" / "classifier" / "config.json"
    figures = {"val": {"ece": 0.04, "num_positive": 20, "num_pictures": 100}}
    known = json.loads(config.read_text()) | {"data_name": "drawn pictures", "metrics": figures}
    config.write_text(json.dumps(known))  # so that there is something to say beside a probability
    settings = Settings(models_dir=folder / "models", data_dir=folder / "data")
    with Services(settings) as services:
        for seed in range(NUM_IMAGES):
            services._store().add_image(made(seed), found(seed))
        for name in ("by keyboard", "together"):  # reviewers make none
            services.create_dataset(name)
        yield services


@pytest.fixture(scope="module")
def url(services, run_program):
    """The app with its users."""
    settings = services.settings
    with run_program("tests/browser/serve_with_users.py", settings.data_dir, models_dir=settings.models_dir) as url:
        yield url


@pytest.fixture
def visit(browser, url):
    """Open the Curate tab as a user, on a dataset."""
    opened, problems = [], []

    def visit(name, dataset):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(120_000)
        opened.append(context)
        assert context.request.post(f"{url}/login", form={"username": name, "password": "reading"}).ok
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
        page.goto(url)
        page.get_by_role("tab", name="Curate").click()
        field = page.locator("#curate-dataset input")
        field.fill(dataset)
        field.press("Enter")
        page.wait_for_function(
            "name => document.querySelector('#curate-grid .cu')?.dataset.dataset === name", arg=dataset
        )
        return page

    yield visit
    for context in opened:
        context.close()
    assert problems == []


def shown_ids(page):
    return page.locator(CARD).evaluate_all("cards => cards.map(card => card.dataset.imageId)")


def settled(page):
    """Wait until every verdict given is acknowledged."""
    expect(page.locator(f"{CARD}[data-saving=yes]")).to_have_count(0)


def test_two_hundred_verdicts_by_keyboard_are_all_stored_in_order(visit, services):
    page = visit("ann", "by keyboard")
    given = []
    for number in (120, NUM_VERDICTS - 120):
        ids = shown_ids(page)
        page.locator(CARD).first.click()
        for index in range(number):
            key = CYCLE[index % 3]
            page.keyboard.press(key)
            given.append((ids[index], VERDICTS[key]))
        settled(page)
        if number == 120:
            page.keyboard.press("n")
            expect(page.locator("#curate-grid .cu-hits")).to_have_text("121–240 of 240")
    stored = [(one.image_id, str(one.verdict)) for one in services.decisions("by keyboard")]
    assert stored == given
    expect(page.locator("#curate-counts .is-accept")).to_contain_text("67")


def test_realism_tags_selection_and_undo_of_a_whole_batch(visit, services):
    page = visit("olga", "batches")
    cards, ids = page.locator(CARD), shown_ids(page)
    cards.nth(2).click()
    page.keyboard.press("4")
    expect(cards.nth(2).locator(".cu-rating.is-held")).to_have_text("4/5")
    assert services.open_dataset("batches", services.visitor("olga")) is None
    page.keyboard.press("a")
    settled(page)
    cards.nth(2).click()
    page.keyboard.press("t")
    page.locator(".cu-tags-input").fill("ink, ruler")
    page.keyboard.press("Enter")
    settled(page)
    own = services.own_verdicts("batches", "olga", ids)
    assert {key: (v.verdict, v.realism, v.tags) for key, v in own.items()} == {ids[2]: ("accept", 4, ("ink", "ruler"))}
    cards.nth(5).click(modifiers=["Control"])
    cards.nth(9).click(modifiers=["Shift"])
    expect(page.locator(".cu-target")).to_have_text("5 selected")
    page.keyboard.press("r")
    settled(page)
    assert services.counts("batches").reject == 5
    page.keyboard.press("Control+z")
    expect(page.locator(".cu-say")).to_have_text("5 verdicts were taken back.")
    assert (services.counts("batches").reject, services.counts("batches").accept) == (0, 1)


def test_the_enlarged_view_says_what_was_found_and_how_far_to_trust_it(visit, services):
    page = visit("ann", "enlarged")
    page.locator(CARD).first.click()
    page.keyboard.press("z")
    found = page.locator(".cu-zoom-found")
    expect(found).to_contain_text("P(malignant)")
    assert "mean error 0.040, 20% malignant there" in services.calibration_note()
    expect(found.locator(".df-calibration")).to_have_text(services.calibration_note())
    page.keyboard.press("Escape")
    expect(found).to_be_hidden()


def test_two_reviewers_at_once_lose_nothing(visit, services):
    ann, bob = visit("ann", "together"), visit("bob", "together")
    ids = shown_ids(ann)
    ann.locator(CARD).first.click()
    ann.keyboard.press("a")
    settled(ann)
    bob.locator(CARD).first.click()
    bob.keyboard.press("r")
    expect(bob.locator(".cu-conflict")).to_contain_text("ann said accept")
    expect(bob.locator(CARD).first).to_have_attribute("data-whose", "others")
    assert services.own_verdicts("together", "bob", ids) == {}
    bob.get_by_role("button", name="Store my reject").click()
    settled(bob)
    expect(bob.locator(CARD).first).to_have_attribute("data-whose", "mine")
    assert services.own_verdicts("together", "bob", ids)[ids[0]].verdict == "reject"
    assert services.own_verdicts("together", "ann", ids)[ids[0]].verdict == "accept"


def test_blinded_reviewers_see_each_other_only_when_all_are_in(visit, services):
    services.create_dataset("blind")
    services.set_review_plan("blind", reviewers_per_image=2, blinded=True)
    ann = visit("ann", "blind")
    ann.locator(CARD).first.click()
    ann.keyboard.press("a")
    settled(ann)
    bob = visit("bob", "blind")
    first = bob.locator(CARD).first
    expect(first).to_have_attribute("data-verdict", "")
    first.click()
    bob.keyboard.press("z")
    expect(bob.locator(".cu-history")).to_have_text("None that you may see yet.")
    bob.keyboard.press("r")
    settled(bob)
    bob.keyboard.press("Escape")
    expect(bob.locator(".cu-conflict")).to_have_count(0)
    bob.locator(CARD).first.click()
    bob.keyboard.press("z")
    expect(bob.locator(".cu-history")).to_contain_text("ann: accept")


def test_filters_chips_and_saved_filters(visit):
    page = visit("ann", "filters")
    page.locator(".cu-side").get_by_label("Melanoma").check()
    expect(page.locator(".cu-hits")).to_have_text("1–80 of 80")
    page.locator(".cu-side select[name=agrees]").select_option("false")
    expect(page.locator(".cu-hits")).to_have_text("1–40 of 40")
    page.get_by_label("Name of the filter to save").fill("odd melanomas")
    page.locator(".cu-side").get_by_role("button", name="Save").click()
    page.locator(".cu-chip", has_text="Melanoma").click()
    expect(page.locator(".cu-hits")).not_to_have_text("1–40 of 40")
    page.locator(".cu-chip", has_text="Disagree").click()
    expect(page.locator(".cu-hits")).to_have_text("1–120 of 240")
    saved = page.locator(".cu-side").get_by_label("Use a saved filter")
    again = visit("ann", "filters")
    expect(saved.locator("option", has_text="odd melanomas")).to_have_count(1)
    again.locator(".cu-side").get_by_label("Use a saved filter").select_option("odd melanomas")
    expect(again.locator(".cu-hits")).to_have_text("1–40 of 40")
    bob = visit("bob", "filters")
    expect(bob.locator(".cu-side option", has_text="odd melanomas")).to_have_count(0)
