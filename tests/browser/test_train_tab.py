"""The Train tab as a visitor walks it: a real LoRA of a few steps through the wizard, until Generate offers it."""

import os

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
TRAINING_MS = 900_000  # loading torch, a base and its judges twice over, on a machine that does other things too


def draw_clinic(folder):
    """Real-looking spots with a table: enough of one class to train and to validate on."""
    folder.mkdir(parents=True)
    rows = ["file_name,diagnosis,split,lesion_id"]
    for i in range(16):
        rng = np.random.default_rng(i)
        picture = Image.new("RGB", (200, 150), (228, 186, 165))
        ImageDraw.Draw(picture).ellipse((60, 40, 140, 110), fill=tuple(int(v) for v in rng.integers(60, 130, 3)))
        soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(1.5)), dtype=float) + rng.normal(0, 3, (150, 200, 3))
        Image.fromarray(soft.clip(0, 255).astype(np.uint8)).save(folder / f"p{i}.png")
        rows.append(f"p{i}.png,df,{'val' if i > 10 else 'train'},L{i}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def small_app(start_app, tmp_path_factory):
    """The app over the tiny models, with a set of real pictures in its data folder."""
    data_dir = tmp_path_factory.mktemp("train") / "data"
    draw_clinic(data_dir / "real" / "clinic")
    with start_app(data_dir) as url:
        yield url


@pytest.fixture
def page(open_page, small_app):
    page = open_page(small_app)
    page.get_by_role("tab", name="Train", exact=True).click()
    page.locator("#train-cost .df-cost").wait_for()
    return page


def choose(page, elem_id, name):
    page.locator(f"#{elem_id} input").click()
    page.get_by_role("option", name=name).click()


def test_a_mistake_is_told_beside_start_and_nothing_begins(page):
    page.locator("#train-name input, #train-name textarea").first.fill("Not A Name")
    expect(page.locator("#train-cost")).to_contain_text("cannot be used")
    page.locator("#train-start").click()
    expect(page.locator(".toast-body").first).to_contain_text("cannot be used")
    expect(page.locator("#train-runs .df-training")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_lora_is_trained_through_the_page_and_offered_in_generate(page):
    choose(page, "train-real", "clinic")
    page.locator("#train-name input, #train-name textarea").first.fill("spotty")
    expect(page.locator("#train-cost")).to_contain_text("GB of ")
    page.locator("#train-start").click()
    head = page.locator("#train-head")
    expect(head.locator(".df-training-state")).to_have_text("running")
    page.reload()  # the run is not the page's
    page.get_by_role("tab", name="Train", exact=True).click()
    expect(head.locator(".df-training-state")).to_have_text("done", timeout=TRAINING_MS)
    expect(head).to_contain_text("step 4 of 4")
    expect(page.locator("#train-curves .js-plotly-plot")).to_be_visible()
    with page.expect_download() as saved:
        page.locator("#train-curves-files button", has_text="CSV").click()
    lines = saved.value.path().read_text().splitlines()
    assert lines[0] == "run,figure,step,value,statement" and sum("training loss" in line for line in lines) == 4
    with page.expect_download() as saved:
        page.locator("#train-curves-files button", has_text="PNG").click()
    assert saved.value.suggested_filename == "train-curves.png" and os.path.getsize(saved.value.path()) > 5000
    page.get_by_role("tab", name="Probe samples").click()
    expect(page.locator("#train-probes .df-probe")).to_have_count(14)
    page.get_by_role("tab", name="Log").click()
    expect(page.locator("#train-log")).to_contain_text("spotty.safetensors")
    page.get_by_role("tab", name="Generate", exact=True).click()
    page.get_by_role("button", name="Model and sampling").click()
    page.locator("#adapter input").click()
    expect(page.get_by_role("option", name="spotty")).to_be_visible()
