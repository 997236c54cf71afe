"""The Flux benchmarks run from end to end on a small architecture; their arithmetic is that of the published tables."""

import json

import pytest
import torch
from diffusers import FluxTransformer2DModel

from benchmarks import flux_inference, flux_lora_training
from benchmarks.flux_arithmetic import H200_BF16_FLOPS, FluxShape, step_flops, training_flops
from benchmarks.flux_inference import WAYS, InferenceOptions
from benchmarks.flux_lora_training import ON_FLUX, TrainingOptions
from benchmarks.measured_rows import MeasuredRows
from benchmarks.random_flux import FLUX_DEV
from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.domain.speed import parse_speed


@pytest.mark.parametrize(
    ("size_px", "text_tokens", "milliseconds", "training_tflop"),
    [(256, 512, 13.1, 21.3), (512, 512, 27.2, 45.5), (512, 128, 20.0, 33.0), (1024, 512, 94.2, 171.1)],
)
def test_a_step_takes_what_the_published_arithmetic_says(size_px, text_tokens, milliseconds, training_tflop):
    shape = FluxShape()
    assert step_flops(shape, size_px, text_tokens) / H200_BF16_FLOPS * 1e3 == pytest.approx(milliseconds, abs=0.05)
    assert training_flops(shape, size_px, text_tokens) / 1e12 == pytest.approx(training_tflop, abs=0.15)
    again = training_flops(shape, size_px, text_tokens, checkpointed=True) / training_flops(shape, size_px, text_tokens)
    assert 1.4 < again < 1.5


def test_the_random_architecture_is_flux_dev():
    with torch.device("meta"):
        transformer = FluxTransformer2DModel(**FLUX_DEV.transformer, guidance_embeds=True)
    assert FluxShape.of(transformer.config) == FluxShape()
    assert sum(weight.numel() for weight in transformer.parameters()) == 11_901_408_320


@pytest.mark.slow
def test_an_error_is_seen_in_every_measure(tmp_path, tiny_models):
    bench = flux_inference.Bench(
        InferenceOptions(out=tmp_path / "out.json", size_px=64, num_steps=4, text_tokens=16, error_images=2,
                         tiny=True, device="cpu", models_dir=tiny_models)
    )  # fmt: skip
    with bench._pipeline(parse_speed("first_block_cache=1")) as pipe:
        found = bench._errors(bench._pictures(pipe), parse_speed("first_block_cache=1"))
    assert found["psnr_db"] < 60 and found["feature_distance"] > 0 and found["latent_error"] > 1e-3


def test_every_way_is_one_that_can_be_chosen():
    assert all(parse_speed(line).text for name, line in WAYS.items() if name != "eager")
    with pytest.raises(InvalidRequest, match="Choose among eager, "):
        InferenceOptions(ways=("eeger",))


@pytest.mark.long
@pytest.mark.slow
def test_ways_are_measured_kept_and_not_measured_again(tmp_path, tiny_models):
    out = tmp_path / "out.json"
    options = InferenceOptions(
        out=out, tiny=True, ways=("eager", "fp8", "first_block_cache", "lora"), batches=(1, 2), error_images=2,
        device="cpu", models_dir=tiny_models, ceiling_tflops=0.1,
    )  # fmt: skip
    table = flux_inference.run(options)
    rows = json.loads(out.read_text())["rows"]
    assert rows["eager"]["psnr_db"] == 99 and rows["eager"]["feature_distance"] == pytest.approx(0, abs=1e-5)
    for way in ("eager", "first_block_cache", "lora"):
        assert rows[way]["whole"] and rows[way]["images_s_2"] > 0 and rows[way]["share_1"] > 0
    assert rows["first_block_cache"]["options"] == "first_block_cache=0.08"
    assert "pip install torchao" in rows["fp8"]["refused"] and "pip install torchao" in table
    assert rows["eager"]["latent_error"] == 0
    before = out.read_text()
    assert flux_inference.run(options) == table and out.read_text() == before
    with pytest.raises(InvalidRequest, match="other settings"):
        MeasuredRows(out, {"tiny": False}, 1)


@pytest.mark.long
@pytest.mark.slow
def test_presets_are_trained_a_few_steps(tmp_path):
    table = flux_lora_training.run(
        TrainingOptions(out=tmp_path / "out.json", tiny=True, steps=2, device="cpu", ceiling_tflops=0.1)
    )
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert set(rows) == {f"{preset}, 16 text tokens" for preset in ON_FLUX}
    for row in rows.values():
        assert row["images_s"] > 0 and row["mfu"] > 0 and row["modules"] == 2 * 14 + 4 * 6
    assert "| paper, 16 text tokens |" in table


def test_an_interrupted_table_keeps_its_rows_and_the_rest_is_measured_later(tmp_path):
    path = tmp_path / "rows.json"

    def breaks(add):
        add({"figure": 1.0})
        raise KeyboardInterrupt

    rows = MeasuredRows(path, {}, 1)
    rows.measure("whole", lambda add: add({"figure": 2.0}))
    with pytest.raises(KeyboardInterrupt):
        rows.measure("broken", breaks)
    again = MeasuredRows(path, {}, 1)
    again.measure("whole", breaks)
    again.measure("broken", lambda add: add({"figure": 3.0}))

    def cannot(add):
        raise ModelNotAvailable("it needs more")

    again.measure("cannot", cannot)
    late = MeasuredRows(path, {}, 0)
    late.measure("late", breaks)
    assert late.rows == {
        "whole": {"figure": 2.0, "whole": True},
        "broken": {"figure": 3.0, "whole": True},
        "cannot": {"refused": "it needs more", "whole": True},
    }
