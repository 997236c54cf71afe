"""Grids, strips, settings back into the panel and another model, as a visitor walks through them."""

import io
import json
import re
from itertools import pairwise

import pytest
from PIL import Image
from playwright.sync_api import expect

from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.provenance import from_generated, png_bytes

pytestmark = pytest.mark.browser
PATIENCE_MS = 240_000
SPEC = LesionSpec(asymmetry=0.5, border=2, colours=("red", "light brown"), diagnosis="bcc", sex="female", site="back")


def choose_mode(page, name):
    page.locator("#mode label", has_text=name).click()


def fill(page, elem_id, text):
    field = page.locator(f"#{elem_id}").locator("textarea, input").last
    field.fill(text)
    field.press("Tab")


def open_sampling(page, *, steps=2):
    if not page.locator("#steps").is_visible():
        page.get_by_role("button", name="Model and sampling").click()
    fill_number(page, "steps", steps)


def fill_number(page, elem_id, value):
    field = page.locator(f"#{elem_id} input[type=number]")
    field.fill(str(value))
    field.press("Tab")


def expect_state(page, board, words):
    expect(page.locator(f"#{board} .df-strip-title")).to_have_text(re.compile(words), timeout=PATIENCE_MS)


def draw_grid(page, rows, seeds):
    choose_mode(page, "Grid")
    fill(page, "rows-values", rows)
    fill(page, "columns-values", seeds)
    page.locator("#draw-grid").click()
    # Else the end of an earlier grid would pass for that of this one.
    headings = page.locator("#grid-board .df-grid > .df-heading.is-column")
    expect(headings).to_have_text(seeds.split(", "), timeout=PATIENCE_MS)


def watch_titles(page):
    """Collect what the samples' status line says, so that what is seen for a moment only counts too."""
    page.evaluate("""() => {
      window.seenTitles = new Set();
      const title = document.querySelector('#board .df-strip-title');
      new MutationObserver(() => window.seenTitles.add(title.textContent))
        .observe(title, { subtree: true, childList: true, characterData: true });
    }""")


def generate_anew(page):
    """Run and wait for the end of this run, not of the one before; all that the status line said."""
    page.evaluate("window.seenTitles.clear()")
    page.locator("#generate").click()
    page.wait_for_function("window.seenTitles.size > 0", timeout=PATIENCE_MS)
    expect_state(page, "board", "Done")
    return page.evaluate("[...window.seenTitles]")


@pytest.fixture(scope="module")
def app_url(start_app, tmp_path_factory, tiny_models):
    """The app over the tiny models and a pipeline in the shape of FLUX.1-dev."""
    models = tmp_path_factory.mktemp("exchange") / "assets" / "models"
    models.mkdir(parents=True)
    for path in [*tiny_models.iterdir(), tiny_models.parent / "measurement"]:
        (models if path.parent == tiny_models else models.parent).joinpath(path.name).symlink_to(path)
    save_dev_shaped(models)
    with start_app(tmp_path_factory.mktemp("tiny") / "data", models_dir=models) as url:
        yield url


def save_dev_shaped(models):
    """Random weights in the shape of FLUX.1-dev: guidance embedding, 16 latent channels, 512 T5 tokens, its VAE."""
    from diffusers import AutoencoderKL, FluxTransformer2DModel

    from dermaflux.generation import ModelCatalogue, choose_placement, load_pipeline

    pipe = load_pipeline(ModelCatalogue(models).model("nano"), choose_placement("cpu"))
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=16, norm_num_groups=4, layers_per_block=1,
        use_quant_conv=False, use_post_quant_conv=False, scaling_factor=0.36, shift_factor=0.11,
    )  # fmt: skip
    transformer = FluxTransformer2DModel.from_config(pipe.transformer.config, guidance_embeds=True)
    pipe.register_modules(vae=vae, transformer=transformer)
    pipe.save_pretrained(models / "dev-shaped")


def test_a_grid_is_drawn_found_again_judged_refreshed_and_exported(page):
    open_sampling(page)
    draw_grid(page, "0, 2", "3, 4")
    expect_state(page, "grid-board", "Done")
    cells = page.locator("#grid-board .df-card")
    expect(cells).to_have_count(4)
    expect(page.locator("#grid-board .df-heading.is-row")).to_have_text(["0", "2"])
    expect(cells.nth(1).locator(".df-brief")).to_contain_text(re.compile(r"A .*B .*C .*P "))

    draw_grid(page, "0, 2", "4, 5")
    expect_state(page, "grid-board", "Done")
    expect(page.locator("#grid-board .df-strip-note")).to_have_text("4 of 4 images · 2 drawn before")
    cells.nth(2).locator(".df-figure").click()
    zoom = page.locator("#grid-board .df-zoom")
    expect(zoom.locator("h3")).to_have_text("asymmetry 2 · seed 4")
    expect(zoom.locator("dl")).to_contain_text("Steps")
    expect(zoom.locator(".df-zoom-picture")).to_have_attribute("src", re.compile("^data:image/png"))
    zoom.get_by_label("Compare with").select_option("asymmetry 0 · seed 4")
    beside, share = zoom.locator(".df-zoom-beside"), zoom.get_by_label("Where the other picture begins")
    expect(beside).to_have_attribute("src", re.compile("^data:image/png"))  # the original, as the enlarged one
    assert beside.get_attribute("src") != zoom.locator(".df-zoom-picture").get_attribute("src")
    expect(beside).to_have_css("clip-path", "inset(0px 0px 0px 50%)")
    share.press("Home")
    expect(beside).to_have_css("clip-path", "inset(0px 0px 0px 0%)")
    zoom.get_by_label("Compare with").select_option("nothing")
    expect(beside).to_be_hidden()
    zoom.get_by_role("button", name="Accept").click()
    expect(zoom.get_by_role("button", name="Accept")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(cells.nth(2).locator(".df-verdict")).to_have_text("✓ accepted")

    page.reload()
    choose_mode(page, "Grid")
    expect_state(page, "grid-board", "Done")
    expect(cells).to_have_count(4)
    expect(cells.nth(2).locator(".df-verdict")).to_have_text("✓ accepted")
    page.locator("#grid-export").click()
    with page.expect_download() as downloading:
        page.locator("#grid-files a[download]").last.click()
    assert "asymmetry,seed" in downloading.value.path().read_text().splitlines()[0]


def test_a_strip_whose_images_are_all_refused_says_so_in_words(page):
    """The tiny model draws noise; the curves over real samples are in test_generate_tab.py."""
    open_sampling(page)
    choose_mode(page, "Strip")
    expect(page.locator("#draw-strip")).to_be_visible()
    expect(page.locator("#generate")).to_be_hidden()
    page.locator("#draw-strip").click()
    expect_state(page, "strip-board", "Done")
    expect(page.locator("#strip-board .df-card")).to_have_count(5)
    said = page.locator("#strip-said")
    expect(said).to_contain_text("Measured asymmetry: refused on every image")
    expect(said).to_contain_text("Not a diagnosis")


def test_the_values_follow_the_axis_and_what_cannot_be_drawn_is_said(page):
    choose_mode(page, "Grid")
    page.locator("#columns-axis input").click()
    page.get_by_role("option", name="Diagnosis").click()
    values = page.locator("#columns-values").locator("textarea, input").last
    expect(values).to_have_value("nv, bkl, df, vasc, mel, bcc, akiec")
    fill(page, "rows-values", ", ".join(f"0.{n:02d}" for n in range(20)))
    page.locator("#draw-grid").click()
    expect(page.locator(".toast-wrap")).to_contain_text("140 images; 64 at most")
    page.locator("#caption textarea").fill("a mole like no other")
    fill(page, "rows-values", "0, 1")
    page.locator("#draw-grid").click()
    expect(page.locator(".toast-wrap")).to_contain_text("Free text has no asymmetry to move")


def test_a_stopped_grid_keeps_its_cells_and_their_places(page):
    open_sampling(page, steps=60)
    draw_grid(page, "0, 0.5, 1, 1.5, 2", ", ".join(map(str, range(100, 112))))
    expect(page.locator("#grid-board .df-card[data-state=done]").first).to_be_visible(timeout=PATIENCE_MS)
    page.locator("#stop-grid").click()
    expect_state(page, "grid-board", "Stopped")
    expect(page.locator("#grid-board .df-card")).to_have_count(60)
    assert page.locator("#grid-board .df-card[data-state=missing]").count() > 30


def test_the_settings_of_a_card_come_back_and_give_the_same_image(page):
    watch_titles(page)
    page.locator("#reword").click()
    open_sampling(page, steps=3)
    fill_number(page, "num-images", 1)
    generate_anew(page)
    card = page.locator("#board .df-card").first
    image_id, caption = card.get_attribute("data-image-id"), page.locator("#caption textarea").input_value()
    seed = page.locator("#seed input").input_value()

    page.locator("#compose").click()
    page.get_by_label("Nevus", exact=True).check()
    fill_number(page, "steps", 2)
    card.get_by_role("button", name="Use these settings").click()
    expect(page.locator("#caption textarea")).to_have_value(caption)
    expect(page.locator("#steps input[type=number]")).to_have_value("3")
    expect(page.locator("#seed input")).to_have_value(seed)
    expect(page.locator("#keep-seed input")).to_be_checked()
    expect(page.get_by_label("Melanoma", exact=True)).to_be_checked()
    expect(page.locator("#caption-note")).to_contain_text("Matches the sliders")
    generate_anew(page)
    expect(page.locator("#board .df-card").first).to_have_attribute("data-image-id", image_id)

    card.get_by_role("button", name="Remix").click()
    expect(page.locator("#keep-seed input")).not_to_be_checked()


def our_png():
    request = SamplingRequest(caption="written by hand", spec=SPEC, seed=4321, num_steps=7, guidance_scale=2.5,
                              contrast_scale=1.0, size_px=64, model="not-here")  # fmt: skip
    made = GeneratedImage(image=Image.new("RGB", (64, 64), "tan"), image_index=0, seed=4321, request=request, seconds=0,
                          identity=ModelIdentity(model="not-here", model_sha256="ab" * 32))  # fmt: skip
    return png_bytes(made.image, from_generated(made))


def test_a_dropped_png_fills_the_panel_and_is_not_sent(page):
    sent = []
    page.on("request", lambda request: sent.append((request.url, len(request.post_data_buffer or b""))))
    picker = page.locator("#record-drop input[type=file]")
    picker.set_input_files({"name": "ours.png", "mimeType": "image/png", "buffer": our_png()})
    expect(page.locator("#caption textarea")).to_have_value("written by hand")
    expect(page.get_by_label("Basal cell carcinoma", exact=True)).to_be_checked()
    expect(page.locator("#seed input")).to_have_value("4321")
    expect(page.locator(".toast-wrap")).to_contain_text("'not-here' is not installed")
    assert not [url for url, _ in sent if "upload" in url]

    plain = io.BytesIO()
    Image.new("RGB", (8, 8)).save(plain, "PNG")
    for name, content, words in (
        ("scan.png", plain.getvalue(), "scan.png holds no DermaFlux record"),
        ("photo.jpg", b"\xff\xd8\xff\xe0 not a png at all", "photo.jpg is no PNG"),
    ):
        picker.set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
        expect(page.locator(".df-drop-note")).to_contain_text(words)
    expect(page.locator("#caption textarea")).to_have_value("written by hand")


def test_a_record_that_is_no_request_is_refused_in_words(page):
    from PIL.PngImagePlugin import PngInfo

    before = page.locator("#caption textarea").input_value()
    for record, words in (("{", "is damaged"), (json.dumps({"synthetic": True, "seed": "x"}), "incomplete or damaged")):
        chunk, content = PngInfo(), io.BytesIO()
        chunk.add_itxt("dermaflux", record, zip=True)
        Image.new("RGB", (8, 8)).save(content, "PNG", pnginfo=chunk)
        picker = page.locator("#record-drop input[type=file]")
        picker.set_input_files({"name": "odd.png", "mimeType": "image/png", "buffer": content.getvalue()})
        expect(page.locator(".toast-wrap")).to_contain_text(words)
    assert page.locator("#caption textarea").input_value() == before


def test_another_model_is_loaded_from_the_page_with_news_and_back_without_a_restart(page):
    watch_titles(page)
    open_sampling(page)
    fill_number(page, "num-images", 1)
    for model, guidance in (("dev-shaped", "3.5"), ("nano", "1.5")):
        page.locator("#model input").click()
        page.get_by_role("option", name=model, exact=True).click()
        expect(page.locator("#guidance input[type=number]")).to_have_value(guidance)
        page.locator("#size input").click()
        page.get_by_role("option", name=re.compile("^128 px")).click()
        fill_number(page, "steps", 2)
        assert "Loading the model" in generate_anew(page)
        page.locator("#board .df-card .df-figure").click()
        expect(page.locator("#board .df-zoom dl")).to_contain_text(f"Model{model} (")
        page.keyboard.press("Escape")


def answer_slowly(page, seconds):
    """Every request of the page waits that long on its way."""
    slow = {"offline": False, "latency": seconds * 1000, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)


def test_a_model_that_cannot_be_had_is_said_and_the_next_run_works(page):
    open_sampling(page)
    fill_number(page, "num-images", 1)
    answer_slowly(page, 0.5)  # the click comes before the settings of the model that was chosen
    page.locator("#model input").click()
    page.get_by_role("option", name=re.compile("^flux-schnell")).click()
    page.locator("#generate").click()
    expect_state(page, "board", "Failed")
    expect(page.locator("#board .df-strip-note")).to_contain_text("FLUX.1-schnell")
    page.locator("#model input").click()
    page.get_by_role("option", name="nano", exact=True).click()
    page.locator("#generate").click()
    expect_state(page, "board", "Done")


def test_controls_and_the_first_row_fit_without_scrolling_and_nothing_overlaps_on_a_tablet(page):
    for mode, start in (("Samples", "#generate"), ("Grid", "#draw-grid"), ("Strip", "#draw-strip")):
        choose_mode(page, mode)
        expect(page.locator(start)).to_be_in_viewport()
        board = page.locator(f"#{'board' if mode == 'Samples' else mode.lower() + '-board'}")
        expect(board).to_be_in_viewport()
        assert board.bounding_box()["y"] < 400
    page.set_viewport_size({"width": 820, "height": 1180})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    boxes = [page.locator(selector).bounding_box() for selector in ("#mode", "#generate-dataset", "#undo")]
    for left, right in pairwise(boxes):
        assert left["x"] + left["width"] <= right["x"] + 1 or left["y"] + left["height"] <= right["y"] + 1
