"""A user's own folder, through the real segmenter and measurement, into captions and into a LoRA."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.records import Split
from dermaflux.measurement.measurer import Measurer
from training.aspect_buckets import bucket_shapes
from training.lora_config import PRESETS
from training.own_pictures import load_own
from training.train_flux_lora import train


def draw_lesion(path, seed):
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (200, 150), (228, 186, 165))
    ImageDraw.Draw(picture).ellipse((60, 40, 140, 110), fill=tuple(int(v) for v in rng.integers(60, 130, 3)))
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(1.5)), dtype=float) + rng.normal(0, 3, (150, 200, 3))
    Image.fromarray(soft.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    rows = ["file_name,diagnosis,split,age"]
    for i in range(10):
        draw_lesion(folder / f"p{i}.png", i)
        rows.append(f"p{i}.png,{'mel' if i % 2 else 'nv'},{'val' if i >= 6 else 'train'},{40 + i}")
    Image.new("RGB", (200, 150), (228, 186, 165)).save(folder / "blank.png")
    rows += ["blank.png,nv,train,50", "p0.png,moon,train,50"]
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_captions_say_what_is_measured_and_what_is_left_out_is_logged(own, tiny_models, caplog):
    measurer = Measurer.from_folder(tiny_models)
    with caplog.at_level(logging.INFO):
        (found,) = load_own(own, Split.TRAIN, [(64, 64)], measurer)
    assert found.images.shape == (6, 3, 64, 64)
    with Image.open(own / "p0.png") as picture:
        measured = measurer.measure(picture)
    assert (found.specs[0].asymmetry, found.specs[0].border) == (measured.asymmetry, measured.border)
    assert (found.specs[0].diagnosis, found.specs[0].age) == ("nv", 40)
    assert "line 13" in caplog.text and "moon" in caplog.text
    assert "blank is left out" in caplog.text
    assert "6 of 7 pictures" in caplog.text


def test_without_a_val_split_the_column_is_named(own, tiny_models):
    text = (own / "metadata.csv").read_text().replace(",val,", ",train,")
    (own / "metadata.csv").write_text(text)
    with pytest.raises(DataNotFound, match="column split"):
        load_own(own, Split.VAL, [(64, 64)], Measurer.from_folder(tiny_models))


@pytest.mark.slow
def test_a_lora_learns_from_an_own_folder(own, tiny_models, tmp_path):
    run = replace(
        PRESETS["smoke"][1], base=str(tiny_models / "nano"), models_dir=tiny_models, pictures=own, size_px=64,
        runs_dir=tmp_path / "runs", diagnoses=(), precision="fp32", device="cpu", probe_every=0,
    )  # fmt: skip
    assert train(run).is_file()


@pytest.mark.slow
def test_with_buckets_wide_and_high_pictures_keep_their_shape_and_are_learned(own, tiny_models, tmp_path, caplog):
    for name in ("p1.png", "p3.png", "p7.png"):
        with Image.open(own / name) as picture:
            picture.transpose(Image.Transpose.ROTATE_90).save(own / name)
    shapes = bucket_shapes(64)
    sets = load_own(own, Split.TRAIN, shapes, Measurer.from_folder(tiny_models))
    assert sorted(tuple(part.images.shape) for part in sets) == [(2, 3, 80, 48), (4, 3, 48, 80)]
    run = replace(
        PRESETS["smoke"][1], base=str(tiny_models / "nano"), models_dir=tiny_models, pictures=own, size_px=64,
        runs_dir=tmp_path / "runs", diagnoses=(), precision="fp32", device="cpu", probe_every=0, aspect_buckets=True,
    )  # fmt: skip
    assert train(run).is_file()
    with pytest.raises(InvalidRequest, match="for --pictures"):
        replace(run, pictures=None)
