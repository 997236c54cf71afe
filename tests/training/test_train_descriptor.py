"""The descriptor's trainer on drawn lesions: it learns to tell them apart, resumes as if unbroken, exports whole."""

import csv
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from dermaflux.classification import LesionDescriptor
from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from training.train_descriptor import PRESETS, DescriptorRun, DescriptorTrainer, info_nce, train


def drawn(rng):
    """A lesion of its own: some blobs of its own colours at its own places on its own skin."""
    picture = Image.new("RGB", (80, 60), tuple(int(v) for v in rng.integers(150, 240, 3)))
    draw = ImageDraw.Draw(picture)
    for _ in range(4):
        x, y, r = rng.integers(20, 60), rng.integers(15, 45), rng.integers(3, 12)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(int(v) for v in rng.integers(20, 200, 3)))
    content = io.BytesIO()
    picture.save(content, "JPEG")
    return content.getvalue()


@pytest.fixture(scope="module")
def lesions(tmp_path_factory):
    """40 drawn lesions in HAM10000's shape, those of val pictured twice."""
    folder, rng = tmp_path_factory.mktemp("lesions"), np.random.default_rng(0)
    rows = []
    with zipfile.ZipFile(folder / "ham10000_200x150.zip", "w") as archive:
        for i in range(40):
            content, split = drawn(rng), "val" if i >= 28 else "train"
            for picture in range(2 if split == "val" else 1):
                archive.writestr(f"images/P{i}_{picture}.jpg", content)
                rows.append([f"P{i}_{picture}", f"L{i}", split, "nv", 0, "histo", "50", "male", "back"])
    with (folder / "ham10000.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image_id", "lesion_id", "split", "dx", "malignant", "dx_type", "age", "sex", "localization"])
        writer.writerows(rows)
    return folder


@pytest.fixture
def run(lesions, tmp_path):
    smoke: DescriptorRun = PRESETS["smoke"][1]
    return replace(smoke, data_dir=lesions, runs_dir=tmp_path / "runs", out=tmp_path / "model", precision="fp32")


def test_info_nce_by_hand():
    first, second = torch.eye(2), torch.eye(2)
    # Every vector has its partner at similarity 1 and two strangers at 0.
    assert info_nce(first, second, 1.0).item() == pytest.approx(np.log(np.e + 2) - 1, abs=1e-5)


@pytest.mark.slow
def test_it_learns_and_exports_what_loads(run):
    run = replace(run, pretrained=True, num_steps=30, eval_every=15, num_lesions=16, learning_rate=1e-3, warmup_steps=2)
    trainer = DescriptorTrainer(run)
    untrained = trainer.run_step()
    folder = train(run)
    lines = [json.loads(line) for line in (run.runs_dir / "smoke" / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [15, 30]
    assert lines[-1]["loss"] < 0.8 * untrained
    assert lines[-1]["same_lesion_auc"] > 0.9  # the same file twice
    descriptor = LesionDescriptor.load(folder)
    picture = Image.open(io.BytesIO(drawn(np.random.default_rng(5))))
    vectors = descriptor.embed([picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] == pytest.approx(1, abs=1e-3)
    assert descriptor.embed([]).shape == (0, run.network.num_features)


@pytest.mark.slow
def test_a_run_stopped_and_continued_equals_an_unbroken_one(run):
    whole = DescriptorTrainer(run)
    losses = [whole.run_step() for _ in range(4)]
    first = DescriptorTrainer(run)
    assert [first.run_step() for _ in range(2)] == losses[:2]
    first.save()
    second = DescriptorTrainer(run)
    second.resume()
    assert [second.run_step() for _ in range(2)] == pytest.approx(losses[2:], abs=1e-6)


@pytest.mark.slow
def test_weights_that_are_not_those_described_are_refused(run):
    folder = train(run)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"weights_sha256": "0" * 64}))
    with pytest.raises(ModelNotAvailable, match="SHA-256"):
        LesionDescriptor.load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelNotAvailable, match="no usable descriptor"):
        LesionDescriptor.load(folder)


@pytest.mark.parametrize("change", [{"num_lesions": 1}, {"temperature": 0.0}])
def test_what_cannot_be_trained_is_refused_by_name(run, change):
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        replace(run, **change)
