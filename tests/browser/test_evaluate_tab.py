"""The Evaluate tab as a visitor walks it: every part, the shipped study, downloads, evaluations as real processes."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import DISCLAIMER, GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.services import Services
from dermaflux.settings import Settings

pytestmark = pytest.mark.browser
EVALUATION_MS = 600_000  # a process of its own that loads torch, on a machine that does other things too
PARTS = ("ROC", "Calibration", "Fairness", "Adherence", "Quality", "Memorisation", "Coverage", "Diversity", "Artefacts")
STUDY = "Augmentation study: classifiers by the share"


def lesion(number):
    rng = np.random.default_rng(number)
    picture = Image.new("RGB", (96, 96), (226, 186, 166))
    left, top = (int(v) for v in rng.integers(10, 30, 2))
    brown = tuple(int(v) for v in rng.integers(40, 140, 3))
    ImageDraw.Draw(picture).ellipse((left, top, 90 - left, 95 - top), fill=brown)
    return picture


def draw_clinic(folder):
    """Thirty pictures of training and thirty of test, each of its own lesion; picture n is `lesion(n)`."""
    folder.mkdir(parents=True)
    rows = ["file_name,diagnosis,split,lesion_id"]
    for number in range(60):
        lesion(number).save(folder / f"p{number}.png")
        rows.append(f"p{number}.png,{('nv', 'mel')[number % 2]},{'train' if number < 30 else 'test'},L{number}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


def accept(services, dataset, picture, seed):
    spec = LesionSpec(asymmetry=1, border=4, colours=("dark brown",), diagnosis="mel")
    drawn = GeneratedImage(
        image=picture, image_index=0, seed=seed, seconds=1,
        request=SamplingRequest(caption="a lesion", spec=spec, seed=seed, num_steps=1, guidance_scale=1, size_px=96),
        identity=ModelIdentity(model="nano", model_sha256="a" * 64, licence="test"),
    )  # fmt: skip
    services.decide(dataset, services._store().add_image(drawn).image_id, "local", "accept")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A dataset of six images, the first of them a test picture of the clinic; and a set whose one file is damaged."""
    data_dir = tmp_path_factory.mktemp("evaluate") / "data"
    draw_clinic(data_dir / "real" / "clinic")
    (data_dir / "real" / "torn").mkdir()
    (data_dir / "real" / "torn" / "torn.png").write_bytes(b"\x89PNG no more")
    (data_dir / "real" / "torn" / "metadata.csv").write_text("file_name,diagnosis\ntorn.png,nv\n")
    with Services(Settings(data_dir=data_dir)) as services:
        for number in (45, *range(100, 105)):
            accept(services, "mine", lesion(number), number)
    return data_dir


@pytest.fixture(scope="module")
def url(start_app, data_dir):
    with start_app(data_dir) as url:
        yield url


@pytest.fixture
def page(open_page, url):
    page = open_page(url)
    show_tab(page)
    return page


def show_tab(page):
    page.get_by_role("tab", name="Evaluate", exact=True).click()
    page.locator("#evaluate-study .main-svg").first.wait_for()


def choose(page, elem_id, name):
    page.locator(f"#{elem_id} input").click()
    page.get_by_role("option", name=name).click()


def start(page, kind, **chosen):
    page.get_by_text("Make a report").click()
    choose(page, "evaluate-kind", kind)
    for field, name in chosen.items():
        choose(page, f"evaluate-{field}", name)
    page.locator("#evaluate-start").click()


def newest(page):
    return page.locator(".df-evaluations li").first


def pictures_heard(page):
    """Name -> description of every picture in Chromium's accessibility tree."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    return {
        node["name"]["value"]: node.get("description", {}).get("value", "")
        for node in tree
        if not node.get("ignored") and node["role"]["value"] in ("image", "img") and node.get("name", {}).get("value")
    }


def test_every_part_opens_on_a_fresh_data_folder_and_says_what_is_missing(page):
    tabs = page.locator("#evaluate-tabs")
    for part in PARTS:
        tabs.get_by_role("tab", name=part, exact=True).first.click()
        expect(tabs.get_by_text("No report yet").locator("visible=true").first).to_be_visible()
    expect(page.locator(".toast-body")).to_have_count(0)


def test_the_shipped_study_is_a_picture_with_a_name_and_its_numbers_in_words(page):
    heard = pictures_heard(page)
    (name,) = (name for name in heard if name.startswith(STUDY))
    assert "has a test AUC +" in heard[name] and "paired over 10 seeds" in heard[name]
    letters = page.locator("#evaluate-study").get_by_text("balanced accuracy, test")
    assert letters.count() == 1  # Plotly's own letters are there to be seen, and part of the picture to be heard
    expect(page.locator("#evaluate-study-numbers table")).to_contain_text("flow:4 (chosen)")
    expect(page.locator("#evaluate-study-says")).to_contain_text("has a test AUC +")


def test_a_figure_leaves_as_picture_page_and_numbers(page):
    def saved(kind):
        with page.expect_download() as download:
            page.locator("#evaluate-study-files button", has_text=kind).click()
        return download.value

    with Image.open(saved("PNG").path()) as picture:
        assert picture.format == "PNG" and picture.width > 800 and len(picture.convert("RGB").getcolors(1 << 24)) > 50
    opened = page.context.new_page()
    opened.set_content(saved("HTML").path().read_text(encoding="utf-8"))
    expect(opened.locator(".main-svg").first).to_be_visible()
    expect(opened.get_by_role("heading")).to_contain_text(STUDY)
    expect(opened.get_by_role("figure", name=STUDY)).to_be_visible()
    expect(opened.get_by_text(DISCLAIMER).last).to_be_visible()
    table = list(csv.reader(io.StringIO(saved("CSV").path().read_text(encoding="utf-8"))))
    assert table[0][:3] == ["model", "real pictures", "arm"] and table[0][-1] == "statement"
    assert {row[-1] for row in table[1:]} == {DISCLAIMER}
    assert page.locator("#evaluate-study-numbers tbody tr").count() == len(table) - 1


def test_only_what_an_evaluation_asks_for_is_asked(page):
    begun = page.locator(".df-evaluations li").count()
    page.get_by_text("Make a report").click()
    expect(page.locator("#evaluate-split")).to_be_hidden()
    choose(page, "evaluate-kind", "Memorisation and leaks")
    expect(page.locator("#evaluate-split")).to_be_visible()
    choose(page, "evaluate-kind", "Adherence")
    expect(page.locator("#evaluate-num")).to_be_visible()
    for field in ("dataset", "real", "split", "sheet", "most"):
        expect(page.locator(f"#evaluate-{field}")).to_be_hidden()
    choose(page, "evaluate-kind", "Diversity")
    page.locator("#evaluate-start").click()
    expect(page.locator(".toast-body").first).to_contain_text("Choose the dataset")
    expect(page.locator(".df-evaluations li")).to_have_count(begun)


def test_an_evaluation_is_followed_outlives_a_reload_and_is_stopped(page, data_dir):
    start(page, "Adherence")
    expect(newest(page)).to_contain_text("running")
    page.reload()  # the evaluation is not the page's
    show_tab(page)
    expect(newest(page)).to_contain_text("running")
    page.locator("#evaluate-stop").click()
    expect(newest(page)).to_contain_text("stopped")
    expect(page.locator("#evaluate-stop")).to_be_hidden()
    (folder,) = (data_dir / "evaluations").glob("adherence-*")
    assert {path.name for path in folder.iterdir()} == {"asked.json", "command.json", "process.json", "log.txt"}


@pytest.mark.slow
def test_a_failed_evaluation_says_why(page):
    start(page, "Coverage", dataset="mine", real="torn")
    expect(newest(page)).to_contain_text("failed", timeout=EVALUATION_MS)
    expect(newest(page)).to_contain_text("torn.png cannot be read as an image")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_leak_into_the_test_pictures_is_found_and_told(page, data_dir):
    page.get_by_text("Make a report").click()
    choose(page, "evaluate-kind", "Memorisation and leaks")
    choose(page, "evaluate-dataset", "mine")
    choose(page, "evaluate-real", "clinic")
    choose(page, "evaluate-split", "validation pictures")
    page.locator("#evaluate-start").click()
    expect(page.locator(".toast-body").first).to_contain_text("none of split 'val'")  # said at once, nothing begun
    choose(page, "evaluate-split", "test pictures")
    page.locator("#evaluate-sheet input").check()
    page.locator("#evaluate-start").click()
    expect(newest(page)).to_contain_text("mine and the test pictures of clinic")
    expect(newest(page)).to_contain_text("done", timeout=EVALUATION_MS)
    page.locator("#evaluate-tabs").get_by_role("tab", name="Memorisation", exact=True).first.click()
    says = page.locator("#evaluate-memorisation-says")
    expect(says).to_contain_text("How near each image comes to a test picture")
    expect(says).to_contain_text("of 6 images")
    expect(says).to_contain_text("An image so near is a leak")
    expect(says).to_contain_text("pairs.png of the data folder")
    expect(page.locator("#evaluate-memorisation .xtitle")).to_have_text("distance to the nearest test picture")
    assert "How near each image comes to a test picture" in pictures_heard(page)
    (folder,) = (data_dir / "evaluations").glob("memorisation-*")
    report = json.loads((folder / "report.json").read_text())
    assert report["nearest"][0]["nearest"] == "p45.png" and report["nearest"][0]["is_copy"]
    assert report["compared"] == {"split": "test", "num_pictures": 30, "num_without_split": 0, "calibrated_on": None}
    with Image.open(folder / "pairs.png") as sheet:
        assert sheet.size == (2 * 192 + 12, 6 * 196 + 4)
    assert not (folder / "images").exists()  # nothing was exported for it
