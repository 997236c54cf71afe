"""Another model in the place of the one in memory: loaded with news of it, the former given up, or refused first."""

import gc
import json
import shutil
import weakref

import pytest

from dermaflux.domain.errors import Cancelled, ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, SamplingRequest
from dermaflux.generation import Generator, ModelCatalogue
from dermaflux.generation import placement as placement_module
from dermaflux.generation.loading import unheard
from dermaflux.generation.model_files import ModelFiles


@pytest.fixture
def assets(saved_nano, saved_foreign, tmp_path):
    """nano beside a pipeline in the shape of FLUX.1-dev (guidance embedding, 16 latent channels, 512 tokens)."""
    (tmp_path / "nano").symlink_to(saved_nano)
    (tmp_path / "dev-shaped").symlink_to(saved_foreign)
    return tmp_path


def drawn(generator, **options):
    on_load = options.pop("on_load", unheard)
    asked = SamplingRequest(caption="a mole", num_steps=1, size_px=64, **options)
    return next(e for e in generator.stream(asked, on_load=on_load) if isinstance(e, GeneratedImage))


def test_pipelines_in_the_assets_are_offered_by_name(assets):
    catalogue = ModelCatalogue(assets)
    assert [entry.name for entry in catalogue.models()] == ["nano", "flux-dev", "flux-schnell", "dev-shaped"]
    entry = catalogue.model("dev-shaped")
    assert (entry.distilled_guidance, entry.text_tokens, entry.guidance_scale, entry.is_hub) == (True, 512, 3.5, False)
    (assets / "broken").mkdir()
    (assets / "broken" / "model_index.json").write_text(json.dumps({"_class_name": "OtherPipeline"}))
    assert "broken" not in [entry.name for entry in catalogue.models()]
    with pytest.raises(ModelNotAvailable, match="OtherPipeline"):
        catalogue.model("broken")


def test_a_folder_named_as_a_hub_model_stands_for_it(assets, saved_foreign):
    (assets / "flux-dev").symlink_to(saved_foreign)
    entry = ModelCatalogue(assets).model("flux-dev")
    assert not entry.is_hub and entry.source == str(assets / "flux-dev")
    assert entry.licence.startswith("FLUX.1 [dev]")


@pytest.mark.slow
def test_a_switch_tells_its_parts_and_frees_the_former_model(assets):
    generator, heard = Generator(ModelCatalogue(assets), device="cpu"), []
    drawn(generator, model="nano")
    former = weakref.ref(generator._loaded.pipe.transformer)
    made = drawn(generator, model="dev-shaped", on_load=lambda *news: heard.append(news))
    gc.collect()
    assert former() is None
    assert made.identity.model == "dev-shaped"
    parts = [(done, total) for _, done, total in heard if total]
    assert parts == [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5)]
    assert "image transformer" in heard[1][0] and "first image" in heard[-1][0]
    assert drawn(generator, model="nano").identity.model == "nano"


def test_what_is_in_memory_is_not_loaded_again(assets):
    generator, heard = Generator(ModelCatalogue(assets), device="cpu"), []
    drawn(generator, model="nano")
    drawn(generator, model="nano", on_load=lambda *news: heard.append(news))
    assert heard == []


def test_a_model_that_is_too_large_is_refused_and_the_former_goes_on(assets, monkeypatch):
    generator = Generator(ModelCatalogue(assets), device="cpu")
    drawn(generator, model="nano")
    before = generator._loaded
    monkeypatch.setattr(placement_module.os, "sysconf", lambda name: 4096 if name == "SC_PAGE_SIZE" else 10)
    with pytest.raises(ModelNotAvailable, match="Choose a smaller model, such as nano"):
        drawn(generator, model="dev-shaped")
    assert generator._loaded is before
    assert drawn(generator, model="nano").identity.model == "nano"


def test_room_is_reckoned_in_the_number_format_that_runs(saved_nano):
    size = ModelFiles(folder=saved_nano).sizes()["transformer"]
    assert size.num_bytes(4) == 2 * size.num_bytes(2) > 1000


def test_a_stop_between_two_parts_ends_the_load(assets):
    generator, heard = Generator(ModelCatalogue(assets), device="cpu"), []
    asked = SamplingRequest(caption="a mole", model="nano", num_steps=1)
    with pytest.raises(Cancelled):
        list(generator.stream(asked, lambda: len(heard) >= 3, lambda *news: heard.append(news)))
    assert len(heard) == 3
    assert drawn(generator, model="nano").identity.model == "nano"


def test_the_identity_of_a_request_is_known_without_loading(assets):
    generator = Generator(ModelCatalogue(assets), device="cpu")
    asked = SamplingRequest(caption="a mole", model="nano", num_steps=1, size_px=64)
    expected = generator.identity(asked)
    assert generator._loaded is None
    assert drawn(generator, model="nano").identity == expected


def test_a_model_whose_files_vanish_is_refused(assets, tmp_path):
    shutil.copytree(assets / "nano", assets / "other")
    catalogue = ModelCatalogue(assets)
    assert "other" in [entry.name for entry in catalogue.models()]
    shutil.rmtree(assets / "other" / "vae")
    with pytest.raises(ModelNotAvailable, match="no 'vae' folder"):
        drawn(Generator(catalogue, device="cpu"), model="other")
