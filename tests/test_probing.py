"""Does the accepted set help, asked through services and command line: sides, cache, refusals, with real models."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dermaflux.__main__ import main
from dermaflux.domain.errors import DataNotFound, InvalidRequest, ModelNotAvailable
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.services import Services
from dermaflux.services.embedding_cache import MAX_PARTS, EmbeddingCache
from dermaflux.services.real_sides import open_sides
from dermaflux.services.records import ProbeRequest, ProbeStep
from dermaflux.settings import Settings

BROWN = {"nv": (170, 120, 90), "mel": (50, 30, 35)}


def lesion(diagnosis, rng):
    """A spot in the colour of its diagnosis, a little different every time."""
    picture = Image.new("RGB", (72, 72), (225, 185, 165))
    x, y = rng.integers(28, 44, 2)
    colour = tuple(int(v) for v in np.array(BROWN[diagnosis]) + rng.integers(-12, 12, 3))
    ImageDraw.Draw(picture).ellipse((x - 16, y - 13, x + 16, y + 13), fill=colour)
    return picture


def real_set(folder, per_side, split=True):
    """Real pictures of two diagnoses, two of a lesion, train and val; without `split` the table does not say which."""
    folder.mkdir()
    rng, rows = np.random.default_rng(0), []
    for side, count in per_side.items():
        for row in range(count):
            diagnosis, name = ("nv", "mel")[row // 2 % 2], f"{side}{row}.png"
            lesion(diagnosis, rng).save(folder / name)
            rows.append(f"{name},{diagnosis},{side}-{row // 2}" + (f",{side}" if split else ""))
    columns = "file_name,diagnosis,lesion_id" + (",split" if split else "")
    (folder / "metadata.csv").write_text("\n".join([columns, *rows]) + "\n")
    return folder


def accept(services, diagnosis, seed, dataset="mine"):
    spec = LesionSpec(asymmetry=1, border=4, colours=("dark brown",), diagnosis=diagnosis) if diagnosis else None
    drawn = GeneratedImage(
        image=lesion(diagnosis or "nv", np.random.default_rng(seed)), image_index=0, seed=seed, seconds=1,
        request=SamplingRequest(caption="a lesion", spec=spec, seed=seed, num_steps=1, guidance_scale=1, size_px=64),
        identity=ModelIdentity(model="nano", model_sha256="a" * 64, licence="test"),
    )  # fmt: skip
    image_id = services._store().add_image(drawn).image_id
    services.decide(dataset, image_id, "ann", "accept")
    return image_id


@pytest.fixture
def services(tiny_models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(models_dir=tiny_models, data_dir=tmp_path / "data", device="cpu")
    with Services(settings) as services:
        yield services


def ask(services, real, **fields):
    *steps, report = services.probe(ProbeRequest(dataset="mine", real=real, **fields))
    return [step for step in steps if isinstance(step, ProbeStep)], report


def test_only_real_held_out_pictures_judge_and_vectors_are_kept(services, tmp_path):
    real = real_set(tmp_path / "real", {"train": 24, "val": 24, "test": 8})
    for seed in range(3):
        accept(services, "mel", seed)
    copied = accept(services, "nv", 99)
    services.mark_memorised([copied], {copied})
    accept(services, None, 7)  # free text says no diagnosis
    steps, report = ask(services, real)
    assert (report.num_real, report.num_added, report.num_held_out, report.num_lesions) == (24, 3, 24, 12)
    assert report.classes["mel"].num_added == 3 and report.classes["nv"].num_added == 0
    assert any(step.doing == "Describing pictures" and step.total > 24 for step in steps)
    again, same = ask(services, real)
    assert same == report
    assert not any(step.doing == "Describing pictures" for step in again)
    packed = tmp_path / "real.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(real.iterdir()):
            archive.write(path, path.name)
    again, same = ask(services, packed)
    assert same == report and not any(step.doing == "Describing pictures" for step in again)


def test_a_stopped_probe_keeps_what_was_described(services, tmp_path):
    real = real_set(tmp_path / "real", {"train": 60, "val": 24})
    accept(services, "mel", 0)
    asked = services.probe(ProbeRequest(dataset="mine", real=real, num_draws=2))
    described = (s for s in asked if s.doing == "Describing pictures" and s.done)
    first = next(described)
    asked.close()
    left = next(s for s in services.probe(ProbeRequest(dataset="mine", real=real, num_draws=2)) if s.total)
    assert 0 < first.done < first.total and left.total == first.total - first.done


def test_without_a_split_a_third_of_the_lesions_judges_and_none_is_on_both_sides(tmp_path):
    real = real_set(tmp_path / "real", {"any": 300}, split=False)
    with open_sides(real, "train", "val") as sides:
        training, judging = ({p.lesion_id for p in side} for side in (sides.training, sides.held_out))
        assert not training & judging
        assert len(training | judging) == 150 and 35 <= len(judging) <= 65


def test_a_lesion_on_both_sides_of_the_table_only_judges(tmp_path):
    real = real_set(tmp_path / "real", {"train": 8, "val": 8})
    table = (real / "metadata.csv").read_text().replace("train-0", "val-0")
    (real / "metadata.csv").write_text(table)
    with open_sides(real, "train", "val") as sides:
        assert (len(sides.training), len(sides.held_out)) == (6, 8)


def test_a_picture_that_is_in_both_splits_under_two_names_is_not_learned_from(services, tmp_path):
    real = real_set(tmp_path / "real", {"train": 24, "val": 24})
    for row in range(6):
        (real / f"train{row}.png").write_bytes((real / f"val{row}.png").read_bytes())
    accept(services, "mel", 0)
    _, report = ask(services, real, num_real=24)
    assert report.num_real == 18


def test_plain_real_classes_make_the_added_ones_plain(services, tmp_path):
    real = real_set(tmp_path / "real", {"train": 24, "val": 24})
    table = (real / "metadata.csv").read_text().replace(",nv,", ",benign,").replace(",mel,", ",malignant,")
    (real / "metadata.csv").write_text(table)
    accept(services, "mel", 0)
    _, report = ask(services, real)
    assert report.classes["malignant"].num_added == 1 and report.num_added_left_out == 0


def test_what_is_missing_is_said_in_words(services, tmp_path):
    real = real_set(tmp_path / "real", {"train": 24, "val": 24})
    with pytest.raises(DataNotFound, match="There is no dataset 'mine'"):
        ask(services, real)
    services.create_dataset("mine")
    with pytest.raises(InvalidRequest, match="No image with a diagnosis is accepted in mine yet"):
        ask(services, real)
    accept(services, "mel", 0)
    with pytest.raises(DataNotFound, match="none of split 'test'"):
        ask(services, real, held_out="test")
    with pytest.raises(ModelNotAvailable, match="nowhere does not exist"):
        ask(services, real, features=Path("nowhere"))
    (real / "metadata.csv").unlink()
    with pytest.raises(DataNotFound, match="0 pictures with a diagnosis"):
        ask(services, real)


def test_real_sets_are_known_by_name_only(services, tmp_path):
    with pytest.raises(DataNotFound, match="import-real"):
        services.real_set()
    services.import_real(real_set(tmp_path / "clinic", {"train": 4, "val": 4}), "clinic")
    (tmp_path / "data" / "real" / "ham.zip").write_bytes(b"")
    assert services.real_sets() == ("clinic", "ham.zip")
    assert services.real_set() == services.real_set("clinic") == tmp_path / "data" / "real" / "clinic"
    with pytest.raises(DataNotFound, match=r"Known: clinic, ham\.zip"):
        services.real_set("../../etc")


def test_cached_vectors_survive_damage_and_are_merged(tmp_path):
    folder = tmp_path / "vectors"

    def fill(keys):
        cache, asked = EmbeddingCache(folder), []

        def embed(rows):
            asked.extend(keys[row] for row in rows)
            return np.array([[float(len(keys[row])), 1.0] for row in rows], np.float32)

        list(cache.fill(keys, embed))
        assert [float(cache.vectors[key][0]) for key in keys] == [len(key) for key in keys]
        return asked

    assert fill(["a", "bb", "a"]) == ["a", "bb"]
    assert fill(["a", "ccc"]) == ["ccc"]
    for number in range(MAX_PARTS):
        fill([f"x{number}"])
    assert fill(["bb", "ccc", "x0"]) == []
    parts = list(folder.iterdir())
    assert len(parts) < MAX_PARTS
    for part in parts:
        part.write_bytes(part.read_bytes()[:100])
    assert fill(["a", "bb"]) == ["a", "bb"]
    assert all(path.suffix == ".npz" for path in folder.iterdir())


@pytest.mark.slow
def test_the_command_answers_with_the_embedded_classifier(services, tmp_path, repository, monkeypatch, capsys):
    real_set(tmp_path / "real", {"train": 12, "val": 20})
    for seed in range(2):
        accept(services, "mel", seed)
    monkeypatch.setenv("DERMAFLUX_DATA_DIR", "data")
    monkeypatch.setenv("DERMAFLUX_MODELS_DIR", str(repository / "assets" / "models"))
    asked = ["evaluate", "probe", "--dataset", "mine", "--real", "real", "--num-real", "12", "--num-draws", "2"]
    assert main([*asked, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["num_added"] == 2 and report["verdict"] in ("helps", "harms", "cannot be told")
    delta = report["balanced_accuracy"]["delta"]
    assert delta["low"] <= delta["value"] <= delta["high"]
    assert main(asked) == 0
    out = capsys.readouterr().out
    assert "recall mel" in out and "The accepted set of 2 images" in out
    assert main([*asked, "--features", "nowhere"]) == 2
    assert main(["evaluate", "probe", "--dataset", "other", "--real", "real"]) == 2
    assert main([*asked[:6], "--num-real", "3"]) == 2
    assert "num_real is 3" in capsys.readouterr().err
