import json
import subprocess
import sys

import pytest

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.generation import ModelCatalogue
from dermaflux.generation.facts import PipelineFacts, load_facts, save_facts


def test_importing_the_package_and_listing_models_loads_no_torch(saved_nano):
    code = (
        "import sys, pathlib; from dermaflux.generation import ModelCatalogue;"
        f"ModelCatalogue(pathlib.Path({str(saved_nano.parent)!r})).models();"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nano_comes_first_with_the_facts_it_states(catalogue):
    nano, dev, schnell = catalogue.models()
    assert (nano.name, nano.size_px, nano.num_steps, nano.guidance_scale, nano.text_tokens) == (
        "nano",
        64,
        5,
        2.0,
        24,
    )
    assert nano.licence == "test only" and not nano.distilled_guidance and not nano.is_hub
    assert (dev.name, dev.guidance_scale, dev.distilled_guidance, dev.text_tokens) == (
        "flux-dev",
        3.5,
        True,
        512,
    )
    assert (schnell.name, schnell.num_steps, schnell.guidance_scale) == ("flux-schnell", 4, 1.0)


def test_nano_that_is_not_installed_is_not_offered_and_says_so(tmp_path):
    empty = ModelCatalogue(tmp_path)
    assert [entry.name for entry in empty.models()] == ["flux-dev", "flux-schnell"]
    with pytest.raises(ModelNotAvailable, match="does not exist"):
        empty.model("nano")


def test_a_folder_is_a_model_with_the_defaults_of_its_kind(catalogue, saved_foreign):
    entry = catalogue.model(str(saved_foreign))
    assert entry.distilled_guidance and entry.guidance_scale == 3.5 and entry.size_px == 512
    assert "not stated" in entry.licence


@pytest.mark.parametrize("name", ["nanoo", "stable-diffusion"])
def test_an_unknown_model_name_lists_the_known_ones(catalogue, name):
    with pytest.raises(InvalidRequest, match="nano, flux-dev, flux-schnell"):
        catalogue.model(name)


def test_a_folder_without_a_flux_pipeline_is_refused(catalogue, tmp_path):
    with pytest.raises(ModelNotAvailable, match=r"has no model_index\.json"):
        catalogue.model(str(tmp_path))
    (tmp_path / "model_index.json").write_text(
        json.dumps({"_class_name": "StableDiffusionPipeline"})
    )
    with pytest.raises(ModelNotAvailable, match="StableDiffusionPipeline, not a FluxPipeline"):
        catalogue.model(str(tmp_path))
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(ModelNotAvailable, match="not JSON"):
        catalogue.model(str(tmp_path))


def test_adapters_by_name_file_and_hub(saved_nano, tmp_path):
    assets = tmp_path / "assets"
    (assets / "adapters").mkdir(parents=True)
    (assets / "adapters" / "rare.safetensors").write_bytes(b"x")
    catalogue = ModelCatalogue(assets)
    assert [entry.name for entry in catalogue.adapters()] == ["rare"]
    installed = catalogue.adapter("rare")
    assert installed.source.endswith("rare.safetensors") and not installed.is_hub
    assert catalogue.adapter(installed.source).source == installed.source
    whole, named = catalogue.adapter("owner/lora"), catalogue.adapter("owner/lora/v2.safetensors")
    assert (whole.source, whole.file, whole.is_hub) == ("owner/lora", None, True)
    assert (named.source, named.file) == ("owner/lora", "v2.safetensors")
    with pytest.raises(InvalidRequest, match="Installed: rare"):
        catalogue.adapter("rar")
    for missing in ("/no/such.safetensors", "such.safetensors"):
        with pytest.raises(ModelNotAvailable, match="does not exist"):
            catalogue.adapter(missing)


def test_facts_round_trip(tmp_path):
    facts = PipelineFacts(
        size_px=128, num_steps=20, guidance_scale=2.5, text_tokens=96, licence="CC"
    )
    assert load_facts(tmp_path) is None
    save_facts(tmp_path, facts)
    assert load_facts(tmp_path) == facts
    assert [path.name for path in tmp_path.iterdir()] == ["dermaflux.json"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size_px": 100}, "multiple of 16"),
        ({"num_steps": 0}, "outside 1 to 100"),
        ({"guidance_scale": "2"}, "not a number"),
        ({"text_tokens": 24.5}, "not a number of the right kind"),
        ({"licence": None}, "not text"),
        ({"extra": 1}, "'extra' is unknown"),
    ],
)
def test_facts_that_cannot_be_believed_name_the_field(tmp_path, change, reason):
    values = {"size_px": 64, "num_steps": 5, "guidance_scale": 2, "text_tokens": 24, "licence": ""}
    (tmp_path / "dermaflux.json").write_text(json.dumps(values | change))
    with pytest.raises(ModelNotAvailable, match=reason):
        load_facts(tmp_path)
    (tmp_path / "dermaflux.json").write_text("[]")
    with pytest.raises(ModelNotAvailable, match="not a JSON object"):
        load_facts(tmp_path)
