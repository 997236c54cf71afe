"""Exports and what is taken back in say how far they are, and an export that is left leaves nothing behind."""

import time

import gradio as gr
import pytest
from PIL import Image

from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.services import Services
from dermaflux.settings import Settings
from pages.dataset_actions import DatasetActions

NUM_IMAGES = 4
ANYBODY = gr.Request()


@pytest.fixture
def services(tmp_path):
    """A few accepted images."""
    with Services(Settings(data_dir=tmp_path / "data")) as services:
        for seed in range(NUM_IMAGES):
            made = GeneratedImage(
                image=Image.new("RGB", (64, 64), (180, 120, 100 + seed)), image_index=0, seed=seed, seconds=1.0,
                request=SamplingRequest(caption="a mole", seed=seed, num_steps=8, size_px=64),
                identity=ModelIdentity(model="nano", model_sha256="a" * 64),
            )  # fmt: skip
            services.decide("mine", services._store().add_image(made).image_id, "ann", "accept")
        yield services


@pytest.fixture
def slowly(services, monkeypatch):
    """Let each step of a service's work take longer than the page takes to look."""

    def slow(name):
        work = getattr(services, name)

        def slower(first, second, on_step):
            def step(done, total):
                on_step(done, total)
                time.sleep(0.3)

            return work(first, second, step)

        monkeypatch.setattr(services, name, slower)

    return slow


def exports_of(services):
    return sorted(path.name for path in (services.settings.data_dir / "exports").iterdir())


def test_an_export_says_how_far_it_is_then_hands_over_the_zip(services, slowly):
    slowly("export_zip")
    told = list(DatasetActions(services).export("mine", "imagefolder", ANYBODY))
    assert told[0][1] == "Beginning ..." and told[0][2].interactive
    assert any("Writing: 2 of 4 images" in said for _, said, _ in told)
    path, said, stop = told[-1]
    assert path.endswith("mine-imagefolder.zip") and "is ready" in said and not stop.interactive
    assert exports_of(services) == ["mine-imagefolder.zip"]


def test_an_export_that_is_stopped_leaves_nothing_and_can_be_asked_for_again(services, slowly):
    slowly("export_zip")
    running = DatasetActions(services).export("mine", "imagefolder", ANYBODY)
    assert next(running) and "Writing" in next(running)[1]
    running.close()
    deadline = time.monotonic() + 20
    while exports_of(services) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert exports_of(services) == []
    assert list(DatasetActions(services).export("mine", "imagefolder", ANYBODY))[-1][0].endswith(".zip")


def test_what_is_taken_in_is_counted_as_it_comes(services, slowly):
    path = services.export_zip("mine", "imagefolder")
    slowly("import_zip")
    told = [said for said, _ in DatasetActions(services).take_in("back", str(path), ANYBODY)]
    assert told[0] == "Unpacking ..." and any("Taking in: " in said for said in told)
    assert told[-1] == "4 images are in, 0 of them new here, with 4 verdicts."
