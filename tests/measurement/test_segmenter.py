"""The network and its files: sizes, loading, and refusal of what does not belong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.measurement.segmenter import Segmenter, SegmenterConfig, SegmenterNet

SHIPPED = Path(__file__).parents[2] / "assets" / "models" / "segmenter"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED, tmp_path / "segmenter")
    return tmp_path / "segmenter"


def test_the_network_answers_at_full_resolution() -> None:
    net = SegmenterNet(SegmenterConfig(widths=(8, 8, 16)))
    assert net(torch.rand(2, 3, 48, 64)).shape == (2, 1, 48, 64)


@pytest.mark.parametrize(
    ("size_px", "expected"),
    [((200, 150), (128, 96)), ((128, 128), (112, 112)), ((450, 600), (96, 128))],
)
def test_pictures_are_brought_to_one_area(size_px, expected) -> None:
    assert SegmenterConfig().input_size_px(*size_px) == expected


def test_a_very_long_picture_still_fits() -> None:
    width, height = SegmenterConfig().input_size_px(2000, 50)
    assert height >= 32
    assert width % 16 == height % 16 == 0


def test_the_shipped_weights_load_and_give_probabilities() -> None:
    segmenter = Segmenter.load(SHIPPED)
    found = segmenter.probability(Image.new("RGB", (200, 150), (200, 150, 140)))
    assert found.shape == (96, 128)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    assert len(segmenter.sha256) == 64
    assert (SHIPPED / "model.safetensors").stat().st_size < 4_000_000


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ModelNotAvailable, match=name):
        Segmenter.load(copied)


def test_weights_that_do_not_fit_are_refused(copied: Path) -> None:
    tensors = load_file(SHIPPED / "model.safetensors")
    save_file(dict(list(tensors.items())[:-1]), copied / "model.safetensors")
    with pytest.raises(ModelNotAvailable, match="do not match"):
        Segmenter.load(copied)
    (copied / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelNotAvailable, match="cannot be read"):
        Segmenter.load(copied)
    save_file(tensors, copied / "model.safetensors")
    facts = json.loads((SHIPPED / "config.json").read_text())
    facts["network"]["widths"] = [8, 8]
    (copied / "config.json").write_text(json.dumps(facts))
    with pytest.raises(ModelNotAvailable):
        Segmenter.load(copied)
