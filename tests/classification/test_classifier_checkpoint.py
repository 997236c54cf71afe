"""The checkpoint folder: round trip, and every way of being broken is said."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dermaflux.classification import LesionClassifier
from dermaflux.classification.architecture import STEM_VITS, Architecture
from dermaflux.classification.checkpoint import (
    file_sha256,
    load_checkpoint,
    read_facts,
    save_checkpoint,
)
from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable


@pytest.fixture
def folder(drawn, tmp_path):
    return shutil.copytree(drawn.folder, tmp_path / "copy")


def _rewrite(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_round_trip_keeps_weights_and_facts(drawn, tmp_path):
    network, facts = load_checkpoint(drawn.folder)
    again = save_checkpoint(tmp_path / "again", network, facts)
    second, read = load_checkpoint(tmp_path / "again")
    assert read == again == facts
    pairs = zip(network.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == ["config.json", "model.safetensors"]


def test_the_checkpoint_carries_what_serving_needs(drawn):
    values = json.loads((drawn.folder / "config.json").read_text())
    assert values["class_names"] == ["nv", "mel"]
    assert len(values["inputs"]["mean"]) == 3 and values["inputs"]["size_px"] == 96
    assert len(values["data_sha256"]) == len(values["weights_sha256"]) == 64
    assert values["metrics"]["val"]["auc"] > 0.9
    assert str(drawn.folder.parent) not in json.dumps(values), "no path of this machine"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelNotAvailable, match=name):
        LesionClassifier.from_folder(folder)


def test_a_missing_folder_says_how_to_train_one(tmp_path):
    with pytest.raises(ModelNotAvailable, match="train_classifier"):
        LesionClassifier.from_folder(tmp_path / "nowhere")


def test_changed_weights_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file({k: v + 1 if v.is_floating_point() else v for k, v in tensors.items()}, folder / "model.safetensors")
    with pytest.raises(ModelNotAvailable, match="SHA-256"):
        LesionClassifier.from_folder(folder)


@pytest.mark.parametrize("change", ["drop", "add", "reshape"])
def test_weights_that_do_not_fit_are_refused(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    if change == "drop":
        tensors.pop("head.weight")
    elif change == "add":
        tensors["stranger"] = torch.zeros(3)
    else:
        tensors["head.weight"] = torch.zeros(5, 5)
    save_file(tensors, path)
    _rewrite(folder, weights_sha256=file_sha256(path))
    with pytest.raises(ModelNotAvailable, match="do not fit"):
        LesionClassifier.from_folder(folder)


def test_a_torn_weight_file_is_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    _rewrite(folder, weights_sha256=file_sha256(path))
    with pytest.raises(ModelNotAvailable, match="do not fit"):
        LesionClassifier.from_folder(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ["nv"]},
        {"class_names": ["nv", "wart"]},
        {"threshold": 1.5},
        {"num_turns": 3},
        {"format_version": 99},
        {"inputs": {"size_px": 96, "mean": [0.5], "std": [0.2]}},
        {"inputs": {"size_px": 64, "mean": [0.5] * 3, "std": [0.2] * 3}},
        {"calibration": {"temperature": 0.0, "biases": [0, 0]}},
        {"surprise": 1},
        {"architecture": None},
    ],
)
def test_a_config_that_cannot_be_is_refused(folder, changes):
    _rewrite(folder, **changes)
    with pytest.raises(ModelNotAvailable, match=r"config\.json"):
        read_facts(folder)


def test_a_config_that_is_no_json_is_refused(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelNotAvailable, match="no usable classifier config"):
        read_facts(folder)


def test_a_classifier_gives_the_same_answer_after_the_round_trip(drawn, folder):
    picture = drawn.draw(malignant=True)
    first = drawn.classifier.predict([picture])[0]
    assert LesionClassifier.from_folder(folder).predict([picture])[0] == first
    np.testing.assert_array_equal(
        LesionClassifier.from_folder(folder).embed([picture]), drawn.classifier.embed([picture])
    )


@pytest.mark.parametrize("name", sorted(STEM_VITS))
def test_our_networks_are_timm_vits_within_six_million_weights(name):
    network = Architecture(name=name, size_px=112, num_classes=7).build(drop_path=0.1).eval()
    assert network.num_prefix_tokens == 1
    assert sum(p.numel() for p in network.parameters()) < 6e6
    assert network(torch.zeros(2, 3, 112, 112)).shape == (2, 7)


def test_an_unknown_network_is_refused_with_names_alike():
    with pytest.raises(InvalidRequest, match="vit_tiny"):
        Architecture(name="vit_tinny_patch16_224", size_px=112, num_classes=2).build()
    with pytest.raises(InvalidRequest, match="multiple of 16"):
        Architecture(name="stem_vit_tiny", size_px=100, num_classes=2).build()
