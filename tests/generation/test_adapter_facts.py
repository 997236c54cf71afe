"""What a LoRA file says of how to sample with it, and who has the last word."""

import pytest
import torch
from safetensors.torch import save_file

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.records import SamplingRequest
from dermaflux.generation.adapter_facts import AdapterFacts, read_adapter_facts


def lora(folder, name, **facts):
    path = folder / f"{name}.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={f"dermaflux.{key}": value for key, value in facts.items()})
    return path


def test_a_file_says_what_it_was_made_for_or_nothing(tmp_path):
    fast = lora(tmp_path, "fast", sampling_steps="4", guidance_scale="1.0", contrast_scale="0.0")
    assert read_adapter_facts(fast) == AdapterFacts(num_steps=4, guidance_scale=1.0, contrast_scale=0.0)
    assert read_adapter_facts(lora(tmp_path, "other", rank="4")) == AdapterFacts()


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"sampling_steps": "0"}, "not a number in 1 to 100"),
        ({"sampling_steps": "2.5"}, "not a whole number"),
        ({"guidance_scale": "much"}, "'much', not a number"),
        ({"contrast_scale": "nan"}, "not a number in 0 to 10"),
    ],
)
def test_a_file_that_states_nonsense_is_refused(tmp_path, facts, reason):
    with pytest.raises(ModelNotAvailable, match=reason):
        read_adapter_facts(lora(tmp_path, "bad", **facts))


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"x")
    with pytest.raises(ModelNotAvailable, match="cannot be read"):
        read_adapter_facts(tmp_path / "bad.safetensors")


def test_the_request_comes_before_the_adapter_and_the_adapter_before_the_model(catalogue, tmp_path):
    fast = lora(tmp_path, "fast", sampling_steps="4", guidance_scale="1.0")
    other = lora(tmp_path, "other", sampling_steps="9")
    model = catalogue.model("nano")

    def resolved(**fields):
        found = catalogue.resolve(SamplingRequest(caption="a mole", **fields))
        return found.num_steps, found.guidance_scale, found.contrast_scale, found.size_px

    assert resolved() == (model.num_steps, model.guidance_scale, model.contrast_scale, model.size_px)
    assert resolved(adapter=str(fast)) == (4, 1.0, model.contrast_scale, model.size_px)
    assert resolved(adapter=f"{other},{fast}") == (9, 1.0, model.contrast_scale, model.size_px)
    assert resolved(adapter=str(fast), num_steps=7, guidance_scale=3.0, contrast_scale=2.0) == (
        7, 3.0, 2.0, model.size_px,
    )  # fmt: skip
