"""The LoRA trainer on a tiny real pipeline: it learns, survives a kill, and both of its files are the same adapter."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from diffusers import FluxTransformer2DModel
from safetensors import safe_open
from safetensors.torch import load_file

from dermaflux.domain.errors import DataNotFound, InvalidRequest, ModelNotAvailable
from dermaflux.generation import choose_placement, load_pipeline
from dermaflux.generation.adapter_facts import read_adapter_facts
from dermaflux.generation.adapter_files import kohya_modules
from dermaflux.generation.adapters import Adapter, wear
from dermaflux.generation.catalogue import entry_of_folder
from training.flux_velocity import time_shift
from training.lora_config import PRESETS, LoraRun
from training.lora_layers import attach_lora, save_lora, trainable
from training.lora_loop import LoraTrainer
from training.rectified_flow import shifted
from training.run_status import status_of
from training.train_flux_lora import prepare, train


@pytest.fixture
def run(drawn_ham, tiny_models, tmp_path):
    return LoraRun(
        name="test", base=str(tiny_models / "nano"), data_dir=drawn_ham, measured=drawn_ham / "measured.csv",
        runs_dir=tmp_path / "runs", size_px=64, rank=4, alpha=8, num_steps=6, batch_size=8, eval_every=3, save_every=2,
        num_val=8, warmup_steps=1, num_wordings=2, precision="fp32", device="cpu", probe_every=0,
        models_dir=tiny_models,
    )  # fmt: skip


def trainer_of(run):
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=run.accumulate_steps)
    torch.manual_seed(run.seed)
    entry = entry_of_folder(Path(run.base), name="tiny")
    return LoraTrainer(run, prepare(run, entry, accelerator).material, accelerator)


def tiny(run):
    return load_pipeline(entry_of_folder(Path(run.base), name="tiny"), choose_placement("cpu", "float32"))


def losses(run):
    lines = (run.folder / "history.jsonl").read_text().splitlines()
    return {line["step"]: line["loss"] for line in map(json.loads, lines)}


def test_on_flux_dev_it_is_the_papers_adapter():
    with torch.device("meta"):
        transformer = FluxTransformer2DModel(guidance_embeds=True)
        assert attach_lora(transformer, PRESETS["paper"][1].rank, PRESETS["paper"][1].alpha) == 304
    assert sum(weight.numel() for weight in trainable(transformer)) == 306_315_264
    assert sum(len(layers) for layers in kohya_modules(19, 38).values()) == 494


@pytest.mark.slow
def test_it_learns_and_leaves_the_base_alone(run):
    trainer = trainer_of(replace(run, learning_rate=1e-2, batch_size=16, num_steps=40, ema_decay=0.9))
    transformer = trainer.material.transformer
    base = {n: p.clone() for n, p in transformer.named_parameters() if not p.requires_grad}
    before = trainer.validation_loss()["mean"]
    for _ in range(40):
        trainer.train_step()
    assert trainer.validation_loss()["mean"] < before - 0.02
    assert all(torch.equal(base[n], p) for n, p in transformer.named_parameters() if not p.requires_grad)


def velocity(transformer):
    torch.manual_seed(7)
    config = transformer.config
    with torch.no_grad():
        return transformer(
            hidden_states=torch.randn(1, 16, config.in_channels), timestep=torch.tensor([0.5]),
            pooled_projections=torch.randn(1, config.pooled_projection_dim),
            encoder_hidden_states=torch.randn(1, 8, config.joint_attention_dim),
            txt_ids=torch.zeros(8, 3), img_ids=torch.zeros(16, 3), return_dict=False,
        )[0]  # fmt: skip


def test_both_files_put_the_trained_weights_on_a_fresh_base(run, tmp_path):
    trainer = trainer_of(replace(run, learning_rate=3e-2))
    for _ in range(4):
        trainer.train_step()
    trained, path = trainer.material.transformer, tmp_path / "lora.safetensors"
    kohya = save_lora(trained, path, {})
    found = []
    for file in (path, kohya):
        pipe = tiny(run)
        base = velocity(pipe.transformer)
        assert wear(pipe, [Adapter.of_file(file)]) == 2 * 20
        found.append(velocity(pipe.transformer))
    assert torch.allclose(found[0], found[1], atol=1e-5)
    assert torch.allclose(found[0], velocity(trained), atol=2e-3)  # float16 on disk
    assert (base - found[0]).abs().max() > 0.02


@pytest.mark.slow
def test_the_files_say_what_they_are(run):
    path = train(run)
    for file in (path, path.with_name("test.kohya.safetensors")):
        with safe_open(file, "pt") as handle:
            facts = handle.metadata()
        assert (facts["dermaflux.rank"], facts["dermaflux.alpha"], facts["dermaflux.steps"]) == ("4", "8", "6")
        assert {"dermaflux.base", "dermaflux.caption_grammar", "dermaflux.data", "dermaflux.licence"} <= set(facts)


@pytest.mark.slow
@pytest.mark.parametrize(("accumulate_steps", "optimizer"), [(1, "adamw"), (2, "adamw"), (1, "adamw8bit")])
def test_a_run_continued_from_its_checkpoint_equals_an_unbroken_one(run, accumulate_steps, optimizer):
    run = replace(run, rank=64, accumulate_steps=accumulate_steps, optimizer=optimizer)
    whole = trainer_of(run)
    expected = [whole.train_step() for _ in range(6)]
    first = trainer_of(run)
    assert [first.train_step() for _ in range(3)] == expected[:3]
    first.save()
    second = trainer_of(replace(run, seed=run.seed))
    assert second.resume()
    assert [second.train_step() for _ in range(3)] == pytest.approx(expected[3:], abs=1e-6)
    for a, b in zip(whole.lora.weights, second.lora.weights, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_stopped_within_a_step_it_ends_that_step_says_so_and_goes_on_as_if_unbroken(run, monkeypatch):
    train(replace(run, name="whole"))
    stopped = replace(run, name="stopped")
    velocity_of = LoraTrainer._velocity

    def interrupted(trainer, *inputs):
        if trainer.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return velocity_of(trainer, *inputs)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LoraTrainer, "_velocity", interrupted)
        train(stopped)
    assert list(losses(stopped)) == [1, 2, 3]
    assert status_of(stopped.folder).state == "stopped"
    assert not (stopped.folder / "stopped.safetensors").exists()
    train(stopped)
    assert status_of(stopped.folder).state == "done"
    expected = losses(replace(run, name="whole"))
    assert list(losses(stopped).values()) == pytest.approx(list(expected.values()), abs=1e-6)


def test_a_run_that_fails_says_so_in_its_folder(run):
    missing = replace(run, name="failed", measured=run.runs_dir / "none.csv")
    with pytest.raises(DataNotFound):
        train(missing)
    status = status_of(missing.folder)
    assert status.state == "failed" and "none.csv" in status.why


def command_of(run, launch=()):
    """The command line of a run."""
    fields = ("name", "base", "data_dir", "measured", "runs_dir", "size_px", "rank", "alpha", "num_steps", "batch_size",
              "accumulate_steps", "eval_every", "save_every", "num_val", "warmup_steps", "num_wordings", "precision",
              "device", "probe_every", "models_dir")  # fmt: skip
    command = [sys.executable, *launch, "-m", "training.train_flux_lora", "smoke", "--diagnoses"]
    for field in fields:
        command += [f"--{field.replace('_', '-')}", str(getattr(run, field))]
    return command


@pytest.mark.long
@pytest.mark.slow
def test_a_killed_program_goes_on_with_the_same_losses(run, repository):
    train(replace(run, name="whole", num_steps=40))
    command = command_of(replace(run, name="killed", num_steps=40))
    history = run.runs_dir / "killed" / "history.jsonl"
    with subprocess.Popen(command, cwd=repository, stderr=subprocess.DEVNULL) as program:
        while program.poll() is None and not (history.is_file() and len(history.read_text().splitlines()) > 12):
            time.sleep(0.01)
        os.kill(program.pid, signal.SIGKILL)
    assert 12 < len(history.read_text().splitlines()) < 40
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "going on with" in done.stderr
    killed, whole = losses(replace(run, name="killed")), losses(replace(run, name="whole"))
    assert list(killed) == list(range(1, 41))
    assert list(killed.values()) == pytest.approx(list(whole.values()), abs=1e-5)


def test_times_are_shifted_as_the_sampler_shifts_them(run):
    trainer = trainer_of(run)
    shift = time_shift(trainer.material.scheduler_config, trainer.material.train.parts[0].first(1).data)
    scheduler = tiny(run).scheduler
    scheduler.set_timesteps(sigmas=[1.0, 0.5], mu=torch.tensor(shift).log().item())
    assert scheduler.sigmas[1] == pytest.approx(float(shifted(torch.tensor(0.5), shift)), abs=1e-5)


def test_a_folder_with_another_run_is_refused_and_kept(run):
    path = train(run)
    before = path.read_bytes()
    with pytest.raises(InvalidRequest, match="another rank, alpha"):
        train(replace(run, rank=2, alpha=2))
    assert path.read_bytes() == before


def test_only_the_chosen_classes_are_learned(run):
    assert len(trainer_of(replace(run, diagnoses=("mel",))).material.train) == 4
    with pytest.raises(DataNotFound, match="of df of split train"):
        trainer_of(replace(run, diagnoses=("df",)))


def test_tensorboard_gets_the_figures_of_the_history(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = replace(run, trackers=("tensorboard",))
    train(run)
    (folder,) = {path.parent for path in run.folder.rglob("events.out.tfevents*")}
    events = EventAccumulator(str(folder)).Reload()
    assert {e.step: pytest.approx(e.value) for e in events.Scalars("loss")} == losses(run)
    assert [e.step for e in events.Scalars("val_mean")] == [3, 6]


def test_a_tracker_that_is_not_installed_is_refused(run, monkeypatch):
    monkeypatch.setattr("training.trackers._INSTALLED", {"wandb": lambda: False})
    with pytest.raises(ModelNotAvailable, match="pip install wandb"):
        replace(run, trackers=("wandb",))
    with pytest.raises(InvalidRequest, match="trackers has 'excel'"):
        replace(run, trackers=("excel",))


@pytest.mark.parametrize(
    "change", [{"rank": 0}, {"size_px": 100}, {"caption_dropout": 1.0}, {"precision": "fp8"}, {"diagnoses": ("xyz",)}]
)
def test_what_cannot_be_trained_is_refused_by_name(run, change):
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        replace(run, **change)


@pytest.mark.slow
def test_the_text_length_is_one_in_training_in_the_probes_and_in_use(run, tmp_path):
    short = replace(run, text_tokens=12)
    trainer = trainer_of(short)
    assert trainer.material.train.draw(2, 0.5, torch.Generator()).tokens.shape[1] == 12
    assert trainer_of(run).material.train.first(1)[0].tokens.shape[1] == 64, "the base's own, without another"
    assert read_adapter_facts(train(short)).text_tokens == 12
    with pytest.raises(InvalidRequest, match="text_tokens is 600"):
        replace(run, text_tokens=600)


def history(run):
    return [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.long
@pytest.mark.slow
def test_two_processes_learn_what_one_learns_with_the_same_global_batch(run, repository):
    alone, shared = replace(run, name="alone", accumulate_steps=2), replace(run, name="shared", probe_every=3)
    train(alone)
    launch = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29519")
    done = subprocess.run(
        command_of(shared, launch), cwd=repository, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = history(alone), history(shared)
    assert [line["step"] for line in two] == [1, 2, 3, 4, 5, 6], "one process writes"
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], abs=1e-5)
    for a, b in zip(one, two, strict=True):
        assert b.get("val_mean") == pytest.approx(a.get("val_mean"), abs=1e-5)
        assert b.get("seen_mean") == pytest.approx(a.get("seen_mean"), abs=1e-5)
    assert [line["step"] for line in two if "memorisation_min" in line] == [3, 6]
    assert done.stderr.count("training pictures described") == 1, "one process looks"
    weights = [load_file(r.folder / f"{r.name}.safetensors") for r in (alone, shared)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-3) for name in weights[0])
    assert status_of(shared.folder).state == "done"
