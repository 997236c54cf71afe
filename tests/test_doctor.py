"""`python -m dermaflux doctor` over a store that the real pipeline filled: finds, asks, mends, gives the right code."""

import json
import os
import time
from pathlib import Path

import fsspec
import pytest

from dermaflux.__main__ import main
from dermaflux.checksums import differences, write_checksums
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import SamplingRequest
from dermaflux.services import Services
from dermaflux.services.records import Ended, Finished
from dermaflux.settings import Settings

SPEC = LesionSpec(asymmetry=1.5, border=6, colours=("light brown", "dark brown"), diagnosis="mel")


@pytest.fixture
def environment(tiny_models, tmp_path, monkeypatch):
    write_checksums(tiny_models)
    for name, value in {"DATA_DIR": tmp_path / "data", "MODELS_DIR": tiny_models, "DEVICE": "cpu"}.items():
        monkeypatch.setenv(f"DERMAFLUX_{name}", str(value))
    return tmp_path / "data"


@pytest.fixture
def stored(environment):
    """Two images of a finished job, both accepted."""
    with Services(Settings.load()) as services:
        request = SamplingRequest(caption=services.compose_caption(SPEC), spec=SPEC, num_images=2, seed=7)
        job = services.submit_generation("ann", request)
        events = list(services.follow(job.job_id))
        assert events[-1] == Ended(job_id=job.job_id, state="done", error=None)
        images = [event.stored for event in events if isinstance(event, Finished)]
        for image in images:
            services.decide("mine", image.image_id, "ann", "accept")
    return images


def doctor(capsys, *flags):
    code = main(["doctor", *flags])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def terminal(monkeypatch):
    """A real terminal as stdin: what is written to it is what the user types."""
    above, below = os.openpty()
    with os.fdopen(above, "wb", buffering=0) as keyboard, os.fdopen(below) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield keyboard


def test_without_a_store_yet_all_is_well_and_nothing_is_made(environment, capsys):
    code, out, err = doctor(capsys)
    assert (code, err) == (0, "") and "none yet" in out
    assert not environment.exists()


def test_a_sound_store_is_one_line_a_check_and_code_0(stored, capsys):
    code, out, err = doctor(capsys)
    assert (code, err) == (0, "")
    names = ["database", "schema", "references", "decisions", "verdicts", "images", "orphans", "partials", "models"]
    assert [line.split()[:2] for line in out.splitlines()] == [["ok", name] for name in names]
    code, out, _ = doctor(capsys, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [line["check"] for line in lines] == names and all(line["ok"] for line in lines)


def test_a_lost_image_is_found_and_generated_again_to_the_same_bytes(stored, capsys):
    path = Path(stored[1].path)
    content = path.read_bytes()
    path.unlink()
    code, out, _ = doctor(capsys)
    assert code == 1 and "WRONG  images" in out and path.name in out and "--repair" in out
    code, out, _ = doctor(capsys, "--repair", "--yes")
    assert code == 0 and "mended 1 files restored" in out
    assert path.read_bytes() == content


def test_an_image_of_a_model_that_is_gone_is_not_made_up(stored, tmp_path, monkeypatch, capsys):
    Path(stored[0].path).unlink()
    (tmp_path / "models").mkdir()
    write_checksums(tmp_path / "models")
    monkeypatch.setenv("DERMAFLUX_MODELS_DIR", str(tmp_path / "models"))
    code, out, _ = doctor(capsys, "--repair", "--yes")
    assert code == 1 and "1 cannot be made again" in out
    assert not Path(stored[0].path).exists()


def test_without_a_terminal_and_without_yes_nothing_is_changed(stored, environment, capsys, monkeypatch):
    orphan = _orphan(environment)
    with open(os.devnull) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        code, _, err = doctor(capsys, "--repair")
    assert code == 1 and "no terminal" in err and "--yes" in err
    assert orphan.exists()


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"\n", 1), (b"y\n", 0)])
def test_each_repair_asks_and_no_is_no(stored, environment, capsys, terminal, answer, code):
    orphan = _orphan(environment)
    terminal.write(answer)
    found, _, err = doctor(capsys, "--repair")
    assert found == code and "[y/N]" in err
    assert orphan.exists() is (code == 1)
    kept = environment / "images" / ".quarantine" / "ab" / orphan.name
    assert kept.exists() is (code == 0)


def test_yes_without_repair_is_a_mistake(environment, capsys):
    code, _, err = doctor(capsys, "--yes")
    assert code == 2 and len(err.splitlines()) == 1


@pytest.mark.parametrize("url", ["nonsense", "postgresql+psycopg://postgres@/none?host=/nowhere"])
def test_a_database_that_cannot_be_opened_is_a_finding(environment, capsys, monkeypatch, url):
    monkeypatch.setenv("DERMAFLUX_DATABASE_URL", url)
    code, out, _ = doctor(capsys)
    assert code == 1 and out.startswith("WRONG  database")


def test_changed_weights_are_named(environment, tmp_path, capsys, monkeypatch):
    models = tmp_path / "models"
    (models / "small").mkdir(parents=True)
    for name in ("a", "b"):
        (models / "small" / name).write_text(name)
    monkeypatch.setenv("DERMAFLUX_MODELS_DIR", str(models))
    assert doctor(capsys)[0] == 1  # nothing is stated
    write_checksums(models)
    assert doctor(capsys)[0] == 0
    (models / "small" / "a").write_text("other")
    (models / "small" / "b").unlink()
    (models / "small" / "c").write_text("c")
    assert differences(models) == ("small/b is missing", "small/a was changed", "small/c is not stated")
    code, out, _ = doctor(capsys)
    assert code == 1 and "small/a was changed" in out


def test_the_embedded_models_are_those_that_were_stated(repository):
    """After weights were changed on purpose: python -m training.model_checksums."""
    assert differences(repository / "assets" / "models") == ()


def _orphan(data_dir):
    path = data_dir / "images" / "ab" / f"{'ab' * 32}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (time.time() - 3600,) * 2)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True, scope="session")
def test_it_examines_postgresql_and_remote_images_and_restores_from_the_cache(
    environment, new_database, tmp_path, monkeypatch, capsys, request
):
    with new_database(tmp_path) as url:
        monkeypatch.setenv("DERMAFLUX_DATABASE_URL", url)
        monkeypatch.setenv("DERMAFLUX_IMAGES_URL", f"memory://{tmp_path.name}")
        images = request.getfixturevalue("stored")
        assert all(Path(image.path).is_relative_to(environment / "image-cache") for image in images)
        code, out, _ = doctor(capsys)
        assert code == 0 and "postgresql 1" in out
        fsspec.filesystem("memory").rm(f"/{tmp_path.name}/{images[0].sha256[:2]}/{images[0].sha256}.png")
        assert doctor(capsys)[0] == 1
        code, out, _ = doctor(capsys, "--repair", "--yes")
        assert code == 0 and "1 files restored" in out
    assert not (environment / "dermaflux.db").exists()
