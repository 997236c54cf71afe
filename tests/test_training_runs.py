"""Training runs through the services: asked, predicted, refused, listed and put to use. Nothing heavy is run."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.roles import Role, Visitor
from dermaflux.run_status import now, write_json
from dermaflux.services import Services
from dermaflux.services.training_cost import measured_seconds_a_step
from dermaflux.services.training_memory import FLUX, base_size, lora_parts
from dermaflux.services.training_programs import flags, training_programs, values_of
from dermaflux.services.training_recipe import script_of
from dermaflux.services.training_records import TrainingRequest
from dermaflux.settings import Settings

ANN, BEN = (Visitor(name=name, role=Role.CURATOR) for name in ("ann", "ben"))
CHIEF = Visitor(name="chief", role=Role.ADMIN)


@pytest.fixture
def services(tmp_path, tiny_models):
    with Services(Settings(data_dir=tmp_path / "data", models_dir=tiny_models)) as services:
        yield services


@pytest.fixture
def clinic(services):
    """A set of real pictures with a split: only its table is read here."""
    folder = services.settings.data_dir / "real" / "clinic"
    folder.mkdir(parents=True)
    rows = [f"p{i}.png,{'mel' if i % 2 else 'nv'},{'val' if i > 6 else 'train'}" for i in range(10)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,diagnosis,split", *rows]) + "\n")
    return folder


def lora(**fields):
    return TrainingRequest(**{"kind": "lora", "preset": "smoke", "name": "mine", "real": "clinic"} | fields)


def put_run(services, run_id, *, owner="", state="done", history=(), values=None):
    """A run as the supervisor and a trainer leave it."""
    folder = services.settings.data_dir / "runs" / run_id
    code = {"done": 0, "running": None, "stopped": 130}[state]
    told = {"pid": os.getpid(), "started": now(), "beat": now(), "exit_code": code}
    write_json(folder / "process.json", told if code is None else told | {"ended": now()})
    asked = {"owner": owner, "kind": run_id.split("/")[0], "preset": "smoke", "values": values}
    write_json(folder / "asked.json", asked)
    write_json(folder / "config.json", {"num_steps": 10})
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history))
    return folder


def test_only_what_differs_from_the_preset_becomes_a_flag():
    preset = training_programs()["lora"].presets["nano"]
    request = lora(preset="nano", fields={"rank": 8, "num_steps": 600, "diagnoses": ["df"], "learning_rate": 0.001})
    words = flags(values_of(request), preset.values)
    assert words == ["--diagnoses", "df", "--rank", "8", "--alpha", "8"]


@pytest.mark.parametrize("wrong", [
    {"kind": "nano"}, {"preset": "huge"}, {"name": "My Run"}, {"name": "../x"}, {"name": "a:b"}, {"name": "x.kohya"},
    {"fields": {"device": "cuda"}}, {"fields": {"rank": None}}, {"fields": {"rank": 2.5}}, {"synthetic": "set"},
])  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_words(wrong):
    with pytest.raises(InvalidRequest, match=r"\."):
        values_of(lora(**wrong))


def test_the_papers_run_needs_a_large_gpu_and_is_refused_without_one(services, clinic):
    assert FLUX.lora_a_rank * 64 == 306_315_264  # as training/train_flux_lora counts them
    values = values_of(lora(preset="paper"))
    need = sum(lora_parts(FLUX, values, on_gpu=True).values())
    assert 30 < need < 60
    more = lora_parts(FLUX, values | {"gradient_checkpointing": False}, on_gpu=True)
    assert sum(more.values()) > need
    if not services.training_cost(lora(preset="paper")).have_gb:
        with pytest.raises(InvalidRequest, match=r"needs about \d+.* has no GPU memory"):
            services.start_training("ann", lora(preset="paper"))
    assert not (services.settings.data_dir / "runs").exists()


def test_the_size_of_a_base_is_read_from_its_files(tiny_models):
    size = base_size(tiny_models / "nano", 64)
    assert (size.num_double, size.num_single, size.channels) == (1, 1, 32)
    assert 0 < size.lora_a_rank < size.transformer


@pytest.mark.parametrize(("gpu_gb", "preset"), [
    (0, "smoke"), (8.6, "smoke"), (12.9, "12gb"), (17.2, "16gb"), (25.8, "24gb"), (42.9, "24gb"), (51.5, "48gb"),
    (85.5, "paper"), (150.8, "h200"),
])  # fmt: skip
def test_the_wizard_begins_with_the_preset_made_for_this_machines_gpu(services, monkeypatch, gpu_gb, preset):
    monkeypatch.setattr("dermaflux.services.training_prediction.installed_gb", lambda place: gpu_gb)
    assert services.proposed_preset("lora") == preset
    assert services.proposed_preset("classifier") == next(iter(training_programs()["classifier"].presets))
    peaks = services.training_peaks("lora")
    assert set(peaks) == set(training_programs()["lora"].presets) and peaks["12gb"] < peaks["16gb"] < peaks["24gb"]


def test_memory_beside_a_gpu_counts_too(services, clinic, monkeypatch):
    monkeypatch.setattr(
        "dermaflux.services.training_prediction.installed_gb", lambda place: 17.2 if place == "GPU memory" else 16.0
    )
    cost = services.training_cost(lora(preset="16gb"))
    assert cost.need_gb < cost.have_gb and not cost.fits  # the base is loaded whole into 16 GB first
    with pytest.raises(InvalidRequest, match=r"GB of memory beside it, of 16\.0 GB"):
        services.start_training("ann", lora(preset="16gb"))


def test_only_the_pictures_of_the_chosen_diagnoses_are_counted(services, clinic):
    encoded = [
        services.training_cost(lora(fields={"diagnoses": chosen})).parts["pictures and captions, encoded"]
        for chosen in (["mel"], [], ["df"])
    ]
    assert encoded == pytest.approx([encoded[1] * 3 / 7, encoded[1], 0])


def test_what_a_run_says_of_itself_is_told(services):
    folder = put_run(services, "lora/copying", owner="ann")
    assert services.training_run(ANN, "lora/copying").note == ""
    write_json(folder / "status.json", {"state": "done", "since": now(), "note": "2 of 14 may be copied."})
    assert services.training_run(ANN, "lora/copying").note == "2 of 14 may be copied."


def test_time_is_unknown_until_a_run_like_it_was_made(services, clinic):
    assert services.training_cost(lora()).seconds is None
    history = [{"step": 1, "loss": 1.0, "seconds": 2.0}, {"step": 2, "loss": 1.0, "seconds": 4.0}]
    put_run(services, "lora/old", history=history, values=values_of(lora()))
    cost = services.training_cost(lora(fields={"num_steps": 8, "batch_size": 8}))
    assert cost.seconds == pytest.approx(2.0 * 2 * 8) and "old" in cost.basis
    assert services.training_cost(lora(preset="paper")).seconds is None


def test_a_resumed_history_does_not_count_the_pause():
    lines = [{"step": 1, "seconds": 10.0}, {"step": 3, "seconds": 14.0}, {"step": 4, "seconds": 0.5}]
    assert measured_seconds_a_step(lines) == 2.0
    assert measured_seconds_a_step(lines[:1]) is None


def test_runs_are_seen_by_who_made_them(services):
    put_run(services, "lora/anns", owner="ann")
    put_run(services, "classifier/nobodys")
    assert {run.name for run in services.training_runs(ANN)} == {"anns", "nobodys"}
    assert {run.name for run in services.training_runs(BEN)} == {"nobodys"}
    assert len(services.training_runs(CHIEF)) == 2
    for deed in (services.training_report, services.stop_training, services.resume_training, services.delete_training):
        with pytest.raises(DataNotFound, match="no run 'anns'"):
            deed(BEN, "lora/anns")
    with pytest.raises(DataNotFound):
        services.training_report(CHIEF, "lora/../../x")


def test_a_second_run_is_refused_while_one_is_under_way(services, clinic):
    put_run(services, "lora/secret", owner="ben", state="running")
    with pytest.raises(InvalidRequest, match="under way on this machine") as refusal:
        services.start_training("ann", lora())
    assert "secret" not in str(refusal.value)  # ben's run is his own
    assert not (services.settings.data_dir / "runs" / "lora" / "mine").exists()
    with pytest.raises(InvalidRequest, match="Stop it first"):
        services.delete_training(BEN, "lora/secret")


def test_a_finished_adapter_is_on_offer_and_gone_with_its_run(services):
    folder = put_run(services, "lora/fresh", owner="ann")
    assert services.training_run(ANN, "lora/fresh").product is None
    (folder / "fresh.safetensors").write_bytes(b"weights")
    (folder / "fresh.kohya.safetensors").write_bytes(b"weights")
    assert "fresh" in [adapter.name for adapter in services.adapters()]
    assert not any("kohya" in adapter.name for adapter in services.adapters())
    assert services.training_run(ANN, "lora/fresh").product == "fresh"
    services.delete_training(ANN, "lora/fresh")
    assert "fresh" not in [adapter.name for adapter in services.adapters()]


def test_a_finished_classifier_judges_when_it_is_chosen(services, tiny_models, tmp_path):
    folder = put_run(services, "classifier/own")
    with pytest.raises(InvalidRequest, match="finished no classifier"):
        services.use_classifier(CHIEF, "classifier/own")
    (folder / "model").symlink_to(tiny_models / "classifier")
    services.use_classifier(CHIEF, "classifier/own")
    assert services.classifier_folder() == folder / "model"
    with pytest.raises(InvalidRequest, match="judges at present"):
        services.delete_training(CHIEF, "classifier/own")
    with Services(services.settings) as restarted:
        assert restarted.judging_run() == "classifier/own"
    services.use_classifier(CHIEF, None)
    assert services.classifier_folder() == tiny_models / "classifier"


def test_real_pictures_without_a_split_are_refused_before_anything_is_loaded(services, clinic):
    (clinic / "metadata.csv").write_text("file_name,diagnosis\np.png,nv\n")
    with pytest.raises(DataNotFound, match="no picture of split val"):
        services.start_training("ann", lora())
    for name, words in (("elsewhere", "no real pictures named"), ("", "No real pictures are chosen"), ("..", "named")):
        with pytest.raises(DataNotFound, match=words):
            services.start_training("ann", lora(real=name))


def test_half_a_line_of_a_history_is_not_read(services):
    folder = put_run(services, "lora/torn", history=[{"step": 1, "loss": 0.5}])
    with (folder / "history.jsonl").open("a") as handle:
        handle.write('{"step": 2, "lo')
    assert services.training_run(CHIEF, "lora/torn").step == 1
    assert len(services.training_report(CHIEF, "lora/torn").history) == 1


def test_on_zero_gpu_nothing_starts_and_the_recipe_names_what_it_needs(services, clinic, monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    with pytest.raises(InvalidRequest, match="run recipe"):
        services.start_training("ann", lora())
    request = TrainingRequest(
        kind="classifier", preset="smoke", name="elsewhere", real="clinic", synthetic="good ones", ratio=0.5
    )
    with zipfile.ZipFile(services.training_recipe(request)) as archive:
        assert json.loads(archive.read("config.json"))["values"]["name"] == "elsewhere"
        script = archive.read("train.sh").decode()
        assert archive.getinfo("train.sh").external_attr >> 16 & 0o111
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    said = subprocess.run(["bash"], input=script, text=True, capture_output=True, env={"PATH": os.environ["PATH"]})
    assert said.returncode and "Set PICTURES to your folder" in said.stderr


@pytest.mark.slow
@pytest.mark.data
def test_the_recipe_of_the_smoke_preset_trains(data_dir, repository, tmp_path):
    request = TrainingRequest(kind="classifier", preset="smoke", name="from-recipe", fields={"optim.epochs": 1})
    script = script_of(request).replace("train_classifier smoke", f"train_classifier smoke --runs-dir {tmp_path}")
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(["bash"], input=script, text=True, cwd=repository, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "from-recipe" / "model" / "config.json").is_file()


def test_a_name_that_leads_out_of_its_folder_is_no_run(services):
    put_run(services, "lora/one")
    for run_id in ("lora/..", "lora/.", "lora/../lora/one"):
        with pytest.raises(DataNotFound, match="There is no run"):
            services.delete_training(CHIEF, run_id)
    assert services.training_run(CHIEF, "lora/one").state == "done"
