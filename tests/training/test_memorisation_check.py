"""How near samples come to training pictures: by the shipped descriptor on drawn pictures, and through the trainer."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from safetensors import safe_open

from dermaflux.classification.descriptor import (
    DescriptorConfig,
    DescriptorNet,
    LesionDescriptor,
    save_descriptor,
)
from dermaflux.domain.lesion import LesionSpec
from dermaflux.run_status import status_of
from training.lora_config import PRESETS
from training.memorisation_check import VECTORS_NAME, copies_in_words, prepare_check
from training.nano_data import CaptionedPictures
from training.train_flux_lora import train


def drawn(*seeds):
    """Spots on skin, each of its own kind (H, W, 3)."""
    return [np.asarray(_spot(np.random.default_rng(seed))) for seed in seeds]


def _spot(rng):
    picture = Image.new("RGB", (96, 96), tuple(int(v) for v in rng.integers((200, 150, 120), (245, 205, 190))))
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for _ in range(rng.integers(1, 5)):
        radii = rng.uniform(12, 34) * (1 + 0.3 * np.cos(rng.integers(2, 6) * angles + rng.uniform(0, 6)))
        points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] + rng.uniform(34, 62, 2)
        colour = tuple(int(v) for v in rng.integers((40, 20, 10), (170, 110, 90)))
        ImageDraw.Draw(picture).polygon([tuple(point) for point in points], fill=colour)
    return picture.filter(ImageFilter.GaussianBlur(1))


def captioned(*seeds):
    spec = LesionSpec(asymmetry=1, border=2, colours=("red",), diagnosis="nv")
    images = torch.from_numpy(np.stack(drawn(*seeds)).transpose(0, 3, 1, 2).copy())
    specs = (spec,) * len(seeds)
    return (CaptionedPictures(images=images, specs=specs, weights=torch.ones(len(seeds)), fingerprint=""),)


@pytest.fixture
def descriptor(repository):
    """The shipped one; drawings are more alike to it than real pictures, so its threshold is drawn closer."""
    descriptor = LesionDescriptor.load(repository / "assets" / "models" / "descriptor")
    descriptor.copy_distance = 0.01
    return descriptor


def test_a_turned_or_mirrored_copy_is_flagged_and_another_picture_is_not(descriptor, tmp_path):
    check = prepare_check(tmp_path, descriptor, captioned(*range(8)), captioned(*range(8, 16)))
    copied = Image.fromarray(drawn(3)[0])
    copies = [copied.rotate(90), ImageOps.mirror(copied), copied.rotate(180)]
    found = check.nearest([*copies, *map(Image.fromarray, drawn(20))])
    assert [near.is_copy for near in found] == [True, True, True, False]
    figures = check.figures(found)
    assert figures["memorisation_share"] == 0.75
    assert figures["memorisation_min"] == min(near.distance for near in found)
    assert figures["memorisation_median"] == pytest.approx(np.median([near.distance for near in found]), abs=1e-4)
    assert figures["memorisation_held_out"] > figures["memorisation_threshold"] == 0.01


def test_the_pictures_are_described_once_and_again_when_they_change(descriptor, tmp_path, monkeypatch):
    first = prepare_check(tmp_path, descriptor, captioned(0, 1), captioned(2))
    with safe_open(tmp_path / VECTORS_NAME, "np") as file:
        assert list(file.keys()) == ["vectors"] and file.get_tensor("vectors").shape == (2, 128)
        assert set(file.metadata()) == {"descriptor_sha256", "pictures_sha256", "held_out_median"}, "no names"
    sample = [Image.fromarray(drawn(1)[0])]
    expected = first.nearest(sample)
    with monkeypatch.context() as patch:
        patch.setattr(type(descriptor), "embed", lambda *_: pytest.fail("described again"))
        again = prepare_check(tmp_path, descriptor, captioned(0, 1), captioned(2))
    assert again.nearest(sample) == expected and expected[0].distance == pytest.approx(0, abs=1e-4)
    changed = prepare_check(tmp_path, descriptor, captioned(0, 5), captioned(2))
    assert changed.nearest(sample)[0].distance > 0.01
    (tmp_path / VECTORS_NAME).write_bytes(b"torn")
    assert prepare_check(tmp_path, descriptor, captioned(0, 1), captioned(2)).nearest(sample) == expected


def test_it_is_said_in_words_only_when_something_is_flagged():
    figures = {"step": 400, "memorisation_share": 0.0, "memorisation_min": 0.031, "memorisation_threshold": 0.055}
    assert copies_in_words(figures, 14) == ""
    assert copies_in_words(figures | {"memorisation_share": None}, 14) == ""
    words = copies_in_words(figures | {"memorisation_share": 2 / 14}, 14)
    assert words.startswith("2 of 14 probe samples of step 400 come so near")
    assert "nearest 0.031, threshold 0.055" in words and "not stopped" in words


@pytest.fixture
def run(drawn_ham, tiny_models, tmp_path):
    """A smoke run whose descriptor takes everything for a copy."""
    models = tmp_path / "assets" / "models"
    models.mkdir(parents=True)
    for name in ("classifier", "segmenter"):
        (models / name).symlink_to(tiny_models / name)
    (models.parent / "measurement").symlink_to(tiny_models.parent / "measurement")
    config = DescriptorConfig(size_px=64, num_features=16)
    save_descriptor(models / "descriptor", DescriptorNet(config), config, {"copy_distance": 2.0})
    return replace(
        PRESETS["smoke"][1], base=str(tiny_models / "nano"), models_dir=models, data_dir=drawn_ham, size_px=64,
        measured=drawn_ham / "measured.csv", runs_dir=tmp_path / "runs", diagnoses=(), precision="fp32", device="cpu",
        probe_every=2, eval_every=2,
    )  # fmt: skip


def history(run):
    return [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_measures_with_each_round_says_so_and_goes_on(run):
    train(run)
    rounds = [line for line in history(run) if "memorisation_min" in line]
    assert [(line["step"], line["memorisation_share"]) for line in rounds] == [(2, 1.0), (4, 1.0)]
    assert all(line["gap"] == pytest.approx(line["val_mean"] - line["seen_mean"]) for line in rounds)
    probes = json.loads((run.folder / "probes-000004.json").read_text())
    assert min(probe["nearest"]["distance"] for probe in probes) == rounds[-1]["memorisation_min"]
    assert all(probe["nearest"]["is_copy"] for probe in probes)
    status = status_of(run.folder)
    assert status.state == "done" and status.note.startswith("14 of 14 probe samples of step 4 come so near")


@pytest.mark.slow
def test_turned_off_it_measures_nothing(run):
    train(replace(run, memorisation=False))
    assert not any(name.startswith(("memorisation", "gap", "seen")) for line in history(run) for name in line)
    assert not (run.folder / VECTORS_NAME).exists() and status_of(run.folder).note == ""
    assert json.loads((run.folder / "probes-000004.json").read_text())[0]["nearest"] is None
