"""A whole captioning run: real files, the embedded measurement, a real server or a tiny real model; also killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from PIL import Image

from dermaflux.domain.errors import Cancelled, DataNotFound, InvalidRequest, ModelNotAvailable
from dermaflux.domain.records import Split
from dermaflux.measurement.measurer import Measurer
from training.caption_lines import load_captions, read_lines
from training.caption_text import BLIND_PROMPT, PAPER_PROMPT
from training.captioning import FILE, REPORT, caption_pictures
from training.captioning_config import PRESETS, CaptioningRun
from training.lora_cache import wordings
from training.lora_config import PRESETS as LORA_PRESETS
from training.own_pictures import load_own
from training.run_status import status_of
from training.train_flux_lora import train


@pytest.fixture
def run(chat_server, clinic, tiny_models, tmp_path):
    return CaptioningRun(
        name="test", model="vlm", url=chat_server.url, pictures=clinic, models_dir=tiny_models,
        runs_dir=tmp_path / "runs", concurrency=2, num_retries=0, limit=6,
    )  # fmt: skip


def lines(run):
    return read_lines(run.folder / FILE)


def test_a_run_writes_captions_readings_contradictions_and_a_report(run, chat_server):
    answers = iter(["The mole shows pronounced asymmetry. It is black. It is malignant.", "I'm sorry, I can't."])
    chat_server.reply = lambda body, nth: next(answers, "A symmetrical mole with a smooth border. It is light brown.")
    report = caption_pictures(replace(run, concurrency=1))
    found = lines(run)
    assert list(found) == [f"c{i:02d}" for i in range(6)] and len(chat_server.bodies) == 6
    assert all(body["messages"][0]["content"][1]["text"] == BLIND_PROMPT for body in chat_server.bodies)
    first, second, third = (found[f"c{i:02d}"] for i in range(3))
    assert first.caption == (
        "This photo depicts a benign lesion, melanocytic nevus. This photo is taken from a female patient, who is 60 "
        "years old. Here's a description of the mole: The mole shows pronounced asymmetry. It is black. It is on the "
        "back."
    )
    assert first.num_diagnostic == 1 and "malignant" in first.raw
    assert any("asymmetry: 2 stated" in wrong for wrong in first.contradictions)
    assert "colours: black named, not measured" in first.contradictions
    assert (second.caption, second.refused, second.raw) == (None, "The answer declines.", "I'm sorry, I can't.")
    assert third.spec.asymmetry == 0 and third.measured.asymmetry is not None
    assert not any("asymmetry" in wrong or "border" in wrong for wrong in third.contradictions)
    assert (report.num_captions, report.refused) == (5, {"The answer declines.": 1})
    assert json.loads((run.folder / REPORT).read_text()) == report.to_dict()
    assert status_of(run.folder).state == "done"


def test_done_pictures_are_not_asked_again_and_more_may_follow(run, chat_server):
    caption_pictures(run)
    before = (run.folder / FILE).read_bytes()
    caption_pictures(run)
    assert len(chat_server.bodies) == 6
    caption_pictures(replace(run, limit=None, concurrency=5))
    assert len(lines(run)) == len(chat_server.bodies) == 12
    assert (run.folder / FILE).read_bytes().startswith(before)


def test_other_settings_need_another_name(run):
    caption_pictures(run)
    with pytest.raises(InvalidRequest, match="another prompt, prompt_text"):
        caption_pictures(replace(run, prompt="paper"))
    with pytest.raises(InvalidRequest, match="another model"):
        caption_pictures(replace(run, model="other"))


def test_a_start_that_failed_does_not_hold_the_name(run, chat_server):
    chat_server.reply = lambda body, nth: (404, b"") if body["model"] == "vml" else "It is black."
    with pytest.raises(ModelNotAvailable, match="knows no model 'vml'"):
        caption_pictures(replace(run, model="vml"))
    assert caption_pictures(run).num_captions == 6


def test_the_papers_prompt_tells_the_label_of_each_picture(run, chat_server):
    caption_pictures(replace(run, prompt="paper", concurrency=1))
    asked = [body["messages"][0]["content"][1]["text"] for body in chat_server.bodies]
    assert asked == [PAPER_PROMPT.format(label=label) for label in ("benign", "malignant")] * 3


def test_failures_are_recorded_and_retried_with_the_flag(run, chat_server, clinic):
    with Image.open(clinic / "c03.png") as image:
        image.save(clinic / "c03.jpg")
    (clinic / "c03.png").write_bytes((clinic / "c03.jpg").read_bytes()[:-300])  # opens, does not decode
    busy = (500, b"busy")
    chat_server.reply = lambda body, nth: busy if nth == 0 and len(chat_server.bodies) <= 2 else "It is black."
    report = caption_pictures(run)
    assert (report.num_pictures, report.num_captions) == (6, 3)
    refused = {name: line.refused for name, line in lines(run).items() if line.refused}
    assert "cannot be read as an image" in refused.pop("c03") and set(refused.values()) == {"Status 500: busy"}
    asked = len(chat_server.bodies)
    caption_pictures(run)
    assert len(chat_server.bodies) == asked
    assert caption_pictures(replace(run, retry_refused=True)).num_captions == 5
    assert sorted(lines(run)) == [f"c{i:02d}" for i in range(6)]


def test_when_nothing_works_the_run_stops_before_it_has_failed_everywhere(run, chat_server):
    chat_server.reply = lambda body, nth: (500, b"broken")
    with pytest.raises(ModelNotAvailable, match=r"3 pictures in a row got no answer.*Status 500: broken"):
        caption_pictures(replace(run, limit=None, max_failures_in_a_row=3, concurrency=1))
    assert len(lines(run)) == 3
    status = status_of(run.folder)
    assert status.state == "failed" and "broken" in status.why


def test_stopped_it_keeps_what_is_under_way_and_goes_on(run, chat_server):
    both = threading.Barrier(2, timeout=5)

    def reply(body, nth):
        if len(chat_server.bodies) <= 2:
            both.wait()  # two are under way
            os.kill(os.getpid(), signal.SIGINT) if chat_server.bodies[0] is body else time.sleep(0.2)
        return "It is black."

    chat_server.reply = reply
    with pytest.raises(Cancelled, match="of 12 pictures left; the same command goes on"):
        caption_pictures(replace(run, limit=None))
    kept = len(chat_server.bodies)
    assert 2 <= len(lines(run)) == kept < 12
    assert status_of(run.folder).state == "stopped"
    caption_pictures(replace(run, limit=None))
    assert len(lines(run)) == len(chat_server.bodies) == 12


@pytest.mark.slow
def test_a_killed_program_loses_no_line_and_doubles_none(run, chat_server, repository):
    chat_server.reply = lambda body, nth: time.sleep(0.1) or "It is black."
    command = [sys.executable, "-m", "training.captioning", "sglang", "--concurrency", "1", "--limit", "None"]
    for field in ("name", "model", "url", "pictures", "models_dir", "runs_dir", "num_retries"):
        command += [f"--{field.replace('_', '-')}", str(getattr(run, field))]
    path = run.folder / FILE
    with subprocess.Popen(command, cwd=repository, stderr=subprocess.DEVNULL) as program:
        while program.poll() is None and not (path.is_file() and path.read_bytes().count(b"\n") >= 3):
            time.sleep(0.01)
        program.send_signal(signal.SIGKILL)
    before = path.read_bytes()
    assert 3 <= before.count(b"\n") < 12
    path.write_bytes(before + b'{"image_id": "c1')  # what a kill within a line leaves
    assert status_of(run.folder).state == "killed"
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(before)
    assert Counter(json.loads(line)["image_id"] for line in path.read_text().splitlines()) == Counter(
        f"c{i:02d}" for i in range(12)
    )
    assert "12 captions of 12 pictures" in done.stdout and "HTTP Request" not in done.stderr


def test_a_local_model_captions_too_and_other_weights_are_refused(run, tiny_mllama):
    local = replace(run, url="", model=str(tiny_mllama), max_new_tokens=8, device="cpu", limit=4, batch_size=3)
    report = caption_pictures(local)
    found = lines(local)
    assert report.num_pictures == len(found) == 4
    assert all(line.raw and line.revision.startswith("sha256:") and line.refused != "" for line in found.values())
    text = (local.folder / FILE).read_text()
    (local.folder / FILE).write_text(text.replace(found["c00"].revision, "sha256:0"))
    with pytest.raises(InvalidRequest, match=r"made by other weights \(sha256:0"):
        caption_pictures(replace(local, limit=None))


def test_pictures_that_cannot_be_told_apart_and_splits_without_pictures_are_refused(run, clinic):
    with pytest.raises(DataNotFound, match="no picture of split test"):
        caption_pictures(replace(run, splits=(Split.TEST,)))
    (clinic / "more").mkdir()
    (clinic / "more" / "c00.png").write_bytes((clinic / "c01.png").read_bytes())
    table = clinic / "metadata.csv"
    table.write_text(table.read_text() + "more/c00.png,nv,train,,,\n")
    with pytest.raises(InvalidRequest, match="2 pictures are called c00"):
        caption_pictures(replace(run, limit=None))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"url": "localhost:30000"}, "give an address"),
        ({"url": "http://me:secret@host/v1"}, "holds a name, a password"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"limit": 0}, "limit is 0"),
        ({"temperature": -1.0}, "temperature"),
        ({"diagnoses": ("moon",)}, "moon"),
        ({"archive_px": 100}, "archive of 100"),
        ({"name": "a/b"}, "plain folder name"),
    ],
)
def test_a_value_out_of_range_is_refused(changes, why):
    with pytest.raises(InvalidRequest, match=why):
        CaptioningRun(**changes)


def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(run, monkeypatch):
    monkeypatch.setenv("CAPTIONING_API_KEY", "gehei\nm")
    with pytest.raises(InvalidRequest, match="CAPTIONING_API_KEY") as error:
        caption_pictures(run)
    assert "gehei" not in str(error.value)


def test_the_key_is_read_from_the_variable_and_written_nowhere(run, chat_server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    caption_pictures(replace(run, key_variable="MY_KEY"))
    assert chat_server.headers[0][1]["Authorization"] == "Bearer sk-secret"
    assert not any(b"sk-secret" in path.read_bytes() for path in run.folder.iterdir())


def test_presets_name_themselves_and_only_one_tells_the_label():
    assert {name: run.name for name, (_, run) in PRESETS.items()} == {name: name for name in PRESETS}
    assert [name for name, (_, run) in PRESETS.items() if run.prompt == "paper"] == ["paper"]


def test_written_captions_are_learned_beside_the_measured_ones(run, clinic, tiny_models):
    caption_pictures(run)
    captions = load_captions(run.folder / FILE)
    (pictures,) = load_own(clinic, Split.TRAIN, [(64, 64)], Measurer.from_folder(tiny_models), (), captions)
    assert pictures.written == tuple(captions.get(f"c{i:02d}") for i in range(12))
    assert None in pictures.written and any(pictures.written)
    for row, written in zip(wordings(pictures, 3, seed=0), pictures.written, strict=True):
        assert len(row) == 3 and (written is None or row[-1] == written)
        assert not set(row[:-1]) & set(captions.values())
    assert not {caption for row in wordings(pictures, 0, seed=0) for caption in row} & set(captions.values())


@pytest.mark.slow
def test_a_lora_is_trained_with_written_captions_and_refuses_those_of_other_pictures(
    run, clinic, tiny_models, tmp_path
):
    caption_pictures(run)
    table = clinic / "metadata.csv"
    table.write_text(table.read_text().replace("c11.png,mel,train", "c11.png,mel,val"))
    lora = replace(
        LORA_PRESETS["smoke"][1], base=str(tiny_models / "nano"), models_dir=tiny_models, pictures=clinic, size_px=64,
        runs_dir=tmp_path / "lora", diagnoses=(), precision="fp32", device="cpu", probe_every=0,
        captions=run.folder / FILE,
    )  # fmt: skip
    assert train(lora).is_file()
    text = (run.folder / FILE).read_text()
    (run.folder / FILE).write_text(text.replace('"image_id": "c', '"image_id": "x'))
    with pytest.raises(DataNotFound, match="belongs to a picture here"):
        train(replace(lora, name="other"))
