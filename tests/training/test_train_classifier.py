"""The classifier trainer through its real path, on drawn pictures: runs, resumes, refuses, exports."""

import csv
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from dermaflux.classification import LesionClassifier
from dermaflux.domain.errors import Cancelled, DataNotFound, InvalidRequest, ModelNotAvailable
from training.classifier_config import PRESETS, ClassifierRun, DataConfig, OptimConfig
from training.classifier_data import TrainFrames, class_names_of, open_data, part
from training.classifier_loop import STATE_NAME
from training.synthetic_source import SyntheticConfig
from training.train_classifier import main, run_training


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    rows = []
    for index in range(72):
        name, malignant = f"{index:03}.png", index % 3 == 0
        image = Image.new("RGB", (40, 30), (220, 180, 160))
        x, y = int(rng.integers(10, 30)), int(rng.integers(9, 21))
        ImageDraw.Draw(image).ellipse([x - 6, y - 6, x + 6, y + 6], fill=(50, 30, 30) if malignant else (180, 120, 100))
        pixels = np.asarray(image) + rng.normal(scale=6, size=(30, 40, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name)
        rows.append((name, "mel" if malignant else "bkl" if index % 3 == 1 else "nv", "train" if index < 48 else "val"))
    with (root / "metadata.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("file_name", "diagnosis", "split"), *rows])
    return root


@pytest.fixture
def run(folder, tmp_path):
    return ClassifierRun(
        name="test", runs_dir=tmp_path / "runs", model="stem_vit_tiny", size_px=32, device="cpu", precision="fp32",
        data=DataConfig(folder=folder, frame_px=(40, 30)), optim=OptimConfig(epochs=3, batch_size=16, ema_decay=0.9),
    )  # fmt: skip


def _stop_at(step):
    def on_step(trainer, loss):
        if trainer.step == step:
            raise Cancelled("enough")

    return on_step


def _history(run):
    return [json.loads(line) for line in (run.run_dir / "history.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_trains_and_exports_a_servable_checkpoint(run, tmp_path):
    run = replace(run, export_dir=tmp_path / "served", optim=replace(run.optim, epochs=8, learning_rate=3e-3))
    losses = []
    facts = run_training(run, lambda trainer, loss: losses.append(loss))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert facts.class_names == ("nv", "bkl", "mel") and facts.malignant == (False, False, True)
    assert facts.metrics["val"]["auc"] >= 0.9 and facts.metrics["val"]["num_pictures"] == 24
    lines = _history(run)
    assert [line["epoch"] for line in lines] == list(range(1, 9)) and 0 <= lines[-1]["val_auc"] <= 1
    served = LesionClassifier.from_folder(tmp_path / "served")
    assert served.facts == facts == LesionClassifier.from_folder(run.run_dir / "model").facts


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 3, 7])
def test_a_run_stopped_at_any_step_goes_on_to_the_same_weights(run, step):
    whole = replace(run, name="whole")
    wanted = []
    run_training(whole, lambda trainer, loss: wanted.append(loss))
    seen = []

    def stop(trainer, loss):
        seen.append(loss)
        _stop_at(step)(trainer, loss)

    with pytest.raises(Cancelled):
        run_training(run, stop)
    run_training(replace(run, resume=True), lambda trainer, loss: seen.append(loss))
    assert seen == wanted
    states = [torch.load(r.run_dir / STATE_NAME, weights_only=True) for r in (whole, run)]
    for part_name in ("network", "average"):
        for key, value in states[0][part_name].items():
            torch.testing.assert_close(value, states[1][part_name][key], atol=0, rtol=0)
    assert [line["val_auc"] for line in _history(run)] == [line["val_auc"] for line in _history(whole)]


def test_a_killed_run_goes_on_from_its_last_epoch(run):
    class Killed(RuntimeError):
        pass

    def die(trainer, loss):
        if trainer.step == 5:
            raise Killed

    with pytest.raises(Killed):
        run_training(run, die)
    steps = []
    run_training(replace(run, resume=True), lambda trainer, loss: steps.append(trainer.step))
    assert steps[0] == 4 and steps[-1] == 9, "epoch 1 ended at step 3"
    assert [line["step"] for line in _history(run)] == [3, 6, 9]
    assert not list(run.run_dir.glob(".*")), "no partial file is left"


def test_a_taken_name_is_not_overwritten(run):
    with pytest.raises(Cancelled):
        run_training(run, _stop_at(1))
    with pytest.raises(InvalidRequest, match="--resume"):
        run_training(run)


def test_resuming_something_else_is_refused(run):
    with pytest.raises(ModelNotAvailable, match="nothing to resume"):
        run_training(replace(run, resume=True))
    with pytest.raises(Cancelled):
        run_training(run, _stop_at(1))
    with pytest.raises(ModelNotAvailable, match="another seed"):
        run_training(replace(run, resume=True, seed=1))


def test_the_clock_ends_a_run_and_its_schedule(run):
    run = replace(run, optim=replace(run.optim, epochs=10_000, max_minutes=0.02))
    seen = []
    run_training(run, lambda trainer, loss: seen.append(trainer.progress))
    assert len(_history(run)) < 200 and seen == sorted(seen)


@pytest.mark.slow
def test_a_run_without_gain_stops_by_patience(run):
    run = replace(run, optim=replace(run.optim, epochs=50, patience=2, learning_rate=1e-9))
    run_training(run)
    assert len(_history(run)) < 40


@pytest.mark.slow
def test_any_timm_model_trains(run):
    run = replace(run, model="test_vit3", size_px=64, optim=replace(run.optim, epochs=1))
    assert run_training(run).architecture.name == "test_vit3"
    run = replace(run, name="cnn", model="test_resnet")
    facts = run_training(run)
    (answer,) = LesionClassifier.from_folder(run.run_dir / "model").predict(
        [Image.effect_noise((50, 50), 80).convert("RGB")]
    )
    assert facts.num_turns >= 1 and 0 <= answer.malignant <= 1


def test_both_kinds_and_both_splits_are_needed(folder, tmp_path):
    data = open_data(DataConfig(folder=folder, frame_px=(40, 30)))
    assert class_names_of(data) == ("nv", "bkl", "mel")
    with pytest.raises(InvalidRequest, match="benign and malignant"):
        class_names_of(data.where(lambda record: record.diagnosis == "nv"))
    with pytest.raises(DataNotFound, match="test"):
        part(data, "test", None)


def test_the_limit_keeps_every_class(folder):
    data = open_data(DataConfig(folder=folder, frame_px=(40, 30)))
    few = part(data, "train", 9)
    assert len(few) == 9 and {str(r.diagnosis) for r in few.records} == {"nv", "bkl", "mel"}


def test_sampling_weights_balance_the_classes():
    frames, labels = torch.zeros(10, 4, 4, 3, dtype=torch.uint8), torch.tensor([0] * 8 + [1] * 2)
    frames = TrainFrames(frames=frames, labels=labels, weights=torch.ones(10))
    for balance, share in ((0.0, 0.2), (0.5, 1 / 3), (1.0, 0.5)):
        weights = frames.sampling_weights(balance, 2)
        assert float(weights[8:].sum() / weights.sum()) == pytest.approx(share)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_says_what_it_costs(name):
    text, config = PRESETS[name]
    assert len(text) > 20 and config.name == name


@pytest.fixture
def arguments(folder, tmp_path):
    common = ["smoke", "--runs-dir", str(tmp_path), "--size-px", "32", "--device", "cpu"]
    return [*common, "--data.folder", str(folder), "--data.frame-px", "40", "30", "--data.limit", "None"]


@pytest.mark.slow
def test_the_command_trains(arguments, tmp_path):
    command = [sys.executable, "-m", "training.train_classifier", *arguments, "--optim.epochs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "val AUC" in done.stdout and "step" in done.stderr
    assert (tmp_path / "smoke" / "model" / "config.json").is_file()


@pytest.mark.slow
def test_two_processes_share_a_run_and_agree_on_its_end(arguments, tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29517"]
    options = ["--optim.epochs", "6", "--optim.patience", "2", "--optim.max-minutes", "5", "--optim.batch-size", "8"]
    command = [*launch, "-m", "training.train_classifier", *arguments, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(text) for text in (tmp_path / "smoke" / "history.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 3, "48 pictures, two batches of 8 a step"
    assert [line["epoch"] for line in lines] == list(range(1, len(lines) + 1)), "one process writes"
    assert LesionClassifier.from_folder(tmp_path / "smoke" / "model").facts.metrics["val"]["num_pictures"] == 24


@pytest.mark.slow
def test_synthetic_pictures_join_by_ratio_and_the_checkpoint_says_so(run, tmp_path, write_synthetic):
    for index in range(60):
        write_synthetic(tmp_path / "made" / f"{index:02}.png", ("mel", "nv", "bkl")[index % 3])
    seen = {}

    def look(trainer, loss):
        seen["pictures"] = len(trainer.frames)

    config = SyntheticConfig(folder=tmp_path / "made", ratio=0.5)
    facts = run_training(replace(run, synthetic=config), look)
    assert seen["pictures"] == 48 + 24
    assert facts.training["synthetic"] == {
        "folder": "made", "ratio": 0.5, "weight": 1.0, "keep": "all", "alone": False
    }  # fmt: skip
    assert len(facts.training["synthetic_sha256"]) == 64
    with pytest.raises(InvalidRequest, match="the folder holds 60"):
        run_training(replace(run, name="more", synthetic=replace(config, ratio=2.0)))
    alone = replace(run, name="alone", synthetic=replace(config, alone=True))
    assert run_training(alone, look).metrics["val"]["auc"] > 0.5 and seen["pictures"] == 24


def test_epochs_of_a_given_length_make_budgets_equal(run):
    steps = []
    run = replace(run, optim=replace(run.optim, epochs=2, steps_per_epoch=5))
    run_training(run, lambda trainer, loss: steps.append(trainer.step))
    assert steps == list(range(1, 11)) and [line["step"] for line in _history(run)] == [5, 10]


@pytest.mark.slow
def test_an_earlier_run_is_gone_on_from(run):
    run_training(replace(run, name="first", optim=replace(run.optim, epochs=8, learning_rate=3e-3)))
    losses = []
    start = replace(run, weights=run.runs_dir / "first" / "model", optim=replace(run.optim, epochs=1))
    run_training(start, lambda trainer, loss: losses.append(loss))
    scratch = []
    run_training(replace(start, name="scratch", weights=None), lambda trainer, loss: scratch.append(loss))
    assert losses[0] < scratch[0]


@pytest.mark.parametrize(
    "wrong",
    [["--sise-px", "64"], ["--precision", "fp8"], ["--optim.epochs", "0"], ["--data.folder", "nowhere"]],
)
def test_the_command_refuses_what_is_mistyped(arguments, wrong, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train_classifier", *arguments, *wrong])
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    try:
        code = main()
    except SystemExit as left:
        code = left.code
    said = capsys.readouterr()
    assert code == 2 and (said.err or said.out)


@pytest.mark.data
def test_the_real_pictures_load_by_split(data_dir):
    data = open_data(DataConfig(data_dir=data_dir, limit=40))
    few = part(data, "train", 40)
    assert len(class_names_of(few)) == 7
    assert len(part(data, "train", None)) == 7090 and len(part(data, "val", None)) == 979
