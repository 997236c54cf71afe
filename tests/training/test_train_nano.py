"""Nano's trainer on drawn lesions: it learns, stops, resumes to the same weights, exports a pipeline that loads."""

import json
from dataclasses import replace

import pytest
import torch
from diffusers import FluxPipeline

from dermaflux.domain.errors import DataNotFound, InvalidRequest, ModelNotAvailable
from dermaflux.domain.records import Split
from dermaflux.generation import Generator
from dermaflux.generation.patch_autoencoder import PatchAutoencoder
from training.nano_data import CaptionStyle, draw_batch, load_captioned
from training.train_nano import PRESETS, NanoTrainer, TrainNanoConfig, train


@pytest.fixture
def config(drawn_ham, tmp_path):
    smoke: TrainNanoConfig = PRESETS["smoke"][1]
    return replace(
        smoke,
        data_dir=drawn_ham,
        measured=drawn_ham / "measured.csv",
        runs_dir=tmp_path / "runs",
        out=tmp_path / "nano",
        precision="fp32",
    )


def test_what_cannot_be_measured_is_left_out_and_classes_are_balanced(drawn_ham):
    pictures = load_captioned(drawn_ham, drawn_ham / "measured.csv", Split.TRAIN, 64)
    assert len(pictures) == 15
    melanomas = torch.tensor([spec.malignant for spec in pictures.specs])
    assert pictures.weights[melanomas].sum() / pictures.weights.sum() == pytest.approx(2 / (2 + 11**0.5))


def test_a_batch_depends_on_its_seed_alone_and_says_what_is_measured(drawn_ham):
    pictures = load_captioned(drawn_ham, drawn_ham / "measured.csv", Split.TRAIN, 64)
    quiet = CaptionStyle(plain_class=0, hide_patient=1, hide_site=1, hide_tone=1)
    batches = [draw_batch(pictures, 6, torch.Generator().manual_seed(5), quiet) for _ in range(2)]
    assert torch.equal(batches[0][0], batches[1][0])
    assert batches[0][1] == batches[1][1]
    for image, caption in zip(*batches[0], strict=True):
        assert ("melanoma" in caption) == bool(image[:, 32, 16].mean() < -0.2)


def test_without_measurements_it_says_how_to_make_them(config, tmp_path):
    with pytest.raises(DataNotFound, match="measure_training_set"):
        train(replace(config, measured=tmp_path / "none.csv"))


@pytest.mark.parametrize("change", [{"precision": "fp8"}, {"size_px": 100}, {"caption_dropout": 1.0}])
def test_what_cannot_be_trained_is_refused_by_name(config, change):
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        replace(config, **change)


@pytest.mark.slow
def test_a_run_stopped_and_continued_equals_an_unbroken_one(config):
    whole = NanoTrainer(config)
    losses = [whole.run_step() for _ in range(4)]
    first = NanoTrainer(config)
    assert [first.run_step() for _ in range(2)] == losses[:2]
    first.save()
    second = NanoTrainer(config)
    assert second.resume()
    assert [second.run_step() for _ in range(2)] == pytest.approx(losses[2:], abs=1e-6)
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.long
@pytest.mark.slow
def test_it_learns_and_exports_a_pipeline_that_loads(config):
    config = replace(config, num_steps=60, batch_size=16, eval_every=30, learning_rate=3e-3, ema_decay=0.9, num_val=8)
    folder = train(config)
    history = [json.loads(line) for line in (config.runs_dir / "smoke" / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in history] == [30, 60]
    assert history[1]["val_mean"] < history[0]["val_mean"] < 2
    vae = PatchAutoencoder.from_pretrained(folder / "vae")
    pipeline = FluxPipeline.from_pretrained(folder, vae=vae, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline("a lesion", height=64, width=64, num_inference_steps=2, max_sequence_length=64).images[0]
    assert image.size == (64, 64)
    assert json.loads((folder / "dermaflux.json").read_text())["size_px"] == 64


def test_every_preset_is_valid():
    assert set(PRESETS) == {"smoke", "cpu", "h200"}
    assert all(text for text, _ in PRESETS.values())


@pytest.mark.slow
def test_it_goes_on_from_a_saved_nano_with_all_of_its_weights_learning(config, tmp_path):
    saved = train(config)
    later = NanoTrainer(replace(config, name="later", start_from=saved, learning_rate=1e-2, warmup_steps=0))
    first = NanoTrainer(config)
    first.resume()
    first.ema.copy_to(first.model.parameters())
    for kept, loaded in zip(first.model.parameters(), later.model.parameters(), strict=True):
        assert torch.allclose(kept, loaded, atol=2e-3)  # float16 on disk
    assert torch.allclose(first.pipeline.vae.analysis, later.pipeline.vae.analysis, atol=2e-3)
    before = [weight.clone() for weight in later.model.parameters()]
    later.run_step()
    moved = [not torch.equal(a, b) for a, b in zip(before, later.model.parameters(), strict=True)]
    assert sum(moved) > 0.9 * len(moved)


def test_a_folder_to_go_on_from_that_holds_no_pipeline_is_refused(config, tmp_path):
    with pytest.raises(ModelNotAvailable):
        NanoTrainer(replace(config, start_from=tmp_path))


@pytest.mark.slow
def test_a_diffusion_trains_alike_but_is_no_model_of_the_app(config):
    config = replace(config, objective="epsilon")
    folder = train(config)
    assert json.loads((folder / "model_index.json").read_text())["scheduler"][1] == "DPMSolverMultistepScheduler"
    with pytest.raises(ModelNotAvailable, match="no rectified flow"):
        Generator.load(str(folder))
