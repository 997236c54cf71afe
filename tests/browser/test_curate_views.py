"""Near-duplicates, the map, the coverage planner and the Dataset tab as a visitor without log-in walks through them."""

import hashlib
import json
import random
import re
import zipfile

import pytest
from PIL import Image
from playwright.sync_api import expect

from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import Diagnosis, LesionSpec, typical_colours
from dermaflux.domain.records import (
    DISCLAIMER,
    Assessment,
    GeneratedImage,
    Measurement,
    ModelIdentity,
    NearestTraining,
    Prediction,
    SamplingRequest,
)
from dermaflux.services import Services
from dermaflux.settings import Settings

# The machine is shared with the app under test, and the first to need the models waits for them.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]
NUM_APART, NUM_ALIKE, NUM_REAL = 5, 3, 4
NUM_IMAGES = NUM_APART + NUM_ALIKE
PATIENCE_MS = 240_000
ROW = "#groups .cu-row"
CARD = "#curate-grid .cu-card"
QUEUED = "#queue [aria-label^='Your jobs'] .df-queue-row"


def picture(seed):
    return Image.frombytes("RGB", (6, 6), random.Random(seed).randbytes(108)).resize((64, 64))


def add(services, seed, image, nearest=None):
    """A melanoma of asymmetry 1, measured 0.1 nearer to that with every seed."""
    diagnosis = Diagnosis.MEL
    spec = LesionSpec(asymmetry=1, border=4, colours=typical_colours(2, diagnosis), diagnosis=diagnosis)
    generated = GeneratedImage(
        image=image, image_index=0, seed=seed, seconds=0.1,
        request=SamplingRequest(caption=compose(spec), spec=spec, seed=seed, num_steps=4, size_px=64),
        identity=ModelIdentity(model="nano", model_sha256="a" * 64),
    )  # fmt: skip
    measured = Measurement(asymmetry=2 - seed / 10, border=4.0, colours=spec.colours, num_colours=2, mask_area=0.3)
    found = Assessment(measurement=measured, prediction=Prediction(malignant=0.9, threshold=0.5), nearest=nearest)
    return services._store().add_image(generated, found).image_id


@pytest.fixture(scope="module")
def services(tmp_path_factory, tiny_models, repository):
    """The store of the app under test. Tiny models, but the embedded descriptor: the calibrated distance is its own."""
    folder = tmp_path_factory.mktemp("views")
    models = folder / "assets" / "models"
    models.mkdir(parents=True)
    for part in tiny_models.iterdir():
        embedded = repository / "assets" / "models" / part.name
        (models / part.name).symlink_to(embedded if part.name == "descriptor" else part)
    (models.parent / "measurement").symlink_to(tiny_models.parent / "measurement")
    with Services(Settings(models_dir=models, data_dir=folder / "data")) as services:
        for name in ("views", "other"):
            services.create_dataset(name)
        ids = []
        for seed in range(NUM_APART):
            nearest = NearestTraining(image_id=f"ISIC_{seed}", distance=0.02 + seed / 10, threshold=0.1)
            ids.append(add(services, seed, picture(seed), nearest))
            services.decide("views", ids[-1], "nobody", "accept")
        services.mark_memorised(ids, ids[:1])  # as the worker does for a copy
        for seed in range(NUM_APART, NUM_IMAGES):
            add(services, seed, picture(99))
        real = folder / "real"
        real.mkdir()
        for seed in range(NUM_REAL):
            picture(200 + seed).save(real / f"{seed}.png")
        lines = ["file_name,diagnosis", *(f"{seed}.png,mel" for seed in range(NUM_REAL))]
        (real / "metadata.csv").write_text("\n".join(lines))
        services.import_real(real, "clinic")
        yield services


@pytest.fixture(scope="module")
def app_url(services, start_app):
    """The app that `open_page` opens here."""
    settings = services.settings
    with start_app(settings.data_dir, models_dir=settings.models_dir) as url:
        yield url


def choose(page, elem_id, name):
    page.locator(f"#{elem_id} input").click()
    page.get_by_role("option", name=name, exact=True).click()


@pytest.fixture
def open_view(open_page):
    """Open a view of the Curate tab on a dataset."""

    def open_view(name, dataset="views"):
        page = open_page()
        page.get_by_role("tab", name="Curate").click()
        choose(page, "curate-dataset", dataset)
        page.locator("#curate-views").get_by_role("tab", name=name).click()
        return page

    return open_view


def test_the_best_of_a_group_is_kept_the_rest_rejected_and_both_taken_back(open_view, services):
    page = open_view("Near-duplicates")
    choose(page, "groups-which", "To review")  # to the descriptor all noise is alike
    page.locator("#find-groups").click()
    expect(page.locator(ROW)).to_have_count(1, timeout=PATIENCE_MS)  # the first to need the models waits for them
    expect(page.locator("#groups-note")).to_contain_text("One group in views; 2 images more than one of each.")
    expect(page.locator(f"{ROW} .cu-row-head")).to_contain_text("closest to its request")
    tiles = page.locator(f"{ROW} .cu-tile")
    expect(tiles.nth(0)).to_have_attribute("aria-checked", "true")
    tiles.nth(0).focus()
    page.keyboard.press("ArrowRight")
    expect(tiles.nth(1)).to_be_focused()
    expect(tiles.nth(1)).to_have_attribute("aria-checked", "true")
    before = services.counts("views").reject
    page.get_by_role("button", name="Keep it, reject the rest").click()
    expect(page.locator("#groups-note")).to_contain_text("One kept, 2 rejected.")
    expect(page.locator("#curate-counts .is-reject")).to_contain_text(str(before + 2))
    page.locator(ROW).get_by_role("button", name="Undo").click()
    expect(page.locator("#groups-note")).to_contain_text("2 rejections were taken back.")
    assert services.counts("views").reject == before
    expect(tiles).to_have_count(NUM_ALIKE)


def test_what_is_no_duplicate_is_remembered_until_that_is_taken_back(open_view):
    page = open_view("Near-duplicates")
    page.locator("#find-groups").click()
    page.get_by_role("button", name="Not duplicates").click()
    expect(page.locator("#groups-note")).to_contain_text("Remembered")
    again = open_view("Near-duplicates")
    again.locator("#find-groups").click()
    expect(again.locator("#groups .cu-empty")).to_have_text("No near-duplicates were found among these images.")
    page.locator(ROW).get_by_role("button", name="Undo").click()
    expect(page.locator("#groups-note")).to_contain_text("Forgotten")
    again.locator("#find-groups").click()
    expect(again.locator(ROW)).to_have_count(1)
    choose(again, "curate-dataset", "other")  # groups of one dataset are not settled in another
    expect(again.locator(ROW)).to_have_count(0)


def test_the_map_is_selected_by_mouse_and_by_keyboard_and_fills_the_grid(open_view):
    page = open_view("Map")
    choose(page, "map-real", "clinic")
    page.locator("#draw-map").click()
    expect(page.locator("#map-note")).to_contain_text(f"{NUM_IMAGES + NUM_REAL} pictures, with the verdicts of views.")
    legend = page.locator(".cu-map-legend button")
    expect(legend).to_have_text([f"Accepted {NUM_APART}", f"To review {NUM_ALIKE}", f"Real pictures {NUM_REAL}"])
    said, canvas = page.locator(".cu-map-note"), page.get_by_role("application", name="Map of images")
    box = canvas.bounding_box()
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    page.mouse.move(corners[0][0] + 8, corners[0][1] + 8)  # inside the round corner, outside every point
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(x, y, steps=3)
    page.mouse.up()
    expect(said).to_have_text(f"{NUM_IMAGES} images selected.")  # real ones never are
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(said).to_have_text("")
    expect(canvas).to_be_focused()
    for key in ("ArrowLeft", "ArrowUp"):
        for _ in range(30):
            page.keyboard.press(f"Shift+{key}")
    page.keyboard.press("Space")
    expect(said).to_contain_text("One corner is set")
    for key in ("ArrowRight", "ArrowDown"):
        for _ in range(30):
            page.keyboard.press(f"Shift+{key}")
    expect(said).to_contain_text(f"{NUM_IMAGES} images in the box")
    page.keyboard.press("Space")
    expect(said).to_have_text(f"{NUM_IMAGES} images selected.")
    page.keyboard.press("Escape")
    legend.filter(has_text="Accepted").click()
    canvas.press("Control+a")
    expect(said).to_have_text(f"{NUM_ALIKE} images selected.")
    page.get_by_role("button", name="Show in the grid").click()
    expect(page.locator(CARD)).to_have_count(NUM_ALIKE)
    page.locator(".cu-chip", has_text="From the map").click()
    expect(page.locator(CARD)).to_have_count(NUM_IMAGES)


def test_the_enlarged_view_says_how_near_a_training_picture_comes(open_view):
    page = open_view("Grid")
    nearest = page.locator(".cu-zoom .df-nearest")
    page.locator(CARD).last.click()  # the oldest
    page.keyboard.press("z")
    expect(nearest).to_contain_text("May be memorised. Similarity 0.980 to ISIC_0")
    page.keyboard.press("ArrowLeft")
    expect(nearest).to_contain_text("Similarity 0.880 to ISIC_1; under 0.900, so not flagged as a copy.")
    expect(page.locator(".cu-zoom img")).to_have_count(1)  # the training picture itself is not shown


def test_a_cell_is_filled_from_the_planner_and_its_job_waits_in_the_queue(open_view, services):
    page = open_view("Coverage")
    choose(page, "coverage-real", "clinic")
    page.locator("#coverage-measure").click()
    expect(page.locator("#coverage-note")).to_contain_text("Measured.")
    expect(page.locator("#coverage .cu-map-note")).to_contain_text(f"{NUM_REAL} real pictures are measured.")
    cell = page.get_by_role("button", name=re.compile("^Melanoma, 2 · "))
    numbers = r"\d+ real, \d+ accepted, {} pending \(\d+ to review, {} queued\)"
    label = cell.get_attribute("aria-label")
    assert re.search(numbers.format(r"\d+", 0), label)
    accepted = sum(c.accepted for c in services.coverage_table("views", "nobody", "asymmetry").cells.values())
    assert accepted == NUM_APART
    choose(page, "coverage-tone", "Type V")
    expect(cell).to_have_attribute("aria-label", re.compile("0 accepted, 0 pending"))
    cell.click()
    page.locator("#coverage .cu-number").fill("3")
    page.get_by_role("button", name="Queue them").click()
    expect(page.locator("#coverage-note")).to_contain_text("3 images are queued.")
    page.get_by_role("tab", name="Generate").click()
    page.locator("#queue summary").click()
    expect(page.locator(QUEUED).first).to_contain_text("3 × melanoma · asymmetry 2")


def test_the_accepted_set_leaves_as_a_zip_whose_every_file_is_vouched_for(page, tmp_path):
    page.get_by_role("tab", name="Dataset").click()
    choose(page, "dataset-name", "views")
    page.locator("#export").click()
    expect(page.locator("#export-report")).to_contain_text("views-imagefolder.zip is ready")
    with page.expect_download() as downloading:
        page.locator("#export-file a[download]").first.click()
    archive = tmp_path / "views.zip"
    downloading.value.save_as(archive)
    with zipfile.ZipFile(archive) as packed:
        contents = {name.partition("/")[2]: packed.read(name) for name in packed.namelist()}
    manifest = json.loads(contents.pop("manifest.json"))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    assert hashes == {name: entry["sha256"] for name, entry in manifest["files"].items()}
    assert DISCLAIMER in contents["README.md"].decode()
    (table,) = (name for name in contents if name.endswith("metadata.jsonl"))
    lines = [json.loads(line) for line in contents[table].decode().splitlines()]
    assert len(lines) == NUM_APART - 1  # one is flagged as a copy and stays behind

    came_in = f"{len(lines)} images are in, 0 of them new here, with {len(lines)} verdicts."
    for name, content, words in (
        ("holiday.zip", b"PK no zip at all", "holiday.zip cannot be unpacked"),
        ("views.zip", archive.read_bytes(), came_in),
    ):
        page.reload()
        page.get_by_role("tab", name="Dataset").click()
        choose(page, "dataset-name", "other")
        page.locator("#import-file input[type=file]").set_input_files(
            {"name": name, "mimeType": "application/zip", "buffer": content}
        )
        expect(page.locator("#import-file")).to_contain_text(name.partition(".")[0])
        page.locator("#import").click()
        told = "#import-report" if words is came_in else ".toast-wrap"
        expect(page.locator(told)).to_contain_text(words)
    expect(page.locator("#dataset-counts .is-accept")).to_contain_text(str(len(lines)))
